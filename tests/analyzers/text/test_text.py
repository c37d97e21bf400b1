"""The real models on drawn captions and photographs."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from onlooker.analyzers.text.analyzer import Text
from onlooker.analyzers.text.config import TextConfig
from onlooker.analyzers.text.reader import FrameReader
from onlooker.analyzers.text.words import likeness
from onlooker.core.analyzer import Context
from onlooker.core.time import Timestamp
from onlooker.sources import open_source
from onlooker.testing.analyzer import AnalyzerContract
from onlooker.testing.drive import decide, drive, measure

from .conftest import SLIDES, stamp


class Picture:
    """A still picture as a frame."""

    key, duration = True, Fraction(0)

    def __init__(self, picture, seconds=0):
        self._picture = picture.convert("RGB")
        self.width, self.height = self._picture.size
        self.time = Timestamp.of_seconds(seconds)

    def image(self, width=None, height=None, format="rgb24"):
        width = width or (round(self.width * height / self.height) if height else self.width)
        size = width, height or max(1, round(self.height * width / self.width))
        made = self._picture if size == self._picture.size else self._picture.resize(size)
        return np.asarray(made.convert("L")) if format == "gray" else np.asarray(made)[..., ::-1]

    def luma(self):
        return np.asarray(self._picture.convert("L"))

    def chroma(self):
        return None


@pytest.fixture(scope="module")
def reader():
    made = FrameReader(TextConfig(), 2)
    yield made
    made.close()


@pytest.fixture(scope="module")
def read(reader):
    """Texts of a picture, as if it were a source of its own."""
    count = iter(range(0, 100_000, 100))

    def texts(picture):
        lines, _ = reader.read(Picture(picture, next(count)))
        return [line.text for line in lines]

    return texts


def observed(path, **settings):
    source = open_source(str(path))
    try:
        return drive([Text(TextConfig(**settings))], source)
    finally:
        source.close()


def test_one_caption_is_one_observation_with_its_span(captioned):
    path, truth = captioned
    made = [o for o in observed(path) if o.kind == "text"]
    for text, start, end in truth:
        same = [o for o in made if likeness(o.text or "", text) > 0.8]
        assert len(same) == 1, (text, [(o.text, o.span) for o in made])
        assert likeness(same[0].text or "", text) == 1  # but for spaces
        assert same[0].span.start.seconds == pytest.approx(start, abs=0.51)
        assert same[0].span.end.seconds == pytest.approx(end, abs=0.51)
        assert same[0].data["language"] == "en"
    roles = {(o.text or "").replace(" ", ""): o.data["role"] for o in made}
    assert [roles[text.replace(" ", "")] for text, _, _ in truth] == ["subtitle", "subtitle", "scene"]


def test_a_still_caption_is_read_once(captioned):
    path, _ = captioned
    source = open_source(str(path))
    analyzer = Text(TextConfig(rate=5))
    analyzer.open(Context(source.info, threads=2))
    calls = []
    lines = analyzer._reader._reader
    one = lines.read
    lines.read = lambda picture, region: calls.append(region) or one(picture, region)
    frames = measure([analyzer], source)["text"]
    analyzer.close()
    source.close()
    assert len(frames) == 45
    readings = sum(len(json.loads(m.blob)["texts"]) for m in frames if m.blob)
    assert readings > 60
    assert len(calls) < readings / 4


def test_slides_change_once_and_lines_that_are_added_make_no_new_slide(slides):
    made = observed(slides)
    (cue,) = [o for o in made if o.kind == "cue"]
    assert cue.label == "slide_change"
    assert cue.span.start.seconds == pytest.approx(3.0, abs=0.11)
    texts = {o.text: o for o in made if o.kind == "text"}
    assert set(texts) == {text for slide in SLIDES for text in slide}
    assert {str(o.data["role"]) for o in texts.values()} == {"slide"}
    assert texts["Early stopping"].span.start.seconds == pytest.approx(1.5, abs=0.01)


def test_a_still_picture_costs_nothing_between_the_fixed_moments(slides):
    source = open_source(str(slides))
    analyzer = Text(TextConfig())
    analyzer.open(Context(source.info, threads=2))
    frames = measure([analyzer], source)["text"]
    analyzer.close()
    source.close()
    assert sum(m.blob is None for m in frames) >= len(frames) - 4


def test_captions_can_be_decided_again_without_reading(captioned):
    path, _ = captioned
    source = open_source(str(path))
    first = Text(TextConfig())
    first.open(Context(source.info, threads=2))
    measured = measure([first], source)
    first.close()
    source.close()
    assert not {"alike", "score", "gap_seconds", "slide_lines"} & (Text.measurement_fields or set())
    few = decide([Text(TextConfig(least_seconds=8.0, sure_score=1.0))], measured)
    texts = [(o.text or "").replace(" ", "") for o in few if o.kind == "text"]
    assert "CAMERA7NORTH" in texts
    assert len(texts) < len([o for o in decide([Text(TextConfig())], measured) if o.kind == "text"])


def test_photographs(data, read):
    """Chinese and English, upside down, tiny, and letters that fill the picture."""
    truth = json.loads((data("ocr") / "gt.json").read_text())
    for name, lines in truth.items():
        found = read(Image.open(data("ocr") / name.split(" ")[0]))
        # these are read as two each
        wanted = [t for t in lines if t not in ("直击底价", "5.8起")]
        for line in wanted:
            best = max((likeness(line, text) for text in found), default=0)
            assert best >= 0.75, (name, line, found)


@pytest.mark.parametrize("angle", [0, 15, -30, 90, -90, 180])
def test_turned_text(read, angle):
    picture = Image.new("RGB", (640, 480), (90, 120, 100))
    mark = stamp("Platform 12 is closed", 32, angle)
    picture.paste(mark, (320 - mark.width // 2, 240 - mark.height // 2), mark)
    assert [t for t in read(picture) if likeness(t, "Platform 12 is closed") > 0.9]


def test_a_changed_digit_is_seen_within_a_stretch(reader):
    def shown(text, seconds):
        picture = Image.new("RGB", (640, 360), (60, 60, 60))
        mark = stamp(text, 40)
        picture.paste(mark, (100, 160), mark)
        lines, _ = reader.read(Picture(picture, seconds))
        return None if lines is None else [line.text for line in lines]

    assert shown("Round 1 of 12", 500_000) == ["Round 1 of 12"]
    assert shown("Round 1 of 12", 500_001) is None
    assert shown("Round 3 of 12", 500_002) == ["Round 3 of 12"]


def test_nothing_is_read_into_pictures_without_text(data):
    for name in ("traffic_car_overhead", "film_chaplin"):
        made = [o for o in observed(data(f"clips/{name}.mp4")) if o.kind == "text"]
        assert len(made) <= 1, [(o.text, o.score) for o in made]


class TestContract(AnalyzerContract):
    path = ""

    @pytest.fixture(autouse=True)
    def _clip(self, captioned):
        type(self).path = str(captioned[0])

    def make(self):
        # stretches shorter than the clip's segments, so that segments begin within one
        return [Text(TextConfig(refresh_seconds=3.0))]

    def open_source(self):
        return open_source(self.path)
