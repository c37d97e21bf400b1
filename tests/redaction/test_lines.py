"""Lines of text are looked for in few frames and hidden in all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from onlooker.analyzers.text.detector import LineDetector
from onlooker.analyzers.text.recogniser import LineReader
from onlooker.core.media import Frame
from onlooker.core.time import Timestamp
from onlooker.redaction.again import alike, find_again
from onlooker.redaction.lines import LineWatch
from onlooker.redaction.look import NONE, Look, Still
from onlooker.redaction.redact import Redaction, redact
from onlooker.redaction.tiles import TILE, small_tiles_over, tiles_over
from onlooker.sources import open_source
from redaction.conftest import frames_of, need, write

Rows = NDArray[np.float32]
Place = tuple[int, int] | None
SIZE = (320, 180)
FONT = ImageFont.load_default(26)


class Shown(Still):
    """A picture at a moment."""

    def __init__(self, picture: NDArray[np.uint8], number: int) -> None:
        super().__init__(picture, least=1)
        self.time = Timestamp.of_seconds(Fraction(number, 25))


def drawn(place: Place, behind: NDArray[np.uint8]) -> NDArray[np.uint8]:
    image = Image.fromarray(behind)
    if place is not None:
        ImageDraw.Draw(image).text(place, "Secret 427", font=FONT, fill="white", stroke_width=2, stroke_fill="black")
    return np.asarray(image)


def watched(
    places: Sequence[Place], behind: Sequence[NDArray[np.uint8]], cuts: Sequence[int] = ()
) -> tuple[float, int]:
    """Least share of the word that the rows cover in a frame that shows it, and how many frames were looked at; who
    looks sees where the word is.
    """
    frames = [Shown(drawn(p, b), n) for n, (p, b) in enumerate(zip(places, behind, strict=True))]

    def box(place: tuple[int, int]) -> Rows:
        left, top, right, bottom = FONT.getbbox("Secret 427", stroke_width=2)
        sides = np.add([left, top, right, bottom], [*place, *place])
        return (sides / [*SIZE, *SIZE]).clip(0, 1).astype(np.float32)

    def find(frame: Frame, _: Rows) -> Rows:
        place = places[frames.index(frame)]  # pyright: ignore[reportArgumentType]
        return NONE if place is None else np.concatenate([box(place), [1]])[None].astype(np.float32)

    watch = LineWatch(find)
    for number, frame in enumerate(frames):
        watch.add(frame, NONE, cut=number in cuts)
    rows = watch.finish()
    assert len(rows) == len(places)
    shares = [max((covered(box(p), r) for r in rows[n]), default=0.0) for n, p in enumerate(places) if p is not None]
    return min(shares), watch.looked


def covered(box: Rows, by: Rows) -> float:
    sides = np.clip(np.minimum(box[2:], by[2:4]) - np.maximum(box[:2], by[:2]), 0, None)
    return float(sides.prod() / (box[2:] - box[:2]).prod())


def noise(seed: int, level: int = 100) -> NDArray[np.uint8]:
    small = np.random.default_rng(seed).integers(level - 40, level + 40, (12, 20, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize(SIZE, Image.Resampling.BICUBIC))


def test_a_part_is_found_again_where_it_went() -> None:
    picture = np.random.default_rng(3).normal(100, 30, (90, 160)).astype(np.float32)
    part = picture[40:52, 60:100]
    moved = np.roll(picture, (3, -7), (0, 1))
    left, top, likeness = find_again(part, moved, 60, 40, 10)
    assert (left, top) == (53, 43)
    assert likeness > 0.99
    assert find_again(part, moved, 60, 40, 2)[2] < 0.5
    # nor outside of the picture, wherever it is expected
    assert find_again(part, moved, -50, 500, 5)[:2] == (0, 78)
    assert alike(part, part * 0.5 + 20) == pytest.approx(1, abs=1e-3)


def test_a_word_that_stays_is_looked_for_seldom() -> None:
    least, looked = watched([(60, 80)] * 50, [noise(1)] * 50)
    assert least > 0.95
    assert looked <= 2


@pytest.mark.parametrize("speed", [(2, 0), (9, 0), (-5, 2), (0, 5)])
def test_a_word_that_moves_is_followed(speed: tuple[int, int]) -> None:
    start = (150 if speed[0] < 0 else 4, 20)
    places: list[Place] = [(start[0] + speed[0] * n, start[1] + speed[1] * n) for n in range(17)]
    least, looked = watched(places, [noise(1)] * 17)
    assert least > 0.7  # margins are added later
    assert looked <= 6


def test_a_word_that_flashes_up_between_is_seen() -> None:
    places: list[Place] = [None] * 24
    places[11:13] = [(60, 80)] * 2
    least, looked = watched(places, [noise(1)] * 24)
    assert least > 0.9
    assert looked <= 8


def test_a_word_before_a_moving_picture_is_followed() -> None:
    behind = [np.roll(noise(1), 6 * n, 1) for n in range(24)]
    least, looked = watched([(60, 80)] * 24, behind)
    assert least > 0.9
    assert looked <= 8


def test_both_sides_of_a_cut_are_looked_at() -> None:
    places: list[Place] = [*[None] * 9, *[(30, 20)] * 3, *[(60, 120)] * 4, *[None] * 4]
    least, looked = watched(places, [*[noise(1)] * 12, *[noise(2)] * 8], cuts=(12,))
    assert least > 0.9
    assert looked <= 10


def test_tiles_hold_the_boxes() -> None:
    boxes = np.array([[0.1, 0.1, 0.2, 0.3], [0.8, 0.7, 0.95, 0.95], [0.85, 0.6, 0.9, 0.8]], np.float32)
    tiles = tiles_over(boxes, 960, 540)
    assert tiles is not None
    for left, top, right, bottom in boxes * [960, 540, 960, 540]:
        assert any(x <= left and y <= top and right <= x + TILE and bottom <= y + TILE for x, y in tiles)
    assert len(tiles) == 2
    assert tiles_over(boxes[:0], 960, 540) == []
    assert tiles_over(np.array([[0, 0, 1, 1]], np.float32), 960, 540) is None
    assert len(small_tiles_over(boxes[:1], 960, 540)) == 1


@pytest.fixture(scope="module")
def text_models() -> None:
    """The models that find text and vehicles, and that read."""
    need("ppocr-det", "ppocr-rec", "ppocr-cls", "nanodet-416")


def pictures_of(path: Path, first: int, last: int) -> list[NDArray[np.uint8]]:
    with av.open(str(path)) as clip:
        frames = islice(clip.decode(video=0), first, last)
        return [np.asarray(f.to_ndarray(format="rgb24"), np.uint8) for f in frames]


def captioned(data: Callable[[str], Path], path: Path) -> tuple[Path, list[str]]:
    """A real clip with words that stand, that move, and that are there for two frames only."""
    pictures = pictures_of(data("clips/sport_gym.mp4"), 0, 20)
    shown: list[NDArray[np.uint8]] = []
    for number, picture in enumerate(pictures):
        image = Image.fromarray(picture)
        pen = ImageDraw.Draw(image)

        def put(text: str, x: int, y: int, pen: ImageDraw.ImageDraw = pen) -> None:
            pen.text((x, y), text, font=FONT, fill="white", stroke_width=2, stroke_fill="black")

        put("Patient 4711", 20, 200)
        put("Berlin", 10 + 12 * number, 20)
        if number in (11, 12):
            put("PASSWORD", 140, 110)
        shown.append(np.asarray(image))
    return write(path, shown), ["patient", "4711", "berlin", "password"]


def read(path: Path, reader: tuple[LineDetector, LineReader], every: int) -> str:
    """All that a reader, who looks at a larger picture than the redaction, reads in some frames."""
    found: list[str] = []
    for frame in frames_of(path)[1::every]:
        picture = Image.fromarray(frame.image())
        for region in reader[0].find(frame, 852):
            text, score = reader[1].read(picture, region)
            found.append(text.lower() if score > 0.5 else "")
    return " ".join(found)


@pytest.mark.usefixtures("text_models")
def test_no_word_can_be_read_in_any_frame(data: Callable[[str], Path], tmp_path: Path) -> None:
    clip, words = captioned(data, tmp_path / "in.mp4")
    detector = LineDetector("ppocr-det", threads=2, threshold=0.3, least=0.5, grow=1.6)
    reader = detector, LineReader("ppocr-rec", "ppocr-cls", threads=2)
    before = read(clip, reader, 5)
    assert all(word in before for word in words)
    with_text = open_source(str(clip))
    done = redact(with_text, tmp_path / "out.mp4", Redaction(hide=("text",)))
    with_text.close()
    assert done.frames_hidden == 20
    assert done.hidden_share < 0.5
    after = read(tmp_path / "out.mp4", reader, 2)
    assert not [word for word in words if word in after]
    assert not [word[:4] for word in words if word[:4] in after]


PLATES = {88: (338, 174, 368, 189), 90: (334, 146, 366, 163), 94: (332, 101, 360, 115), 96: (330, 78, 358, 92)}
"""Where the plate of a car that drives away is, seen by eye, in frames of traffic_car_overhead."""


def detail(picture: NDArray[np.uint8], place: tuple[int, int, int, int]) -> float:
    left, top, right, bottom = place
    return float(np.abs(np.diff(picture[top:bottom, left:right].astype(float), axis=1)).mean())


@pytest.mark.usefixtures("text_models")
def test_the_plate_of_a_car_that_drives_away_is_hidden(data: Callable[[str], Path], tmp_path: Path) -> None:
    pictures = pictures_of(data("clips/traffic_car_overhead.mp4"), 87, 98)
    source = open_source(str(write(tmp_path / "in.mp4", pictures)))
    done = redact(source, tmp_path / "out.mp4", Redaction(hide=("plates", "screens")))
    source.close()
    assert done.frames_hidden == 11
    assert done.hidden_share < 0.4
    after = frames_of(tmp_path / "out.mp4")
    for number, place in PLATES.items():
        assert detail(after[number - 87].image(), place) < 3 < detail(pictures[number - 87], place)


@pytest.mark.usefixtures("text_models")
def test_a_soft_picture_is_not_taken_for_text_all_over(data: Callable[[str], Path]) -> None:
    (picture,) = pictures_of(data("shots/rings_195.mp4"), 120, 121)
    look = Look(("text",))
    rows = look.lines(Shown(picture, 0))
    look.close()
    assert look.soft
    assert len(rows)
    assert ((rows[:, 2:4] - rows[:, :2]).prod(1) < 0.1).all()
