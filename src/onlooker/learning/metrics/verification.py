"""Metrics of vectors that tell individuals apart: are two of the same one, and whose is the nearest?

All pairs are compared. Cosines are counted in bins of 0.0001, so that memory does not grow with the pairs. Rows that
are the same to the last bit are one vector that was drawn several times (as a bootstrap does): they weigh more and are
not compared with each other.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Pairs", "Verification", "pairs_of", "verification"]

Array = NDArray[Any]
_BINS = 20_001
_ROWS = 512


class Pairs(NamedTuple):
    """What the comparison of all pairs gave.

    Args:
        same: (20001,): pairs of one individual by cosine, from 1 down to -1.
        other: (20001,): pairs of two.
        nearest: share of vectors whose nearest other is of the same individual, among those that have such; None where
            none has.
    """

    same: Array
    other: Array
    nearest: float | None


def pairs_of(vectors: Array, individuals: Array) -> Pairs:
    """Compare all pairs.

    Args:
        vectors: (n, size), of any length but 0.
        individuals: (n,): whose.
    """
    rows = np.ascontiguousarray(vectors, np.float32)
    if not len(rows):
        return Pairs(np.zeros(_BINS), np.zeros(_BINS), None)
    keys = rows.view(np.dtype((np.void, rows.shape[1] * rows.itemsize))).ravel()
    _, first, times = np.unique(keys, return_index=True, return_counts=True)
    rows, whose, times = rows[first], individuals[first], times.astype(np.float64)
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    counts = np.zeros(2 * _BINS)
    right = asked = 0.0
    for begin in range(0, len(rows), _ROWS):
        part = slice(begin, min(begin + _ROWS, len(rows)))
        cosines = rows[part] @ rows.T
        mates = whose[part, None] == whose
        itself = np.arange(part.start, part.stop)[:, None] == np.arange(len(rows))
        bins = np.clip(np.rint((1 - cosines) * ((_BINS - 1) / 2)), 0, _BINS - 1).astype(np.int64) + _BINS * ~mates
        later = np.arange(part.start, part.stop)[:, None] < np.arange(len(rows))
        counts += np.bincount(bins[later], (times[part, None] * times)[later], minlength=2 * _BINS)
        if len(rows) > 1:
            cosines[itself] = -2
            has = (mates & ~itself).any(1)
            hit = np.take_along_axis(mates, cosines.argmax(1)[:, None], 1)[:, 0]
            right += float(times[part][has & hit].sum())
            asked += float(times[part][has].sum())
    return Pairs(counts[:_BINS], counts[_BINS:], right / asked if asked else None)


class Verification(NamedTuple):
    """How well two of the same are told from two others.

    Args:
        auc: how often a pair of the same is more alike than a pair of others.
        equal_error: the rate at which as many pairs of others are taken as of the same are refused.
        threshold: the cosine there.
        accepted: share of pairs of the same that are taken where one in a hundred pairs of others is.
    """

    auc: float
    equal_error: float
    threshold: float
    accepted: float


def verification(pairs: Pairs) -> Verification | None:
    """How well pairs are told apart; None where there is no pair of one sort.

    >>> found = verification(pairs_of(np.eye(3, dtype=np.float32)[[0, 0, 1]] + [[0], [0.1], [0]], np.array([0, 0, 1])))
    >>> found.auc, found.equal_error
    (1.0, 0.0)
    """
    if not pairs.same.sum() or not pairs.other.sum():
        return None
    taken = np.append(0.0, pairs.other.cumsum() / pairs.other.sum())
    found = np.append(0.0, pairs.same.cumsum() / pairs.same.sum())
    auc = float((np.diff(taken) * (found[1:] + found[:-1]) / 2).sum())
    gap = taken - (1 - found)
    after = int(np.argmax(gap >= 0))
    share = -gap[after - 1] / (gap[after] - gap[after - 1])
    equal = float(taken[after - 1] + share * (taken[after] - taken[after - 1]))
    # in the middle of the cosines that are as good
    last = int(np.flatnonzero(gap <= gap[after])[-1])
    threshold = 1 - 2 * ((after + last) / 2 - 1) / (_BINS - 1)
    return Verification(auc, equal, float(threshold), float(np.interp(0.01, taken, found)))
