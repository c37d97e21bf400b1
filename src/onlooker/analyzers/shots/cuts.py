"""How sure it is that a shot is cut between two frames.

The adaptive ratio is that of PySceneDetect's AdaptiveDetector (the change against that of the neighbours); the
comparison of several frames before with several after is the novelty measure of Foote (2000); the
weights of the logistic decision were fitted on montages with exact truth (benchmarks/shots.py fit).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers.shots.similarity import Similarity

__all__ = ["FEATURES", "MARGIN", "WEIGHTS", "cut_candidates", "cut_features", "cut_scores"]

MARGIN = 6
"""Frames (times the pace) that must be known on each side of a boundary."""
FEATURES = ("bias", "step", "over_mean", "over_max", "across", "structure", "shifted", "histogram", "returns")
WEIGHTS = np.array([-4.42, -1.67, 2.52, 2.02, 2.45, 3.46, 2.19, -0.18, -4.35])

_INTERRUPTED = 0.35


def _neighbour_steps(step: NDArray[np.float64], at: NDArray[np.intp], pace: int) -> NDArray[np.float64]:
    """(n, 8 * pace) steps around each boundary, without itself."""
    offsets = np.array([o for o in range(-4 * pace, 4 * pace + 1) if o], np.intp)
    return step[at[:, None] + offsets[None, :]]


def cut_candidates(step: NDArray[np.float64], first: int, last: int, pace: int) -> NDArray[np.intp]:
    """Positions in [first, last) at which a cut is possible at all: a change that stands out a little.

    Args:
        step: (size,) distance of each frame from the one before.
        first: first position.
        last: one past the last.
        pace: frames per 1/30 s.
    """
    at = np.arange(first, last)
    at = at[step[first:last] > 3.0]
    if not len(at):
        return at
    around = _neighbour_steps(step, at, pace)
    near = around[:, 3 * pace : 5 * pace].max(axis=1)
    return at[(step[at] > 1.3 * around.mean(axis=1)) & (step[at] >= near)]


def cut_features(
    similarity: Similarity,
    squared: NDArray[np.float64],
    correlation: NDArray[np.float64],
    step: NDArray[np.float64],
    at: NDArray[np.intp],
    pace: int,
) -> NDArray[np.float64]:
    """The figures that the decision rests on.

    Returns:
        (n, 9): constant; log step; log step over the mean and over the largest neighbour; how alike the most
        alike pair of frames across the boundary is; loss of correlation (log); change that a shift does not explain;
        change of the histogram; return to the picture before (a flash) within some frames.
    """
    s = step[at]
    around = _neighbour_steps(step, at, pace)
    before = at[:, None] - 1 - np.arange(3)[None, :] * pace
    after = at[:, None] + np.arange(3)[None, :] * pace
    across = np.sqrt(squared[before[:, :, None], after[:, None, :]].min(axis=(1, 2)))
    ahead = np.sqrt(squared[(at - 1)[:, None], at[:, None] + np.arange(1, 5 * pace + 1)[None, :]].min(axis=1))
    behind = np.sqrt(squared[at[:, None], at[:, None] - np.arange(2, 5 * pace + 2)[None, :]].min(axis=1))
    shifted = np.array([similarity.shifted_distance(int(i) - 1, int(i)) for i in at])
    histogram = np.abs(similarity.histogram[at] - similarity.histogram[at - 1]).sum(axis=1) / 2
    return np.stack(
        [
            np.ones(len(at)),
            np.log(s),
            np.log((s + 1) / (around.mean(axis=1) + 1)),
            np.log((s + 1) / (around.max(axis=1) + 1)),
            across / s,
            np.log(1.02 - correlation[at - 1, at]),
            np.log(shifted + 1),
            histogram,
            np.maximum(0, 0.6 - np.minimum(ahead, behind) / s),
        ],
        axis=1,
    )


def cut_scores(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability of a cut, 0..1, for each row of features."""
    probability = 1 / (1 + np.exp(-np.clip(features @ WEIGHTS, -40, 40)))
    # a picture that is all but back after some frames was interrupted (flash, dropped frame), not cut
    probability[features[:, -1] > _INTERRUPTED] = 0
    return probability
