"""Scenes hold together what alternates, and chapters cover the whole video."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.analyzers.keyframes.analyzer import Keyframes
from onlooker.analyzers.keyframes.config import KeyframesConfig
from onlooker.analyzers.scenes.analyzer import Scenes
from onlooker.analyzers.scenes.config import ScenesConfig
from onlooker.analyzers.scenes.grouping import SceneBuilder, Shot
from onlooker.analyzers.shots.analyzer import Shots
from onlooker.analyzers.shots.config import ShotsConfig
from onlooker.core.analyzer import Context, Window
from onlooker.core.media import SourceInfo
from onlooker.core.observation import Observation
from onlooker.core.time import Span, Timestamp
from onlooker.sources import open_source
from onlooker.testing.analyzer import AnalyzerCase, check_analyzer


def look(name: str) -> np.ndarray:
    """A unit vector, another for each letter."""
    vector = np.random.default_rng(ord(name)).normal(size=64)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def film(letters: str, seconds: float = 5, fades: tuple[int, ...] = ()) -> list[Observation]:
    """Shots and their keyframes: the same letter looks the same."""
    made = []
    for i, letter in enumerate(letters):
        span = Span.of_seconds(Fraction(i) * Fraction(seconds), Fraction(i + 1) * Fraction(seconds))
        transition = None if i == 0 else "fade" if i in fades else "cut"
        made.append(Observation(span, "shot", data={"index": i, "transition": transition}))
        middle = Span(span.start, span.start)
        made.append(Observation(middle, "keyframe", data={"shot": i}, vector=look(letter), vector_space="look-1"))
    return made


def group(observations: list[Observation], portion: int = 3, **config) -> list[Observation]:
    analyzer = Scenes(ScenesConfig(**config))
    analyzer.open(Context(SourceInfo("0" * 32, "x", "x", None, None, None)))
    made: list[Observation] = []
    for start in range(0, len(observations), portion):
        made += analyzer.analyze(Window((), observations[start : start + portion], Timestamp.of_seconds(10**6)))
    return made + list(analyzer.flush())


def first_shots(made: list[Observation]) -> list[int]:
    return [int(str(o.data["first_shot"])) for o in made if o.kind == "scene"]


def test_a_dialogue_is_one_scene_and_the_next_place_another():
    assert first_shots(group(film("ABABABCDCDCDEFEF"))) == [0, 6, 12]


def test_the_same_place_much_later_is_another_scene():
    letters = "AAAA" + "BCDEFGHIJKLMNOP" + "AAAA"
    made = group(film(letters, seconds=20))
    assert first_shots(made)[0] == 0
    assert first_shots(made)[-1] == 19


def test_short_scenes_join_a_neighbour():
    assert first_shots(group(film("AAAABAAAA", seconds=2), link_shots=1)) == [0, 5]


def test_chapters_start_at_zero_cover_all_and_are_long_enough():
    letters = "ABAB" * 8 + "CDCD" * 8 + "EFEF" * 8
    made = group(film(letters))
    chapters = [o for o in made if o.kind == "chapter"]
    assert [o.label for o in chapters] == ["Chapter 1", "Chapter 2", "Chapter 3"]
    assert [o.span.start.seconds for o in chapters] == [0, 160, 320]
    assert chapters[-1].span.end.seconds == 480


@given(st.text("ABCDE", min_size=1, max_size=60), st.integers(1, 12), st.floats(1, 40))
def test_scenes_and_chapters_always_cover_the_video_without_gap(letters, portion, seconds):
    observations = film(letters, seconds)
    made = group(observations, portion)
    assert made == group(observations, len(observations))
    end = observations[-2].span.end
    for kind in ("scene", "chapter"):
        spans = [o.span for o in made if o.kind == kind]
        assert spans[0].start.value == 0
        assert spans[-1].end == end
        assert all(a.end == b.start for a, b in itertools.pairwise(spans))
    chapters = [o.span for o in made if o.kind == "chapter"]
    assert len(chapters) == 1 or min(float(c.duration) for c in chapters) >= 59.99
    assert sum(int(str(o.data["shots"])) for o in made if o.kind == "scene") == len(letters)


def test_days_of_one_scene_keep_few_shots():
    builder = SceneBuilder(similarity=0.8, link_shots=8, link_seconds=60, min_scene=8)
    for i in range(5000):
        builder.push(Shot(Span.of_seconds(i * 5, i * 5 + 5), i, "cut", look("A")))
    assert sum(len(g.recent) for g in builder._groups) <= 8
    (scene,) = builder.finish()
    assert (scene.first_shot, scene.last_shot) == (0, 4999)


def test_shots_without_keyframes_are_no_error():
    made = group([o for o in film("ABAB") if o.kind == "shot"])
    assert {o.kind for o in made} == {"scene", "chapter"}
    assert made[-1].span.end.seconds == 20.0


@pytest.mark.parametrize("clip", ["shots/rings_195.mp4"])
def test_contract(data, clip):
    def make():
        return [Shots(ShotsConfig()), Keyframes(KeyframesConfig()), Scenes(ScenesConfig())]

    check_analyzer(AnalyzerCase(make, open_source(str(data(clip)))))
