"""Confidence intervals over what is independent: sources, persons and files are drawn, not samples of them.

Samples that share a group (source, person, ...) or a file are one unit, as they are more alike than others; the
percentile bootstrap (Efron 1979, Bootstrap methods: another look at the jackknife) draws units with replacement.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.learning.datasets.manifest import Sample

__all__ = ["Draws", "Units", "drawn", "exact_interval", "interval", "mcnemar", "p_value", "units_of"]

Rows = NDArray[np.intp]
Measure = Callable[[Rows], Mapping[str, float]]
_LEAST_DRAWS = 200


@dataclass(frozen=True, slots=True)
class Units:
    """What is drawn.

    Args:
        number: (samples,): of the unit of each sample.
        count: of units.
        said: what a unit is, for people.
    """

    number: NDArray[np.int64]
    count: int
    said: str


def units_of(samples: Sequence[Sample], overlap: Sequence[str] = ()) -> Units:
    """Units of samples that share a group or a file; single samples where all would be one unit.

    Args:
        samples: which.
        overlap: sorts of groups that the dataset allows on several sides, which join nothing.

    >>> rows = [Sample(id=str(n), text="a", groups={"source": g}) for n, g in enumerate("aab")]
    >>> units_of(rows).number.tolist()
    [0, 0, 1]
    """
    root = list(range(len(samples)))

    def find(place: int) -> int:
        while root[place] != place:
            root[place] = root[root[place]]
            place = root[place]
        return place

    first: dict[tuple[str, str], int] = {}
    for place, sample in enumerate(samples):
        keys = [(sort, name) for sort, name in sample.groups.items() if sort not in overlap]
        for key in [*keys, *(("", m.digest or m.path) for m in sample.media)]:
            root[find(place)] = find(first.setdefault(key, place))
    _, number = np.unique([find(n) for n in range(len(samples))], return_inverse=True)
    count = int(number.max()) + 1 if len(number) else 0
    if count < 2 <= len(samples):
        return Units(np.arange(len(samples)), len(samples), "samples, which all share a group or file")
    sorts = sorted({s for sample in samples for s in sample.groups} - set(overlap))
    return Units(number.astype(np.int64), count, f"units that share no {', '.join([*sorts, 'file'])}")


@dataclass(frozen=True, slots=True)
class Draws:
    """Metrics of each draw.

    Args:
        values: by metric, of the draws in which it can be told.
        count: of draws.
    """

    values: dict[str, NDArray[np.float64]]
    count: int


def drawn(
    measure: Measure, owner: NDArray[np.int64], units: Units, *, draws: int = 1000, seed: int = 0, seconds: float = 60.0
) -> Draws:
    """Metrics of samples drawn with replacement, unit by unit; of a single unit there are no draws.

    Args:
        measure: gives the metrics of rows, each as often as it is named; it may be asked for the same rows by two
            bundles, which are then compared draw by draw.
        owner: (rows,): the sample of each row.
        units: of the samples.
        draws: how many, fewer (not below 200) where they would take longer than ``seconds``.
        seed: the same gives the same draws.
        seconds: see ``draws``.
    """
    random = np.random.default_rng(seed)
    number = units.number[owner]
    there, compact = np.unique(number, return_inverse=True)
    order = np.argsort(compact, kind="stable")
    ends = np.cumsum(np.bincount(compact, minlength=len(there)))
    if len(there) < 2:
        # all draws would be the same, as if it were certain
        return Draws({}, 0)
    rows_of = np.split(order, ends[:-1])
    found: dict[str, list[float]] = {}
    began, made = time.monotonic(), 0
    for made in range(1, draws + 1):
        chosen = random.integers(0, len(there), len(there))
        for name, value in measure(np.concatenate([rows_of[n] for n in chosen])).items():
            found.setdefault(name, []).append(value)
        if made >= _LEAST_DRAWS and time.monotonic() - began > seconds:
            break
    return Draws({name: np.array(values) for name, values in found.items()}, made)


def interval(values: NDArray[np.float64], level: float = 0.95) -> tuple[float, float] | None:
    """The middle ``level`` of draws; None of none.

    >>> interval(np.arange(101.0), 0.5)
    (25.0, 75.0)
    """
    if not len(values):
        return None
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def exact_interval(right: bool, units: int, level: float = 0.95) -> tuple[float, float]:
    """Of a share that is 1 (or 0) in all units, where draws never differ: Clopper and Pearson 1934.

    >>> exact_interval(True, 36)[0] > 0.9
    True
    """
    edge = ((1 - level) / 2) ** (1 / max(1, units))
    return (edge, 1.0) if right else (0.0, 1 - edge)


def p_value(differences: NDArray[np.float64]) -> float | None:
    """Two-sided p value of 'no difference' from the draws of a paired difference; never below 1 / draws."""
    if not len(differences):
        return None
    below, above = int((differences <= 0).sum()), int((differences >= 0).sum())
    return min(1.0, 2 * (min(below, above) + 1) / (len(differences) + 1))


def mcnemar(fixed: int, broken: int) -> float:
    """Exact two-sided p value of McNemar's test (McNemar 1947): are samples fixed as often as broken?

    >>> round(mcnemar(8, 1), 4), mcnemar(0, 0)
    (0.0391, 1.0)
    """
    count = fixed + broken
    tail: Any = sum(comb(count, k) for k in range(min(fixed, broken) + 1))
    return float(min(1.0, 2 * tail / 2**count))
