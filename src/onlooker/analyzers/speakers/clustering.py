"""Which windows are of one voice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["group", "smooth"]


def group(vectors: NDArray[np.float32], threshold: float, most: int = 0) -> NDArray[np.int64]:
    """Groups of vectors by average linkage.

    Merges the two groups whose members are the most similar in the mean, as long as they are at least ``threshold``,
    or more groups than ``most`` are left. By chains of nearest neighbours (Murtagh 1983, A survey of recent advances in
    hierarchical clustering algorithms), in time and memory of n squared.

    Args:
        vectors: (n, d), of length 1.
        threshold: cosine.
        most: groups at most; 0: any number.

    Returns:
        (n,) the number of each vector's group, counted in order of their first members.

    >>> group(np.array([[1, 0], [0, 1], [1, 0]], np.float32), 0.5).tolist()
    [0, 1, 0]
    """
    merges = sorted(_merges(vectors), key=lambda merge: -merge[0])
    left = len(vectors)
    root = list(range(left))

    def find(i: int) -> int:
        while root[i] != i:
            i = root[i]
        return i

    for similarity, a, b in merges:
        if similarity < threshold and not (most and left > most):
            break
        root[find(a)] = find(b)
        left -= 1
    order: dict[int, int] = {}
    return np.array([order.setdefault(find(i), len(order)) for i in range(len(vectors))], np.int64)


def _merges(vectors: NDArray[np.float32]) -> list[tuple[float, int, int]]:
    """All merges up to one group, as (similarity, a member of the one, a member of the other)."""
    count = len(vectors)
    wide = vectors.astype(np.float64)
    similarity = wide @ wide.T
    np.fill_diagonal(similarity, -np.inf)
    sizes = np.ones(count)
    active = np.ones(count, bool)
    merges: list[tuple[float, int, int]] = []
    chain: list[int] = []
    while len(merges) < count - 1:
        if not chain:
            chain = [int(active.argmax())]
        a = chain[-1]
        b = int(similarity[a].argmax())
        if len(chain) > 1 and similarity[a, chain[-2]] >= similarity[a, b]:
            b = chain[-2]
            del chain[-2:]
            merges.append((float(similarity[a, b]), a, b))
            row = (sizes[a] * similarity[a] + sizes[b] * similarity[b]) / (sizes[a] + sizes[b])
            row[[a, b]] = -np.inf
            similarity[a] = similarity[:, a] = -np.inf
            similarity[b] = similarity[:, b] = row
            sizes[b] += sizes[a]
            active[a] = False
        else:
            chain.append(b)
    return merges


def smooth(scores: NDArray[np.float64], follows: NDArray[np.bool_], switch: float) -> NDArray[np.int64]:
    """The best sequence of voices (Viterbi): the sum of the scores less ``switch`` for each change.

    Args:
        scores: (n, voices) how much a window is like each voice.
        follows: (n,) whether the window continues the one before it; a change elsewhere costs nothing.
        switch: what a change costs.
    """
    count, voices = scores.shape
    if not count:
        return np.zeros(0, np.int64)
    best = scores[0].copy()
    back = np.zeros((count, voices), np.int64)
    for i in range(1, count):
        leader = int(best.argmax())
        cost = switch if follows[i] else 0.0
        stay = best >= best[leader] - cost
        back[i] = np.where(stay, np.arange(voices), leader)
        best = np.where(stay, best, best[leader] - cost) + scores[i]
    path = np.zeros(count, np.int64)
    path[-1] = int(best.argmax())
    for i in range(count - 1, 0, -1):
        path[i - 1] = back[i, path[i]]
    return path
