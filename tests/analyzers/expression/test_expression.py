"""The real networks on real faces."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from onlooker.analyzers._faces import upright_crop
from onlooker.analyzers._states import State, StateSpans
from onlooker.analyzers.expression.analyzer import Expression
from onlooker.analyzers.expression.config import ExpressionConfig
from onlooker.analyzers.faces.analyzer import Faces
from onlooker.analyzers.faces.config import FacesConfig
from onlooker.core.analyzer import Analyzer
from onlooker.core.errors import ModelMissing
from onlooker.core.media import Source
from onlooker.core.observation import Observation
from onlooker.core.time import Span, Timestamp
from onlooker.models import model_path
from onlooker.sources import open_source
from onlooker.testing.analyzer import AnalyzerContract
from onlooker.testing.drive import drive

Data = Callable[[str], Path]
Write = Callable[..., Path]


@pytest.fixture(scope="module", autouse=True)
def models() -> list[Path]:
    try:
        return [model_path(name) for name in ("centerface", "face-expression", "face-age-gender")]
    except ModelMissing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


class TestContract(AnalyzerContract):
    clip: ClassVar[Path]

    @pytest.fixture(autouse=True)
    def _data(self, data: Data) -> None:
        TestContract.clip = data("clips/tv_whitehouse_performance.mp4")

    def make(self) -> Sequence[Analyzer[Any]]:
        return [Faces(FacesConfig(rate=2.5)), Expression(ExpressionConfig(age=True))]

    def open_source(self) -> Source:
        return open_source(str(self.clip))


def run(path: Path, **settings: Any) -> list[Observation]:
    source = open_source(str(path))
    try:
        return drive([Faces(FacesConfig()), Expression(ExpressionConfig(**settings))], source)
    finally:
        source.close()


def field(observation: Observation, name: str) -> Any:
    """One of the kind's own fields."""
    return observation.data[name]


def posed(data: Data, *parts: tuple[str, float]) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
    """Pictures at 25 a second of one subject who shows each expression for so many seconds."""
    with np.load(data("ckplus48/ckplus48.npz"), allow_pickle=False) as held:
        images, labels, classes, subjects = (held[k] for k in ("images", "labels", "classes", "subjects"))
    shown: list[np.ndarray[Any, np.dtype[np.uint8]]] = []
    for name, seconds in parts:
        number = list(classes).index(name)
        face = images[(labels == number) & (subjects == "S055")][0]
        big = np.asarray(Image.fromarray(face).resize((160, 160), Image.Resampling.BICUBIC))
        picture = np.repeat(np.pad(big, 48, mode="edge")[..., None], 3, 2)
        shown += [picture] * round(seconds * 25)
    return shown


def test_each_expression_of_a_posing_face_is_told_for_as_long_as_it_lasts(
    data: Data, write: Write, tmp_path: Path
) -> None:
    made = run(write(posed(data, ("surprise", 3), ("happy", 3)), tmp_path / "posed.mp4"))
    told = sorted((o for o in made if o.kind == "expression"), key=lambda o: o.span.start)
    assert [o.label for o in told] == ["surprised", "happy"]
    assert float(told[0].span.duration) == pytest.approx(3, abs=0.8)
    assert told[0].span.end <= told[1].span.start


def test_probabilities_are_whole_and_nothing_is_said_of_age_unasked(data: Data) -> None:
    made = run(data("clips/talking_face_signer_blue.mp4"))
    told = [o for o in made if o.kind == "expression"]
    assert told
    assert all(abs(sum(field(o, "probabilities").values()) - 1) < 0.02 for o in told)
    assert all(o.track == "face-1" for o in told)
    assert not [o for o in made if o.kind == "age"]


def test_stretches_of_a_track_do_not_overlap_and_lie_within_it(data: Data) -> None:
    made = run(data("clips/tv_whitehouse_performance.mp4"), sure=0.0, age=True)
    for track in (o for o in made if o.kind == "face_track"):
        own = sorted((o for o in made if o.kind == "expression" and o.track == track.track), key=lambda o: o.span.start)
        for a, b in itertools.pairwise(own):
            assert a.span.end <= b.span.start
        for o in own:
            assert track.span.start <= o.span.start
            assert o.span.end <= track.span.end
    ages = [o for o in made if o.kind == "age"]
    assert ages
    assert all(5 < field(o, "years") < 80 for o in ages)


def test_a_tilted_face_is_cut_out_upright() -> None:
    rng = np.random.default_rng(1)
    base = np.asarray(Image.fromarray(rng.integers(0, 255, (10, 10, 3), np.uint8)).resize((200, 200)))
    canvas = np.zeros((400, 400, 3), np.uint8)
    canvas[100:300, 100:300] = base
    tilted = np.asarray(Image.fromarray(canvas).rotate(20, Image.Resampling.BILINEAR))
    level, turned = (np.zeros(19, np.float32) for _ in range(2))
    for row, angle in ((level, 0.0), (turned, np.deg2rad(20))):
        row[:4] = 0.3, 0.3, 0.7, 0.7
        # Pillow turns against the clock, so the eye on the right goes up
        row[5:9] = (
            0.5 - 0.1 * np.cos(angle),
            0.45 + 0.1 * np.sin(angle),
            0.5 + 0.1 * np.cos(angle),
            0.45 - 0.1 * np.sin(angle),
        )
    first, second = upright_crop(canvas, level, 1.0, 112), upright_crop(tilted, turned, 1.0, 112)
    inner = (slice(10, 102), slice(10, 102))
    assert np.abs(first[inner].astype(int) - second[inner]).mean() < 6


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 4)), min_size=1, max_size=30), st.integers(0, 10))
def test_states_cover_all_moments_once_and_short_ones_are_swallowed(moments: list[tuple[str, int]], least: int) -> None:
    spans = StateSpans(least / 10, 100)
    at, made = 0, list[State]()
    tick = Fraction(1, 10)
    for label, length in moments:
        span = Span(Timestamp(at, tick), Timestamp(at + length, tick))
        made += spans.take(span, label, np.ones(1))
        at += length
    made += spans.finish()
    assert made[0].start.pts == 0
    assert made[-1].end.pts == at
    assert sum(s.count for s in made) == len(moments)
    for a, b in itertools.pairwise(made):
        assert a.end == b.start
        assert a.label != b.label
        assert float(b.end - b.start) * 10 >= least
