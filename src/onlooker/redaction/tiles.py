"""Squares of a picture that together hold some boxes, so that a network of one shape looks at little besides."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["SMALL_TILE", "TILE", "small_tiles_over", "tiles_over"]

Rows: TypeAlias = NDArray[np.float32]
TILE, SMALL_TILE = 320, 160
"""Sides in pixels."""
_MOST, _MOST_SMALL = 3, 8
_OVERLAP = 50
"""Pixels that two small squares share, about as many as a plate is wide."""
_LEAST = 40.0
"""Longer side in pixels of the smallest box that counts: nobody reads the plate of a smaller vehicle."""


def tiles_over(boxes: Rows, wide: int, high: int) -> list[tuple[int, int]] | None:
    """Left and top of a few large squares that together hold all boxes, or None where that takes too many.

    Args:
        boxes: (n, 4 or more) left, top, right, bottom in fractions of the picture.
        wide: the picture's width in pixels.
        high: its height.

    >>> tiles_over(np.array([[0.1, 0.1, 0.2, 0.2], [0.15, 0.1, 0.3, 0.3]], np.float32), 960, 540)
    [(0, 0)]
    """
    left = _pixels(boxes, wide, high)
    if min(wide, high) < TILE:
        return None if len(left) else []
    made: list[tuple[int, int]] = []
    while len(left):
        if len(made) == _MOST or float((left[0, 2:] - left[0, :2]).max()) > TILE:
            return None
        middle = (left[0, :2] + left[0, 2:]) / 2 - TILE / 2
        x, y = round(min(max(0.0, middle[0]), wide - TILE)), round(min(max(0.0, middle[1]), high - TILE))
        made.append((x, y))
        held = (left[:, 0] >= x) & (left[:, 1] >= y) & (left[:, 2] <= x + TILE) & (left[:, 3] <= y + TILE)
        held[0] = True
        left = left[~held]
    return made


def small_tiles_over(boxes: Rows, wide: int, high: int) -> list[tuple[int, int]]:
    """Left and top of overlapping small squares over each box, the first boxes first, at most a few in all; see
    `tiles_over`.
    """
    if min(wide, high) < SMALL_TILE:
        return []
    made: dict[tuple[int, int], None] = {}
    for left, top, right, bottom in _pixels(boxes, wide, high):
        for x in _starts(float(left), float(right), wide):
            made.update(((x, y), None) for y in _starts(float(top), float(bottom), high))
    return list(made)[:_MOST_SMALL]


def _pixels(boxes: Rows, wide: int, high: int) -> Rows:
    pixels = boxes[:, :4] * np.array([wide, high, wide, high], np.float32)
    return pixels[(pixels[:, 2:] - pixels[:, :2]).max(1) >= _LEAST]


def _starts(first: float, last: float, length: int) -> list[int]:
    count = max(1, int(np.ceil((last - first - _OVERLAP) / (SMALL_TILE - _OVERLAP))))
    step = (last - first - SMALL_TILE) / max(1, count - 1)
    begin = (first + last - SMALL_TILE) / 2 if count == 1 else first
    return [round(min(max(0.0, begin + step * n), length - SMALL_TILE)) for n in range(count)]
