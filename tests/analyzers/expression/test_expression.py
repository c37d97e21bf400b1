"""The real networks on real faces."""

from __future__ import annotations

import itertools
import os
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.analyzers._states import StateSpans
from onlooker.analyzers.expression.analyzer import Expression
from onlooker.analyzers.expression.config import ExpressionConfig
from onlooker.analyzers.faces.analyzer import Faces
from onlooker.analyzers.faces.config import FacesConfig
from onlooker.core.errors import ModelMissing
from onlooker.core.time import Span, Timestamp
from onlooker.models import model_path
from onlooker.sources import open_source
from onlooker.testing.analyzer import AnalyzerContract
from onlooker.testing.drive import drive


@pytest.fixture(scope="module", autouse=True)
def models():
    try:
        return [model_path(name) for name in ("centerface", "face-expression", "face-age-gender")]
    except ModelMissing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


class TestContract(AnalyzerContract):
    @pytest.fixture(autouse=True)
    def _data(self, data):
        type(self).clip = data("clips/tv_whitehouse_performance.mp4")

    def make(self):
        return [Faces(FacesConfig(rate=2.5)), Expression(ExpressionConfig(age=True))]

    def open_source(self):
        return open_source(str(self.clip))


def run(path, **settings):
    source = open_source(str(path))
    try:
        return drive([Faces(FacesConfig()), Expression(ExpressionConfig(**settings))], source)
    finally:
        source.close()


def test_a_laughing_face_is_happy_and_nothing_is_said_of_age_unasked(data):
    made = run(data("clips/talking_face_signer_blue.mp4"))
    told = [o for o in made if o.kind == "expression"]
    assert told
    assert all(abs(sum(o.data["probabilities"].values()) - 1) < 0.02 for o in told)
    assert all(o.track == "face-1" for o in told)
    assert not [o for o in made if o.kind == "age"]


def test_stretches_of_a_track_do_not_overlap_and_lie_within_it(data):
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
    assert all(5 < o.data["years"] < 80 for o in ages)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 4)), min_size=1, max_size=30), st.integers(0, 10))
def test_states_cover_all_moments_once_and_short_ones_are_swallowed(moments, least):
    spans = StateSpans(least / 10, 100)
    at, made = 0, []
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
