"""Makes parts of a picture unrecognisable: what is under a box is thrown away but for a few mean colours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["STYLES", "Style", "cover", "grown", "hidden_share", "pixels"]

Style: TypeAlias = Literal["blur", "pixelate", "fill"]
STYLES: tuple[Style, ...] = ("blur", "pixelate", "fill")
Boxes: TypeAlias = NDArray[np.float32]
CELLS = 2
"""Cells along the shorter side of a box. Three have a bright middle like a face's, which a detector takes for one
now and then; two have none.
"""
_LEAST_CELL = 4
_FILL = (16, 128, 128)
_GRID = 256


def grown(boxes: Boxes, margin: float) -> Boxes:
    """(n, 4): each box grown by ``margin`` of its size on every side, within the picture.

    >>> grown(np.array([[0.4, 0.4, 0.6, 0.6]], np.float32), 0.5).round(2).tolist()
    [[0.30000001192092896, 0.30000001192092896, 0.699999988079071, 0.699999988079071]]
    """
    size = boxes[:, 2:4] - boxes[:, :2]
    out = np.concatenate([boxes[:, :2] - margin * size, boxes[:, 2:4] + margin * size], 1)
    return np.clip(out, 0, 1).astype(np.float32)


def pixels(box: Sequence[float] | NDArray[np.float32], width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of all pixels that a box touches, at least one."""
    left, top = int(np.floor(box[0] * width)), int(np.floor(box[1] * height))
    right, bottom = int(np.ceil(box[2] * width)), int(np.ceil(box[3] * height))
    left, top = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
    return left, top, min(max(right, left + 1), width), min(max(bottom, top + 1), height)


def cover(
    planes: Sequence[NDArray[np.uint8]], boxes: Iterable[NDArray[np.float32]], style: Style, cells: int = CELLS
) -> None:
    """Hide what lies under the boxes, in place.

    Args:
        planes: a picture as one array (height, width, 3), or its luma and chroma planes (height, width), which may
            differ in size.
        boxes: left, top, right, bottom in fractions of the picture.
        style: ``fill`` leaves nothing, ``pixelate`` and ``blur`` the mean colours of a few cells.
        cells: how many lie along the shorter side of a box.
    """
    for box in boxes:
        for number, plane in enumerate(planes):
            left, top, right, bottom = pixels(box, plane.shape[1], plane.shape[0])
            part = plane[top:bottom, left:right]
            if style == "fill":
                part[...] = 0 if plane.ndim == 3 else _FILL[min(number, 2)]
                continue
            high, wide = part.shape[:2]
            cell = max(_LEAST_CELL, min(high, wide) / cells)
            size = max(1, round(wide / cell)), max(1, round(high / cell))
            image = Image.fromarray(np.ascontiguousarray(part)).resize(size, Image.Resampling.BOX)
            smooth = Image.Resampling.NEAREST if style == "pixelate" else Image.Resampling.BILINEAR
            part[...] = np.asarray(image.resize((wide, high), smooth))


def hidden_share(boxes: Boxes) -> float:
    """Share of the picture that the boxes cover together, 0..1."""
    if not len(boxes):
        return 0.0
    grid = np.zeros((_GRID, _GRID), bool)
    for box in boxes:
        left, top, right, bottom = pixels(box, _GRID, _GRID)
        grid[top:bottom, left:right] = True
    return float(grid.mean())
