"""Boxes of detections: dropping doubles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["suppress"]


def suppress(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], classes: NDArray[np.intp], overlap: float
) -> NDArray[np.intp]:
    """Indices of the boxes to keep, best first: greedy non-maximum suppression within each class.

    Args:
        boxes: (n, 4) left, top, right, bottom.
        scores: (n,).
        classes: (n,).
        overlap: IoU above which the weaker box goes.

    >>> two = np.array([[0, 0, 1, 1], [0, 0, 1, 0.9]], np.float32)
    >>> suppress(two, np.array([0.5, 0.9], np.float32), np.zeros(2, np.intp), 0.5).tolist()
    [1]
    """
    order = np.argsort(-scores, kind="stable")
    # boxes of different classes are moved apart so that they never overlap
    apart = boxes + (classes * 10.0 * max(1.0, float(np.abs(boxes).max(initial=0.0))))[:, None]
    area = np.maximum(apart[:, 2] - apart[:, 0], 0) * np.maximum(apart[:, 3] - apart[:, 1], 0)
    kept: list[int] = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(int(best))
        low = np.maximum(apart[best, :2], apart[rest, :2])
        high = np.minimum(apart[best, 2:], apart[rest, 2:])
        shared = np.prod(np.maximum(high - low, 0), axis=1)
        order = rest[shared <= overlap * (area[best] + area[rest] - shared)]
    return np.array(kept, np.intp)
