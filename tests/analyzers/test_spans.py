"""Stretches depend on the samples alone, have their limits where the values cross, and keep to their lengths."""

from __future__ import annotations

import itertools
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from onlooker.analyzers._spans import StretchFinder
from onlooker.core.time import Timestamp

TENTH = Fraction(1, 10)


def find(values, **settings):
    finder = StretchFinder(1.0, 0.5, **{"minimum": Fraction(0), **settings})
    made = []
    for i, value in enumerate(values):
        made += finder.feed(Timestamp(i, TENTH), value)
    return made + finder.flush(Timestamp(len(values), TENTH))


def limits(stretches):
    return [(s.start.pts, round(s.end.value * 10)) for s in stretches]


def test_hysteresis():
    assert limits(find([0, 0.7, 1, 0.7, 0.4, 0.7, 1])) == [(2, 4), (6, 7)]


def test_short_ones_are_dropped_and_gaps_bridged():
    values = [1, 0, 1, 1, 1, 0, 0, 0, 1]
    assert limits(find(values, gap=TENTH, minimum=Fraction(3, 10))) == [(0, 5)]
    (stretch,) = find(values, gap=TENTH, minimum=Fraction(3, 10))
    assert (stretch.count, stretch.seen) == (4, 5)


def test_missing_frames_end_a_stretch():
    finder = StretchFinder(1.0, 0.5, minimum=Fraction(0), hold=Fraction(1))
    made = [*finder.feed(Timestamp(0, TENTH), 1.0), *finder.feed(Timestamp(100, TENTH), 1.0)]
    assert limits(made) == [(0, 10)]


def test_not_a_number_is_low():
    assert limits(find([1, float("nan"), 1])) == [(0, 1), (2, 3)]


@given(st.lists(st.floats(0, 2), max_size=40), st.integers(0, 5), st.integers(0, 8), st.integers(5, 20))
def test_stretches_are_apart_in_order_and_cover_all_high_values(values, gap, minimum, longest):
    made = find(values, gap=gap * TENTH, minimum=minimum * TENTH, longest=longest * TENTH)
    for a, b in itertools.pairwise(made):
        assert a.end <= b.start
    if not minimum:
        covered = {i for s in made for i in range(s.start.pts, round(s.end.value * 10))}
        assert {i for i, v in enumerate(values) if v >= 1} <= covered
    for s in made:
        assert s.peak >= 1 or s.start.pts > 0
        assert s.end - s.start <= (longest + gap + 1) * TENTH
