"""Chapters follow what is said and are titled; without speech they are those of the pictures."""

from __future__ import annotations

import itertools
import os
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import pytest

from analyzers.script import Script, said, silence, told
from onlooker import models
from onlooker.analyzers.scenes.analyzer import Scenes
from onlooker.analyzers.scenes.config import ScenesConfig
from onlooker.analyzers.scenes.words import best_cuts
from onlooker.core.observation import Box, Observation
from onlooker.core.time import Span
from onlooker.models.sentences import MODELS
from onlooker.sources import open_source
from onlooker.testing.analyzer import AnalyzerContract

SOUP = [
    "First chop two onions and a few cloves of garlic.",
    "Fry them gently in olive oil until they are golden.",
    "Then add the tomatoes and a pinch of salt.",
    "Let the soup simmer for thirty minutes.",
    "Blend everything until the soup is smooth.",
    "Serve the soup hot with toasted bread.",
]
SPACE = [
    "火箭今天早上成功发射升空。",
    "飞船八分钟后进入了地球轨道。",
    "航天员将在空间站工作六个月。",
    "明年探测器将飞往木星的卫星。",
    "科学家希望在那里找到水。",
    "将来人类可能登上火星。",
]


@pytest.fixture(autouse=True)
def _models():
    for name in MODELS:
        if models.state(name) != "pulled":
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"the model {name} is not here")


def film(seconds: int, shot: int = 7) -> list[Observation]:
    """Shots of ``shot`` seconds, each looking like no other."""
    made: list[Observation] = []
    for i, start in enumerate(range(0, seconds, shot)):
        span = Span.of_seconds(Fraction(start), Fraction(min(start + shot, seconds)))
        look = np.zeros(64, np.float32)
        look[i % 64] = 1
        made.append(Observation(span, "shot", data={"index": i, "transition": "cut"}))
        middle = Span(span.start, span.start)
        made.append(Observation(middle, "keyframe", data={"shot": i}, vector=look, vector_space="look-1"))
    return made


def talk(start: float = 0) -> list[Observation]:
    """36 s on soup, 36 s on space."""
    return [said(start + 6 * i, start + 6 * i + 5, text) for i, text in enumerate([*SOUP, *SPACE])]


def slide(start: float, end: float, text: str, top: float, role: str = "slide") -> Observation:
    span = Span.of_seconds(Fraction(start), Fraction(end))
    box = Box(0.1, top, 0.9, top + 0.1)
    return Observation(span, "text", 0.95, box=box, text=text, data={"role": role, "language": "en"})


def chapters(lines: list[Observation], **settings: Any) -> list[Observation]:
    made = told(Scenes(ScenesConfig(words=True, **settings)), sorted(lines, key=lambda o: o.span.start), portion=5)
    return [o for o in made if o.kind == "chapter"]


def test_a_chapter_begins_where_the_subject_changes():
    first, second = chapters([*film(72), *talk()])
    assert first.span.start.value == 0
    assert first.span.end == second.span.start
    assert abs(second.span.start.seconds - 36) <= 1.5
    assert second.span.end.seconds == 72
    assert "soup" in str(first.text).lower()
    assert set(str(second.text)) & set("航天火箭轨道探测")
    assert (first.label, first.data["title_from"]) == ("Chapter 1", "speech")


def test_a_slide_gives_the_title_and_the_moment():
    lines = [slide(34.8, 60, "Missions to other planets", 0.05), slide(34.8, 60, "1. Jupiter and its moons", 0.3)]
    second = chapters([*film(72), *talk(), *lines])[1]
    assert (second.text, second.data["title_from"]) == ("Missions to other planets", "slide")
    assert second.span.start.seconds == 34.8


def test_without_enough_speech_the_pictures_decide():
    quiet = chapters(film(200))
    looks = [o for o in told(Scenes(ScenesConfig()), film(200)) if o.kind == "chapter"]
    assert quiet == looks
    assert chapters([*film(200), *talk()[:4]]) == looks
    assert all(o.text is None for o in looks)


def test_one_subject_is_one_chapter_and_limits_hold():
    assert len(chapters([*film(36), *talk()[:6]])) == 1
    assert len(chapters([*film(72), *talk()], max_chapters=1)) == 1
    assert len(chapters([*film(72), *talk()], min_chapter_seconds=50)) == 1


def test_chapters_cover_the_video_though_speech_goes_on_after_it():
    made = chapters([*film(60), *talk()])
    assert made[0].span.start.value == 0
    assert made[-1].span.end.seconds == 60
    assert all(a.span.end == b.span.start for a, b in itertools.pairwise(made))
    assert all(o.span.duration > 0 for o in made)


def test_the_division_is_the_best_one():
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(9, 4))
    times = np.arange(10.0)

    def worth(cuts: tuple[int, ...]) -> float:
        edges = [0, *cuts, 9]
        lengths = [np.linalg.norm(vectors[a:b].sum(axis=0)) for a, b in itertools.pairwise(edges)]
        return float(sum(lengths)) - 0.9 * len(cuts)

    every = [c for k in range(5) for c in itertools.combinations(range(1, 9), k)]
    fits = [c for c in every if all(b - a >= 2 for a, b in itertools.pairwise([0, *c, 9]))]
    got = best_cuts(vectors, np.full(8, 0.9), times, 2, 20)
    assert worth(tuple(got)) == pytest.approx(max(map(worth, fits)))


class TestContract(AnalyzerContract):
    """Over a script of shots and two subjects."""

    path: ClassVar[str] = ""

    @pytest.fixture(autouse=True)
    def _clip(self, tmp_path):
        if not type(self).path:
            type(self).path = silence(tmp_path / "silence.wav", 72)

    def make(self):
        return [Script([*film(72), *talk()]), Scenes(ScenesConfig(words=True))]

    def open_source(self):
        return open_source(self.path)
