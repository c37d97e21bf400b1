"""One good picture for every shot, and sheets that players can use."""

from __future__ import annotations

import io
import itertools
import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from PIL import Image

from analyzers.shots.conftest import mix, picture
from onlooker.analyzers.keyframes.analyzer import Keyframes
from onlooker.analyzers.keyframes.config import KeyframesConfig
from onlooker.analyzers.keyframes.descriptor import DIMENSIONS, describe_image
from onlooker.analyzers.keyframes.quality import candidate_values, encode_jpeg
from onlooker.core.analyzer import Context, Window
from onlooker.core.measurement import Measurement
from onlooker.core.media import SourceInfo
from onlooker.core.observation import Observation
from onlooker.core.time import Span, Timestamp
from onlooker.sources import open_source
from onlooker.testing.analyzer import AnalyzerCase, check_analyzer
from onlooker.testing.drive import drive


def run(analyzers, path) -> list[Any]:
    return drive(analyzers, open_source(str(path)))


def pixels(attachment):
    return np.asarray(Image.open(io.BytesIO(attachment.data)).convert("RGB"))


def textured(seed):
    """A picture with fine detail, so that blur shows."""
    noise = np.random.default_rng(seed).integers(-40, 40, (180, 320, 1))
    return np.clip(picture(seed).astype(int) + noise, 0, 255).astype(np.uint8)


def test_every_shot_has_a_keyframe_that_lies_in_it(data, make):
    made = run(make(), data("shots/montage_a.mp4"))
    shots = {o.data["index"]: o for o in made if o.kind == "shot"}
    keyframes = [o for o in made if o.kind == "keyframe"]
    assert {k.data["shot"] for k in keyframes} == set(shots)
    for k in keyframes:
        assert shots[k.data["shot"]].span.contains(k.span.start)
        (attachment,) = k.attachments
        assert re.fullmatch(r"keyframes/\d{9}\.jpg", attachment.name)
        assert pixels(attachment).shape == (180, 320, 3)
        assert 0 <= k.score <= 1
        np.testing.assert_array_equal(describe_image(pixels(attachment)), k.vector)


def test_shots_between_two_candidates_get_a_keyframe_too(write, make):
    path = write([p for seed in range(8) for p in [picture(seed)] * 8])
    made = run(make(rate=1), path)
    assert len([o for o in made if o.kind == "shot"]) == 8
    assert [o.data["shot"] for o in made if o.kind == "keyframe"] == list(range(8))


def test_blurred_and_black_frames_are_not_chosen(write, make):
    sharp, black = textured(1), np.zeros((180, 320, 3), np.uint8)
    image = Image.fromarray(sharp).resize((32, 18)).resize((320, 180), Image.Resampling.BICUBIC)
    blurred = np.asarray(image)
    pictures = [black] * 10 + [mix(black, blurred, t) for t in np.linspace(0, 1, 10)] + [blurred] * 40
    pictures += [sharp] * 15 + [blurred] * 40
    made = run(make(rate=5), write(pictures))
    (keyframe,) = [o for o in made if o.kind == "keyframe"]
    assert 60 <= keyframe.span.start.seconds * 25 < 75


def test_sheet_and_sprite(data, make):
    made = run(make(), data("shots/montage_a.mp4"))
    sheet, sprite = (o for o in made if o.kind == "picture")
    assert (sheet.label, [a.name for a in sheet.attachments]) == ("contact-sheet", ["contact-sheet.jpg"])
    assert pixels(sheet.attachments[0]).std() > 20
    files = {a.name: a for a in sprite.attachments}
    assert set(files) == {"sprite-000.jpg", "thumbnails.vtt"}
    text = files["thumbnails.vtt"].data.decode()
    assert text.startswith("WEBVTT\n\n")
    stamp = r"(\d\d):(\d\d):(\d\d\.\d{3})"
    cues = re.findall(rf"{stamp} --> {stamp}\n(sprite-\d+\.jpg)#xywh=(\d+),(\d+),(\d+),(\d+)\n", text)
    assert len(cues) == sprite.data["tiles"] == 31
    height, width = pixels(files["sprite-000.jpg"]).shape[:2]
    previous_end = 0.0
    for cue in cues:
        start, end = (int(cue[i]) * 3600 + int(cue[i + 1]) * 60 + float(cue[i + 2]) for i in (0, 3))
        assert start == pytest.approx(previous_end)
        assert end > start
        previous_end = end
        x, y, w, h = (int(v) for v in cue[7:])
        assert x + w <= width
        assert y + h <= height
    assert previous_end == pytest.approx(30.48, abs=0.05)


def test_an_hour_in_one_shot_stays_bounded_and_gets_pictures_all_along():
    """Measurements as a static camera gives them, without a video."""
    analyzer = Keyframes(KeyframesConfig())
    analyzer.open(Context(SourceInfo("0" * 32, "x", "x", Fraction(3600), None, None)))
    jpegs = [(encode_jpeg(textured(s), 80), candidate_values(textured(s))) for s in range(5)]
    made: list[Any] = []
    most = 0
    for second in range(3600):
        ms = [
            Measurement(Timestamp.of_seconds(Fraction(2 * second + half, 2)), Fraction(1, 25), values, blob)
            for half in (0, 1)
            for blob, values in [jpegs[(2 * second + half) % 5]]
        ]
        made += analyzer.analyze(Window(ms, (), Timestamp.of_seconds(Fraction(second + 1))))
        most = max(most, len(analyzer._candidates))
    shot = Observation(Span.of_seconds(0, 3600), "shot", data={"index": 0, "transition": None})
    made += analyzer.analyze(Window((), (shot,), Timestamp.of_seconds(Fraction(3600))))
    made += analyzer.flush()
    keyframes = [o for o in made if o.kind == "keyframe"]
    assert len(keyframes) == 120
    assert all(b.span.start - a.span.start <= 60 for a, b in itertools.pairwise(keyframes))
    # every candidate of the last two minutes or so, and one of each half minute before
    assert most <= 2 * 160 + 3600 / 30
    (sprite,) = [o for o in made if o.label == "sprite"]
    assert 150 <= sprite.data["tiles"] <= 360


def test_the_descriptor_tells_scenes_apart_and_forgives_size_and_compression():
    same, other = textured(3), textured(4)
    small = np.asarray(Image.fromarray(same).resize((160, 90), Image.Resampling.BOX))
    coarse = np.asarray(Image.open(io.BytesIO(encode_jpeg(same, 30))))
    vector = describe_image(same)
    assert vector.shape == (DIMENSIONS,)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert vector @ describe_image(coarse) > 0.9
    assert vector @ describe_image(small) > 0.8
    assert vector @ describe_image(other) < 0.7


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 200, 3), (63, 65, 3), (1080, 64, 3)])
def test_the_descriptor_takes_any_size(shape):
    assert np.isfinite(describe_image(np.full(shape, 130, np.uint8))).all()


@pytest.mark.parametrize(
    "array", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)]
)
def test_the_descriptor_refuses_what_is_no_colour_picture(array):
    with pytest.raises(ValueError, match="rgb: expected uint8"):
        describe_image(array)


def test_contract(data, make):
    check_analyzer(AnalyzerCase(make, open_source(str(data("shots/hamilton.mp4")))))
