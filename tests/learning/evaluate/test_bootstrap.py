"""Intervals cover what they say, over units and not over samples; tests of difference know an even match."""

from __future__ import annotations

import numpy as np
import pytest

from onlooker.learning.datasets.manifest import Media, Sample
from onlooker.learning.evaluate.bootstrap import drawn, exact_interval, interval, mcnemar, p_value, units_of


def samples(groups):
    return [Sample(id=str(n), text="a", groups={"source": str(g)}) for n, g in enumerate(groups)]


def between(values, groups, *, draws=200):
    units = units_of(samples(groups))
    found = drawn(lambda rows: {"mean": float(values[rows].mean())}, np.arange(len(values)), units, draws=draws)
    made = interval(found.values["mean"])
    assert made is not None
    return made


@pytest.mark.parametrize("each", [1, 6])
def test_intervals_cover_the_truth_about_as_often_as_they_say(each):
    """Samples of a source are nearly the same, so that drawing samples one by one would cover far too seldom."""
    random = np.random.default_rng(0)
    tries, hits, naive = 250, 0, 0
    for _ in range(tries):
        groups = np.repeat(np.arange(30), each)
        values = random.normal(0.5, 1, 30)[groups] + random.normal(0, 0.1, len(groups))
        low, high = between(values, groups)
        hits += low <= 0.5 <= high
        low, high = between(values, range(len(groups)))
        naive += low <= 0.5 <= high
    assert hits / tries > 0.88  # 0.92 for 30 units, as percentile intervals are a little narrow
    if each > 1:
        assert naive / tries < 0.7


def test_units_join_over_groups_files_and_chains_of_both():
    def sample(number, path, **groups):
        return Sample(id=str(number), media=(Media(path=path, kind="video"),), groups=groups)

    rows = [
        sample(1, "a.mp4", person="Ann"),
        sample(2, "b.mp4", person="Bob"),
        sample(3, "b.mp4", source="x"),
        sample(4, "c.mp4", source="x"),
        sample(5, "d.mp4", person="Ann"),
    ]
    number = units_of(rows).number
    assert number[1] == number[2] == number[3] != number[0] == number[4]
    assert units_of(rows, ("person",)).count == 3
    assert "source" in units_of(rows).said
    alone = units_of([sample(1, "a.mp4"), sample(2, "a.mp4")])
    assert alone.count == 2
    assert "all share" in alone.said


def test_draws_are_those_of_the_seed():
    values, groups = np.random.default_rng(1).normal(size=40), np.arange(40) // 2
    assert between(values, groups) == between(values, groups)


def test_a_share_that_never_differs_has_an_honest_interval():
    low, high = exact_interval(True, 20)
    assert (round(low, 3), high) == (0.832, 1.0)
    assert exact_interval(False, 20) == (0.0, 1 - low)


def test_mcnemar_is_the_exact_binomial_test():
    assert mcnemar(5, 5) == 1.0
    assert mcnemar(0, 6) == pytest.approx(2 / 64)
    assert mcnemar(10, 2) == mcnemar(2, 10) == pytest.approx(0.03857421875)


def test_p_values_of_no_difference_are_large_and_of_a_clear_one_small():
    random = np.random.default_rng(0)
    assert (p_value(random.normal(0, 1, 1000)) or 0) > 0.5
    assert (p_value(random.normal(5, 1, 1000)) or 1) < 0.01
    assert p_value(np.zeros(0)) is None
