"""Metrics of boxes on pictures, defined as COCO's (Lin et al. 2014, arXiv 1405.0312).

Of each picture and class at most 100 boxes are compared, best first. A box counts for the free true box that it
overlaps most, if by at least the threshold; what lies in a crowd and on no other is left out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["OVERLAPS", "Matches", "box_average_precision", "intersection_over_union", "matches"]

Array = NDArray[Any]
OVERLAPS = np.linspace(0.5, 0.95, 10)
_MOST = 100
_RECALLS = np.linspace(0, 1, 101)


def _shared(first: Array, second: Array) -> tuple[Array, Array, Array]:
    """Intersections (n, m), and the areas (n,) and (m,)."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    areas = (np.prod(np.maximum(b[:, 2:] - b[:, :2], 0), axis=1) for b in (first, second))
    return np.prod(np.maximum(high - low, 0), axis=2), *areas


def intersection_over_union(first: Array, second: Array) -> Array:
    """(n, m) of boxes (n, 4) and (m, 4): left, top, right, bottom.

    >>> intersection_over_union(np.array([[0, 0, 2, 1.0]]), np.array([[1, 0, 3, 1.0]])).round(4).tolist()
    [[0.3333]]
    """
    shared, a, b = _shared(first, second)
    return shared / np.maximum(a[:, None] + b - shared, 1e-12)


class Matches(NamedTuple):
    """What was found on n pictures, box by box, the best first, and what there is.

    Args:
        picture, label, score: (k,): of each box.
        right: (k, 10): whether it is right at each of `OVERLAPS`.
        ignored: (k, 10): whether it counts for nothing there.
        totals: (n, labels): how many boxes there are.
    """

    picture: Array
    label: Array
    score: Array
    right: Array
    ignored: Array
    totals: Array


def matches(found: list[Array], true: list[Array], labels: int) -> Matches:
    """Compare what was found with what there is.

    Args:
        found: of each picture (k, 6): left, top, right, bottom, score, label.
        true: of each picture (m, 6): left, top, right, bottom, label, 1 for a crowd else 0.
        labels: how many there are.
    """
    rows: list[tuple[Array, ...]] = []
    totals = np.zeros((len(true), labels), np.int64)
    for picture, (ours, theirs) in enumerate(zip(found, true, strict=True)):
        np.add.at(totals[picture], theirs[theirs[:, 5] == 0, 4].astype(int), 1)
        for label in np.unique(ours[:, 5]):
            some = ours[ours[:, 5] == label]
            some = some[np.argsort(-some[:, 4], kind="stable")[:_MOST]]
            right, ignored = _matched(some[:, :4], theirs[theirs[:, 4] == label])
            which = np.full(len(some), picture), some[:, 5].astype(np.int64)
            rows.append((*which, some[:, 4], right, ignored))
    if not rows:
        none, nothing = np.zeros(0, np.int64), np.zeros((0, len(OVERLAPS)), bool)
        return Matches(none, none, np.zeros(0), nothing, nothing, totals)
    picture, label, score, right, ignored = (np.concatenate(column) for column in zip(*rows, strict=True))
    order = np.argsort(-score, kind="stable")
    return Matches(picture[order], label[order], score[order], right[order], ignored[order], totals)


def _matched(boxes: Array, true: Array) -> tuple[Array, Array]:
    """(k, 10) right and ignored, of boxes of one label on one picture, the best first."""
    right = np.zeros((len(boxes), len(OVERLAPS)), bool)
    ignored = np.zeros_like(right)
    if not len(true):
        return right, ignored
    crowd = true[:, 5] > 0
    shared, ours, theirs = _shared(boxes, true[:, :4])
    # of a crowd it counts how much of the box lies in it
    overlap = shared / np.maximum(ours[:, None] + np.where(crowd, 0, theirs - shared), 1e-12)
    free = np.ones((len(OVERLAPS), len(true)), bool)
    levels = np.arange(len(OVERLAPS))
    for n in np.flatnonzero(overlap.max(1) >= OVERLAPS[0]):
        open_ones = np.where(free & ~crowd, overlap[n], -1.0)
        best = open_ones.argmax(1)
        right[n] = open_ones[levels, best] >= OVERLAPS
        free[levels[right[n]], best[right[n]]] = False
        ignored[n] = ~right[n] & (np.where(crowd, overlap[n], -1.0).max() >= OVERLAPS)
    return right, ignored


def box_average_precision(of: Matches, pictures: Array | None = None) -> NDArray[np.float64]:
    """(labels, 10): average precision at each of `OVERLAPS`, over 101 points of recall; -1 where a label is not there.

    Args:
        of: the matches.
        pictures: numbers of pictures to take, each as often as it is named; None: all once.
    """
    count, labels = of.totals.shape
    weight = np.ones(count) if pictures is None else np.bincount(pictures, minlength=count).astype(np.float64)
    totals = weight @ of.totals
    made = np.full((labels, len(OVERLAPS)), -1.0)
    for label in np.flatnonzero(totals):
        ours = np.flatnonzero((of.label == label) & (weight[of.picture] > 0))
        worth = weight[of.picture[ours], None] * ~of.ignored[ours]
        right = (worth * of.right[ours]).cumsum(0)
        precision = right / np.maximum(worth.cumsum(0), 1e-12)
        precision = np.maximum.accumulate(precision[::-1], 0)[::-1]
        for level in range(len(OVERLAPS)):
            at = np.searchsorted(right[:, level] / totals[label], _RECALLS)
            reached = at < len(ours)
            made[label, level] = precision[at[reached], level].sum() / len(_RECALLS)
    return made
