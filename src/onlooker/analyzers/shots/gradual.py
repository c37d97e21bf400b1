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

from onlooker.analyzers.shots.similarity import Similarity

__all__ = [
    "FADE",
    "FLAT",
    "LENGTHS",
    "REACH",
    "Dissolve",
    "FlatEdge",
    "dissolve_candidates",
    "flat_edges",
    "window_features",
    "window_scores",
    "without_flashes",
]

FLAT = 3.0
"""A frame whose spread is less shows nothing but one colour."""
FADE = 36
"""Longest fade out or in that is followed, in frames (times the pace)."""

LENGTHS = (7, 10, 14, 19, 26, 34, 46)
SPARSE_LENGTHS = (5, *LENGTHS)
"""Distances between the two ends that are tried, in frames (times the pace)."""
SHORTEST = 5
"""Mixed frames that a dissolve has at least (times the pace); what is shorter is a fast movement."""
_PAN = 0.6
"""Where a shift leaves less of the change than this, the camera moved."""
REACH = 32
"""A dissolve is compared with others whose middle is at most that far away (times the pace)."""
FEATURES = (
    "bias",
    "beside",
    "beside_squared",
    "least_rise",
    "greatest_rise",
    "steepest",
    "jump",
    "backward",
    "whole",
    "structure",
    "motion_ratio",
    "outside",
    "unexplained",
)
WEIGHTS = np.array([-8.25, -15.35, -13.03, -2.79, -8.9, 8.21, -11.66, 3.13, 4.54, 2.76, 0.05, -7.11, -1.12])
"""Fitted on montages with exact truth (benchmarks/shots.py fit)."""


@dataclass(frozen=True, slots=True)
class Dissolve:
    """A stretch that looks like a dissolve: positions of its first and last mixed frame, the first frame in which
    the new picture prevails, and how sure it is, 0..1.
    """

    first: int
    middle: int
    last: int
    score: float


def without_flashes(squared: NDArray[np.float64], step: NDArray[np.float64], pace: int) -> NDArray[np.intp]:
    """For each position the frame that stands for it: itself, or the last one before a flash of a few frames.

    Args:
        squared: (size, size) squared distances.
        step: (size,) distance of each frame from the one before.
        pace: frames per 1/30 s.
    """
    stands = np.arange(len(step))
    for length in range(1, 3 * pace + 1):
        start = np.arange(1, len(step) - length)
        back = np.sqrt(squared[start - 1, start + length])
        flash = (step[start] > 10) & (back < 0.4 * np.minimum(step[start], step[start + length]))
        for at in start[flash]:
            stands[at : at + length] = stands[at - 1]
    return stands


