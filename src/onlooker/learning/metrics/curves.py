"""Metrics of one score against yes or no: what a threshold, wherever it is put, would give.

Equal scores are one threshold. What cannot be told, because there is no positive or no negative, is None.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Curve", "average_precision", "best_threshold", "curve_of", "equal_error_rate", "roc_auc"]

Array = NDArray[Any]


class Curve(NamedTuple):
    """Counts at each distinct score, from the highest down.

    Args:
        scores: (m,), descending: what reaches the score counts as found.
        hits: (m,): positives found.
        misses: (m,): negatives found.
    """

    scores: Array
    hits: Array
    misses: Array


def curve_of(scores: Array, positive: Array) -> Curve:
    """The counts at each distinct score.

    Args:
        scores: (n,), higher is more positive.
        positive: (n,), bool or 0 and 1.

    >>> curve_of(np.array([0.9, 0.2, 0.9]), np.array([1, 1, 0])).hits.tolist()
    [1, 2]
    """
    order = np.argsort(-scores, kind="stable")
    scores, positive = scores[order], positive[order].astype(np.int64)
    ends = np.append(np.flatnonzero(scores[1:] != scores[:-1]), len(scores) - 1) if len(scores) else np.zeros(0, int)
    hits = np.cumsum(positive)[ends]
    return Curve(scores[ends], hits, ends + 1 - hits)


def roc_auc(scores: Array, positive: Array) -> float | None:
    """Area under the receiver operating characteristic: how often a positive scores above a negative; ties count half.

    >>> roc_auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]))
    0.75
    """
    _, hits, misses = curve_of(scores, positive)
    if not len(hits) or not hits[-1] or not misses[-1]:
        return None
    steps = np.diff(misses, prepend=0)
    return float((steps * (hits + np.append(0, hits[:-1])) / 2).sum() / (hits[-1] * misses[-1]))


def average_precision(scores: Array, positive: Array) -> float | None:
    """Precision averaged over the positives: the sum of precision times gain in recall, without interpolation.

    >>> round(average_precision(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1])), 4)
    0.8333
    """
    _, hits, misses = curve_of(scores, positive)
    if not len(hits) or not hits[-1]:
        return None
    return float((np.diff(hits, prepend=0) * hits / (hits + misses)).sum() / hits[-1])


def best_threshold(scores: Array, positive: Array, total: int | None = None) -> tuple[float, float] | None:
    """The threshold with the best F1, and that F1; in the middle between two scores, the highest of equals.

    Args:
        scores: (n,), higher is more positive.
        positive: (n,), bool or 0 and 1.
        total: how many positives there are, where not all of them have a score.

    >>> best_threshold(np.array([0.1, 0.4, 0.6, 0.8]), np.array([0, 0, 1, 1]))
    (0.5, 1.0)
    """
    distinct, hits, misses = curve_of(scores, positive)
    if not len(hits) or not hits[-1]:
        return None
    f1 = 2 * hits / (hits + misses + (hits[-1] if total is None else total))
    best = int(f1.argmax())
    below = distinct[best + 1] if best + 1 < len(distinct) else distinct[best]
    return float((distinct[best] + below) / 2), float(f1[best])


def equal_error_rate(scores: Array, positive: Array) -> float | None:
    """Where as large a share of negatives is taken as of positives is refused; between two thresholds by a line.

    >>> equal_error_rate(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]))
    0.5
    """
    _, hits, misses = curve_of(scores, positive)
    if not len(hits) or not hits[-1] or not misses[-1]:
        return None
    taken = np.append(0.0, misses / misses[-1])
    refused = np.append(1.0, 1 - hits / hits[-1])
    after = int(np.argmax(taken >= refused))
    gap = taken - refused
    share = -gap[after - 1] / (gap[after] - gap[after - 1])
    return float(taken[after - 1] + share * (taken[after] - taken[after - 1]))
