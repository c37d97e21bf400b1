"""Innocent pictures are called safe, and scores that stay high become stretches."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import Any, ClassVar, cast

import numpy as np
import pytest
from PIL import Image

from onlooker import models
from onlooker.analyzers.keyframes.analyzer import Keyframes
from onlooker.analyzers.keyframes.config import KeyframesConfig
from onlooker.analyzers.safety.analyzer import LABELS, Safety
from onlooker.analyzers.safety.config import SafetyConfig
from onlooker.analyzers.shots.analyzer import Shots
from onlooker.analyzers.shots.config import ShotsConfig
from onlooker.core.analyzer import Context, Window
from onlooker.core.measurement import Measurement
from onlooker.core.media import SourceInfo
from onlooker.core.observation import Observation
from onlooker.core.time import Timestamp
from onlooker.sources import open_source
from onlooker.testing.analyzer import AnalyzerContract
from onlooker.testing.drive import drive

MODEL = "content-safety"
CLASSES = models.entry(MODEL).labels


@pytest.fixture(autouse=True)
def _model():
    if models.state(MODEL) != "pulled":
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"the model {MODEL} is not here")


def stages(**settings: Any):
    return [Shots(ShotsConfig()), Keyframes(KeyframesConfig()), Safety(SafetyConfig(**settings))]


def decided(scores: list[dict[str, float]], **settings: Any) -> list[Observation]:
    """What the light part makes of one picture a second with these scores."""
    analyzer = Safety(SafetyConfig(**settings))
    analyzer.open(Context(SourceInfo("0" * 32, "x", "x", Fraction(len(scores)), None, None)))
    rows = [np.array([s.get(c, 0.0) for c in CLASSES], np.float32) for s in scores]
    measured = [Measurement(Timestamp.of_seconds(i), Fraction(1, 25), row) for i, row in enumerate(rows)]
    made = [*analyzer.analyze(Window(measured, (), Timestamp.of_seconds(len(scores)))), *analyzer.flush()]
    analyzer.close()
    return made


@pytest.mark.parametrize(
    "clip", ["clips/preview_classroom.mp4", "clips/sport_gym.mp4", "clips/talking_face_aoc_512.mp4"]
)
def test_innocent_clips_are_safe(data, clip):
    source = open_source(str(data(clip)))
    made = [o for o in drive(stages(), source) if o.kind == "safety"]
    source.close()
    assert [o.label for o in made] == ["safe"]
    assert cast(int, made[0].data["pictures"]) >= 2
    assert (made[0].score or 0) > 0.5


def test_photographs_raise_no_alarm(data):
    model = models.load(MODEL, shapes={"input:0": (1, 224, 224, 3)})
    columns = [CLASSES.index(name) for name in LABELS.values()]
    for path in sorted(data("coco128/images").glob("*.jpg"))[:12]:
        picture = np.asarray(Image.open(path).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR), np.float32)
        scores = model.run([picture[None] / 255])[0][0]
        assert float(scores.sum()) == pytest.approx(1, abs=1e-3)
        assert max(float(scores[c]) for c in columns) < 0.6


def test_high_scores_become_stretches():
    made = decided([{"neutral": 0.9}] * 3 + [{"porn": 0.9}, {"porn": 0.5}, {"porn": 0.8}] + [{"neutral": 1.0}] * 5)
    (stretch,) = made
    assert (stretch.label, stretch.score) == ("explicit", 0.9)
    assert (stretch.span.start.seconds, stretch.span.end.seconds) == (3, 6)
    assert stretch.data["pictures"] == 3
    assert [o.label for o in decided([{"sexy": 0.8}])] == ["suggestive"]
    assert [o.label for o in decided([{"drawing": 0.99}])] == ["safe"]


def test_thresholds_and_fewest_pictures_are_settings():
    flash = [{"porn": 0.75}] + [{"neutral": 1.0}] * 6
    assert [o.label for o in decided(flash)] == ["explicit"]
    assert [o.label for o in decided(flash, explicit=0.8)] == ["safe"]
    assert [o.label for o in decided(flash, least_pictures=2)] == ["safe"]


class TestContract(AnalyzerContract):
    """On a real clip."""

    path: ClassVar[str] = ""

    @pytest.fixture(autouse=True)
    def _clip(self, data):
        type(self).path = str(data("clips/carphone.mp4"))

    def make(self):
        return stages()

    def open_source(self):
        return open_source(self.path)
