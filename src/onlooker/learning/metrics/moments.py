"""Metrics of moments: peaks of scores over steps against the moments that there are.

A peak counts for the moment of its label that is nearest, if that is within a tolerance; of several peaks for one
moment the highest is right and the others are wrong.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from onlooker.learning.metrics.curves import average_precision

__all__ = ["Peaks", "moment_average_precision", "peaks", "right_peaks"]

Array = NDArray[Any]


class Peaks(NamedTuple):
    """Steps whose score is higher than before and not lower than after.

    Args:
        sample, step, label: (m,): where.
        score: (m,): how high.
    """

    sample: Array
    step: Array
    label: Array
    score: Array


def peaks(scores: Array) -> Peaks:
    """All peaks of (n, T, labels): the non-maximum suppression of three steps of Zhou et al. 2019, arXiv 1904.07850.

    >>> peaks(np.array([[[0.1], [0.9], [0.9], [0.2], [0.3]]])).step.tolist()
    [1, 4]
    """
    edge = np.full_like(scores[:, :1], -np.inf)
    before = np.concatenate([edge, scores[:, :-1]], 1)
    after = np.concatenate([scores[:, 1:], edge], 1)
    sample, step, label = np.nonzero((scores > before) & (scores >= after))
    return Peaks(sample, step, label, scores[sample, step, label])


def right_peaks(found: Peaks, moments: Array, tolerance: float) -> NDArray[np.bool_]:
    """Which peaks are right.

    Args:
        found: the peaks.
        moments: (n, T, labels): in steps from the beginning, infinite where there is none; at most one a step.
        tolerance: in steps; peaks lie in the middle of theirs.
    """
    right = np.zeros(len(found.score), np.bool_)
    there = (moments < np.inf).max(axis=1)
    asked = np.flatnonzero(there[found.sample, found.label])
    if not len(asked):
        return right
    sample, label = found.sample[asked], found.label[asked]
    apart = np.abs(found.step[asked, None] + 0.5 - moments[sample, :, label])
    nearest = apart.argmin(1)
    within = np.flatnonzero(apart[np.arange(len(asked)), nearest] <= tolerance)
    order = within[np.argsort(-found.score[asked[within]], kind="stable")]
    which = (sample * moments.shape[1] + nearest) * moments.shape[2] + label
    right[asked[order[np.unique(which[order], return_index=True)[1]]]] = True
    return right


def moment_average_precision(scores: Array, moments: Array, tolerances: tuple[float, ...]) -> float | None:
    """Mean over labels and tolerances of the average precision of peaks (E2E-Spot: Hong et al. 2022, arXiv 2207.10213).

    Labels that never occur are left out; None: none occurs.

    Args:
        scores: (n, T, labels).
        moments: see `right_peaks`.
        tolerances: in steps.
    """
    found = peaks(scores)
    totals = np.isfinite(moments).sum((0, 1))
    parts: list[float] = []
    for tolerance in tolerances:
        right = right_peaks(found, moments, tolerance)
        for label in np.flatnonzero(totals):
            ours = found.label == label
            part = average_precision(found.score[ours], right[ours]) or 0.0
            parts.append(part * float(right[ours].sum()) / float(totals[label]))
    return float(np.mean(parts)) if parts else None
