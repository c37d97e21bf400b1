"""Dissolves and fades, from the rolling matrix of distances.

A dissolve is a weighted mean of two pictures: every frame lies on the straight line between the two ends (in
the space of grids), moving from one to the other, whatever the curve of the mix. What remains beside the line is
small; pans, zooms and wipes leave much beside it. Exposure changes lie on a line too, but their ends correlate.
A fade goes through flat frames, with a spread that falls before and rises after.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["FADE", "FLAT", "LENGTHS", "REACH", "Dissolve", "FlatEdge", "dissolve_candidates", "flat_edges"]

FLAT = 3.0
"""A frame whose spread is less shows nothing but one colour."""
FADE = 36
"""Longest fade out or in that is followed, in frames (times the pace)."""

LENGTHS = (5, 7, 10, 14, 19, 26, 34, 46)
"""Distances between the two ends that are tried, in frames (times the pace)."""
REACH = 32
"""A dissolve is compared with others whose middle is at most that far away (times the pace)."""
_INNER = np.array([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6])


@dataclass(frozen=True, slots=True)
class Dissolve:
    """A stretch that looks like a dissolve: positions of its first and last mixed frame, the first frame in which
    the new picture prevails, and how sure it is, 0..1.
    """

    first: int
    middle: int
    last: int
    score: float


def _windows(
    squared: NDArray[np.float64],
    correlation: NDArray[np.float64],
    step: NDArray[np.float64],
    first: int,
    last: int,
    length: int,
    pace: int,
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Starts a of windows [a, a + length] with their middle in [first, last), and how much each looks like a dissolve."""
    half = length // 2
    a = np.arange(first - half, last - half)
    b = a + length
    whole = squared[a, b]
    keep = (whole > 64.0) & (correlation[a, b] < 0.9)
    a, b, whole = a[keep], b[keep], whole[keep]
    if not len(a):
        return a, np.empty(0)
    inner = a[:, None] + np.round(_INNER * length).astype(np.intp)[None, :]
    from_a, to_b = squared[a[:, None], inner], squared[inner, b[:, None]]
    alpha = (from_a + whole[:, None] - to_b) / (2 * whole[:, None])
    beside = np.sqrt(np.maximum(from_a - alpha**2 * whole[:, None], 0).mean(axis=1) / whole)
    profile = np.concatenate([np.zeros((len(a), 1)), alpha, np.ones((len(a), 1))], axis=1)
    rise = np.diff(profile, axis=1)
    steepest = np.max(step[a[:, None] + 1 + np.arange(length)[None, :]], axis=1) / np.sqrt(whole)
    # what moves outside the window would move inside too
    outside = np.concatenate(
        [step[a[:, None] - np.arange(1, 5)[None, :] * pace], step[b[:, None] + np.arange(2, 6)[None, :] * pace]], axis=1
    )
    inside = step[a[:, None] + 1 + np.arange(length)[None, :]].mean(axis=1)
    score = (
        np.clip((0.36 - beside) / 0.24, 0, 1)
        * np.clip((rise.min(axis=1) + 0.06) / 0.06, 0, 1)
        * np.clip((0.62 - rise.max(axis=1)) / 0.15, 0, 1)
        * np.clip((0.75 - steepest) / 0.2, 0, 1)
        * np.clip((np.sqrt(whole) - 6) / 8, 0, 1)
        * np.clip((0.93 - correlation[a, b]) / 0.2, 0, 1)
        * np.clip((inside / (outside.mean(axis=1) + 0.15) - 0.9) / 0.8, 0, 1)
    )
    return a, score


def _profile(squared: NDArray[np.float64], a: int, b: int, low: int, high: int) -> NDArray[np.float64]:
    """How far each frame of [low, high) has gone from frame a to frame b, 0..1 and beyond."""
    at = np.arange(low, high)
    return (squared[a, at] + squared[a, b] - squared[at, b]) / (2 * squared[a, b])


def dissolve_candidates(
    squared: NDArray[np.float64],
    correlation: NDArray[np.float64],
    step: NDArray[np.float64],
    first: int,
    last: int,
    pace: int,
    threshold: float,
) -> list[Dissolve]:
    """Dissolves whose window has its middle in [first, last), each the best of its surroundings.

    Args:
        squared: (size, size) squared distances.
        correlation: (size, size).
        step: (size,) distance of each frame from the one before.
        first: first position of a middle.
        last: one past the last.
        pace: frames per 1/30 s.
        threshold: least score.
    """
    reach = REACH * pace
    found: list[tuple[float, int, int]] = []
    for length in LENGTHS:
        span = length * pace
        a, score = _windows(squared, correlation, step, first - reach // 2, last + reach // 2, span, pace)
        good = score > threshold
        # of two that fit equally, the longer one shows more
        found += [
            (float(s) * (1 + 0.002 * length), int(p), int(p) + span) for p, s in zip(a[good], score[good], strict=True)
        ]
    kept: list[Dissolve] = []
    for score, a, b in found:
        middle = (a + b) // 2
        if not first <= middle < last:
            continue
        rivals = (o for o in found if abs((o[1] + o[2]) // 2 - middle) <= reach // 2 and o[1] < b and a < o[2])
        if any((o[0], -o[1], o[2]) > (score, -a, b) for o in rivals):
            continue
        alpha = _profile(squared, a, b, a, b + 1)
        inside = np.flatnonzero((alpha > 0.03) & (alpha < 0.97))
        start, stop = (a + int(inside[0]), a + int(inside[-1])) if len(inside) else (a + 1, b - 1)
        kept.append(Dissolve(start, a + int(np.argmax(alpha >= 0.5)), stop, min(1.0, score)))
    return kept


@dataclass(frozen=True, slots=True)
class FlatEdge:
    """Where flat frames begin or end.

    Args:
        at: the first flat frame, or the first one after the flat frames.
        begins: whether the flat frames begin here.
        far: the full frame at the other end of the fall or rise.
        soft: whether it comes gradually.
        depth: spread of the full frame above the flat ones.
    """

    at: int
    begins: bool
    far: int
    soft: bool
    depth: float


def _climb(deviation: NDArray[np.float64], at: int, direction: int, limit: int) -> int:
    """Follow a growing spread from ``at`` for at most ``limit`` frames; one frame out of order is forgiven."""
    for _ in range(limit):
        one, two = at + direction, at + 2 * direction
        if not (0 <= two < len(deviation)):
            break
        if deviation[one] <= deviation[at] + 0.1 and deviation[two] <= deviation[at] + 0.4:
            break
        at = one
    return at


def flat_edges(deviation: NDArray[np.float64], pace: int) -> list[FlatEdge]:
    """Beginnings and ends of flat frames, in order.

    Args:
        deviation: (size,) spread of each frame.
        pace: frames per 1/30 s.
    """
    flat = deviation < FLAT
    edges: list[FlatEdge] = []
    for at in np.flatnonzero(flat[1:] != flat[:-1]) + 1:
        begins = bool(flat[at])
        inner = int(at) if begins else int(at) - 1
        far = _climb(deviation, inner, -1 if begins else 1, FADE * pace)
        soft = abs(far - inner) > 2 * pace + 1
        edges.append(FlatEdge(int(at), begins, far, soft, float(deviation[far] - deviation[inner])))
    return edges