def window_features(
    squared: NDArray[np.float64],
    correlation: NDArray[np.float64],
    step: NDArray[np.float64],
    blocked: NDArray[np.bool_],
    first: int,
    last: int,
    length: int,
    pace: int,
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The windows [a, a + length] with their middle in [first, last) that could be a dissolve, and what decides.

    Returns:
        Their starts (n,), and (n, 13): constant; mean distance from the line between the ends, as share of
        the whole change, and its square; least and greatest progress between sixths; largest single step; what the
        largest single progress has over a smooth curve's, and sum of the steps backward; log of the
        whole change; log loss of correlation between the ends; log of motion inside over motion outside;
        mean step outside over the whole change; log of the distance
        from the line over the motion outside.
    """
    half = length // 2
    a = np.arange(first - half, last - half)
    b = a + length
    reach = np.concatenate([[0], np.cumsum(blocked)])
    whole = squared[a, b]
    keep = (whole > 36.0) & (correlation[a, b] < 0.95) & (reach[b + 2] == reach[a])
    a, b, whole = a[keep], b[keep], whole[keep]
    if not len(a):
        return a, np.empty((0, len(FEATURES)))
    inner = a[:, None] + np.arange(pace, length, pace)[None, :]
    from_a, to_b = squared[a[:, None], inner], squared[inner, b[:, None]]
    alpha = (from_a + whole[:, None] - to_b) / (2 * whole[:, None])
    beside = np.sqrt(np.maximum(from_a - alpha**2 * whole[:, None], 0).mean(axis=1) / whole)
    profile = np.concatenate([np.zeros((len(a), 1)), alpha, np.ones((len(a), 1))], axis=1)
    single = np.diff(profile, axis=1)
    sixths = np.round(np.linspace(0, profile.shape[1] - 1, 7)).astype(np.intp)
    rise = np.diff(profile[:, sixths], axis=1)
    within = step[a[:, None] + 1 + np.arange(length)[None, :]]
    root = np.sqrt(whole)
    # what moves outside the window would move inside too
    outside = np.concatenate(
        [step[a[:, None] - np.arange(1, 5)[None, :] * pace], step[b[:, None] + np.arange(2, 6)[None, :] * pace]], axis=1
    ).mean(axis=1)
    excess = np.maximum(0, single.max(axis=1) - 2 / single.shape[1])
    steepest = within.max(axis=1) / root
    motion = np.log((within.mean(axis=1) + 0.1) / (outside + 0.1))
    keep = (beside < 0.45) & (rise.max(axis=1) < 0.75) & (rise.min(axis=1) > -0.1)
    keep &= (excess < 0.15) & (steepest < 0.5) & (motion > -0.6)
    features = np.stack(
        [
            np.ones(len(a)),
            beside,
            beside**2,
            rise.min(axis=1),
            rise.max(axis=1),
            steepest,
            excess,
            np.minimum(single, 0).sum(axis=1),
            np.log(root),
            np.log(1.02 - correlation[a, b]),
            motion,
            outside / root,
            np.log((beside * root + 0.5) / (outside + 0.5)),
        ],
        axis=1,
    )
    return a[keep], features[keep]


def window_scores(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability of a dissolve, 0..1, for each row of features."""
    return 1 / (1 + np.exp(-np.clip(features @ WEIGHTS, -40, 40)))


def _profile(squared: NDArray[np.float64], a: int, b: int, low: int, high: int) -> NDArray[np.float64]:
    """How far each frame of [low, high) has gone from frame a to frame b, 0..1 and beyond."""
    at = np.arange(low, high)
    return (squared[a, at] + squared[a, b] - squared[at, b]) / (2 * squared[a, b])


def dissolve_candidates(
    similarity: Similarity,
    squared: NDArray[np.float64],
    correlation: NDArray[np.float64],
    step: NDArray[np.float64],
    blocked: NDArray[np.bool_],
    first: int,
    last: int,
    pace: int,
    threshold: float,
    *,
    sparse: bool = False,
) -> list[Dissolve]:
    """Dissolves whose window has its middle in [first, last), each the best of its surroundings.

    Args:
        similarity: the grids.
        squared: (size, size) squared distances.
        correlation: (size, size).
        step: (size,) distance of each frame from the one before.
        blocked: (size,) frames that belong to a cut or a fade.
        first: first position of a middle.
        last: one past the last.
        pace: frames per 1/30 s.
        threshold: least score.
        sparse: whether every other frame or so was left out, so that a dissolve may have few.
    """
    reach = REACH * pace
    found: list[tuple[float, int, int]] = []
    for length in SPARSE_LENGTHS if sparse else LENGTHS:
        span = length * pace
        a, features = window_features(
            squared, correlation, step, blocked, first - reach // 2, last + reach // 2, span, pace
        )
        score = window_scores(features)
        good = score > threshold
        # of windows that fit equally, the longer one shows more
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
        if stop - start + 1 < (SHORTEST - sparse) * pace:
            continue
        middle = a + int(np.argmax(alpha >= 0.5))
        left = similarity.explained_by_shift(start - 1, middle) + similarity.explained_by_shift(middle, stop + 1)
        if left < 2 * _PAN:
            continue
        kept.append(Dissolve(start, middle, stop, min(1.0, score)))
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


def _climb(
    deviation: NDArray[np.float64], correlation: NDArray[np.float64], at: int, direction: int, limit: int
) -> int:
    """Follow a growing spread from ``at`` for at most ``limit`` frames; one frame out of order is forgiven.

    Stops where the picture changes to another one: on its way a fading picture stays the same, only weaker.
    """
    for _ in range(limit):
        one, two = at + direction, at + 2 * direction
        if not (0 <= two < len(deviation)):
            break
        if deviation[one] <= deviation[at] + 0.1 and deviation[two] <= deviation[at] + 0.4:
            break
        if deviation[at] > 2 * FLAT and correlation[at, one] < 0.75:
            break
        at = one
    return at


def flat_edges(deviation: NDArray[np.float64], correlation: NDArray[np.float64], pace: int) -> list[FlatEdge]:
    """Beginnings and ends of flat frames, in order.

    Args:
        deviation: (size,) spread of each frame.
        correlation: (size, size).
        pace: frames per 1/30 s.
    """
    flat = deviation < FLAT
    edges: list[FlatEdge] = []
    for at in np.flatnonzero(flat[1:] != flat[:-1]) + 1:
        begins = bool(flat[at])
        inner = int(at) if begins else int(at) - 1
        far = _climb(deviation, correlation, inner, -1 if begins else 1, FADE * pace)
        low, high = sorted((inner, far))
        depth = float(deviation[far] - deviation[inner])
        largest = float(np.abs(np.diff(deviation[low : high + 1])).max(initial=0))
        soft = high - low > 2 * pace + 1 and largest < 0.5 * depth
        edges.append(FlatEdge(int(at), begins, far, soft, depth))
    return edges
