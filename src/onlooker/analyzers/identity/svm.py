"""A linear support vector machine for each person against all others, as in the classic recipe of OpenFace.

Amos et al. 2016, OpenFace: A general-purpose face recognition library. L2-regularised with the squared hinge loss,
minimised for all people at once by accelerated gradient descent (Nesterov 1983).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["margins", "train"]

_ROUNDS = 300
_C = 10.0


def train(vectors: NDArray[np.float32], people: Sequence[int], count: int) -> NDArray[np.float64]:
    """(count, d + 1) weights and bias of each person.

    Args:
        vectors: (n, d).
        people: (n,) number of the person of each vector, 0..count - 1; -1 for one that is nobody's.
        count: how many people.
    """
    centre = vectors.mean(0, dtype=np.float64)
    x = np.column_stack([vectors - centre, np.ones(len(vectors))])
    sign = np.where(np.asarray(people)[:, None] == np.arange(count), 1.0, -1.0)
    # a person's few vectors weigh together as much as the many of all others
    own = np.maximum(1, (sign > 0).sum(0))
    cost = _C * np.where(sign > 0, np.maximum(1.0, (len(x) - own) / own), 1.0)
    steep = 1.0 + 2.0 * cost.max() * float(np.linalg.norm(x, 2)) ** 2
    weights = ahead = np.zeros((x.shape[1], count))
    for step in range(_ROUNDS):
        short = np.maximum(0.0, 1.0 - sign * (x @ ahead))
        fresh = ahead - (ahead - 2.0 * x.T @ (cost * sign * short)) / steep
        ahead = fresh + step / (step + 3) * (fresh - weights)
        weights = fresh
    bias = weights[-1] - centre @ weights[:-1]
    return np.column_stack([weights[:-1].T, bias])


def margins(weights: NDArray[np.float64], vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n, count): how far each vector lies on each person's side.

    >>> v = np.float32([[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9]])
    >>> margins(train(v, [0, 0, 1, 1], 2), v).argmax(1).tolist()
    [0, 0, 1, 1]
    """
    return vectors @ weights[:, :-1].T + weights[:, -1]
