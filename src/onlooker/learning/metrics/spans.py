"""Metrics of spans in time: stretches of steps that were found against those that there are.

All stretches of all samples and labels are matched at once. A stretch that was found counts for the true one that it
overlaps most (intersection over union, IoU), and a true one counts once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from onlooker.learning.metrics.curves import average_precision

__all__ = ["Stretches", "span_average_precision", "span_f1", "stretches"]

Array = NDArray[Any]


class Stretches(NamedTuple):
    """Runs of steps, in the order of sample, label and time.

    Args:
        sample, label: (m,): where.
        start, end: (m,): steps, half-open.
    """

    sample: Array
    label: Array
    start: Array
    end: Array


def stretches(on: Array) -> Stretches:
    """The runs of True along the steps of (n, T, labels).

    >>> stretches(np.array([[[1], [1], [0], [1]]], bool)).start.tolist()
    [0, 3]
    """
    series = np.moveaxis(on, 2, 1).astype(np.int8)
    change = np.diff(series, axis=2, prepend=0, append=0)
    sample, label, start = np.nonzero(change == 1)
    return Stretches(sample, label, start, np.nonzero(change == -1)[2])


def _numbered(on: Array) -> Array:
    """(n, labels, T): the number of the run that each step belongs to, -1 outside of all."""
    series = np.moveaxis(on, 2, 1)
    begins = np.diff(series.astype(np.int8), axis=2, prepend=0) == 1
    return np.where(series, begins.ravel().cumsum().reshape(series.shape) - 1, -1)


def _best(found: Array, true: Array) -> tuple[Array, Array]:
    """Of each run found: the number of the true run that it overlaps most, and their IoU; -1 and 0 where none."""
    a, b = _numbered(found), _numbered(true)
    ours, theirs = (np.bincount(x[x >= 0], minlength=x.max(initial=-1) + 1) for x in (a, b))
    number, share = np.full(len(ours), -1), np.zeros(len(ours))
    both = (a >= 0) & (b >= 0)
    pairs, shared = np.unique(a[both].astype(np.int64) * max(1, len(theirs)) + b[both], return_counts=True)
    first, second = np.divmod(pairs, max(1, len(theirs)))
    overlap = shared / (ours[first] + theirs[second] - shared)
    order = np.argsort(overlap, kind="stable")
    number[first[order]], share[first[order]] = second[order], overlap[order]
    return number, share


def span_f1(found: Array, true: Array, overlap: float) -> float | None:
    """F1 of runs over all labels, right from an IoU on (Lea et al. 2017, arXiv 1611.05267); None: there are none.

    Args:
        found: (n, T, labels) bool.
        true: of the same shape.
        overlap: least IoU.

    >>> span_f1(np.array([[[1], [1], [0], [1]]], bool), np.array([[[1], [1], [1], [0]]], bool), 0.5)
    0.6666666666666666
    """
    number, share = _best(found, true)
    total = len(number) + len(stretches(true).start)
    if not total:
        return None
    right = len(np.unique(number[share >= overlap]))
    return float(2 * right / total)


def span_average_precision(scores: Array, found: Array, true: Array, overlaps: tuple[float, ...]) -> float | None:
    """Mean over labels and IoU of the average precision of runs, scored by the mean over their steps.

    Labels that never occur are left out; None: none occurs.

    Args:
        scores: (n, T, labels).
        found: of the same shape, bool: the runs.
        true: of the same shape, bool.
        overlaps: IoU from which a run is right.
    """
    runs, there = stretches(found), stretches(true)
    number, share = _best(found, true)
    series = np.concatenate([np.zeros_like(scores[:, :1]), scores.cumsum(1)], 1)
    sums = series[runs.sample, runs.end, runs.label] - series[runs.sample, runs.start, runs.label]
    score = sums / (runs.end - runs.start)
    order = np.argsort(-score, kind="stable")
    parts: list[float] = []
    for overlap in overlaps:
        hit = np.zeros(len(score), bool)
        good = order[share[order] >= overlap]
        hit[good[np.unique(number[good], return_index=True)[1]]] = True
        for label in np.unique(there.label):
            ours, total = runs.label == label, (there.label == label).sum()
            part = average_precision(score[ours], hit[ours]) or 0.0
            parts.append(part * hit[ours].sum() / total)
    return float(np.mean(parts)) if parts else None
