"""Chooses the sentences that stand for a text."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["central", "choose"]

_LEAST = 0.1
_BLOCK = 1000
"""Sentences that are compared with all at once, so that memory stays bounded."""


def central(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """How central each sentence is, 0..1: its likeness to all others, where they are alike at all.

    The degree centrality of LexRank (Erkan and Radev 2004, section 3.1), with vectors for words. Its random walk is not
    taken: two greetings that are like each other alone would rank as high as the middle of the talk.

    Args:
        vectors: (n, d), of unit length.
    """
    degree = np.zeros(len(vectors))
    for start in range(0, len(vectors), _BLOCK):
        likeness = (vectors[start : start + _BLOCK] @ vectors.T).astype(np.float64)
        degree[start : start + _BLOCK] = np.where(likeness < _LEAST, 0.0, likeness).sum(axis=1) - 1
    return np.maximum(degree, 0.0) / max(float(degree.max(initial=0.0)), 1e-9)


def choose(vectors: NDArray[np.float32], worth: NDArray[np.float64], count: int, diversity: float) -> list[int]:
    """Numbers of sentences in the order in which they are taken: each next one is worth much and unlike those taken.

    Maximal marginal relevance (Carbonell and Goldstein 1998) as a product, so that what is worth little is not taken
    for being unlike alone.

    Args:
        vectors: (n, d), of unit length.
        worth: (n,), negative: never taken.
        count: at most so many.
        diversity: 0..1, how much of its worth a sentence loses that says what was said.
    """
    taken: list[int] = []
    nearest = np.zeros(len(vectors))
    while len(taken) < count:
        gain = worth * (1 - diversity * nearest)
        gain[worth < 0] = -np.inf
        gain[taken] = -np.inf
        best = int(gain.argmax()) if len(gain) else 0
        if not len(gain) or not np.isfinite(gain[best]):
            break
        taken.append(best)
        nearest = np.maximum(nearest, vectors @ vectors[best])
    return taken
