"""The look of a picture as one short vector: where its colours lie, and which way its edges run.

After MPEG-7 (ISO/IEC 15938-3): the colour layout descriptor (cosine transform of an 8×8 picture) and the edge
histogram descriptor (five kinds of edges in 4×4 parts); besides, a colour histogram, which does not depend on place.
Pictures that look alike have a cosine near 1; it knows nothing of what is shown.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["DIMENSIONS", "VECTOR_SPACE", "describe_image"]

VECTOR_SPACE: Final = "look-1"
_GRID: Final = 64
_LUMA_TERMS, _CHROMA_TERMS = 21, 10
_BINS: Final = 4
DIMENSIONS: Final = _LUMA_TERMS + 2 * _CHROMA_TERMS + 80 + _BINS**3
"""Length of the vector: 185."""
_WEIGHTS: Final = {"layout": 1.0, "edges": 0.7, "colours": 0.8}
_EDGE_LEAST: Final = 11.0
_ROOT2: Final = float(np.sqrt(2))
_EDGES: Final = np.array(
    [[1, -1, 1, -1], [1, 1, -1, -1], [_ROOT2, 0, 0, -_ROOT2], [0, _ROOT2, -_ROOT2, 0], [2, -2, -2, 2]], np.float32
)
"""Filters over 2×2 means: vertical, horizontal, 45°, 135°, without direction."""
_EDGE_MEAN: Final = np.array([0.26, 0.28, 0.18, 0.18, 0.25], np.float32)
"""Root of the usual share of each kind, taken off so that the cosine tells pictures apart."""


@cache
def _zigzag(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    order = sorted(((r, c) for r in range(8) for c in range(8)), key=lambda p: (p[0] + p[1], p[0]))[:count]
    rows, columns = zip(*order, strict=True)
    return np.array(rows), np.array(columns)


@cache
def _cosines() -> NDArray[np.float32]:
    k, n = np.arange(8)[:, None], np.arange(8)[None, :]
    matrix = np.cos(np.pi * (2 * n + 1) * k / 16) * np.sqrt(2 / 8)
    matrix[0] /= np.sqrt(2)
    return matrix.astype(np.float32)


def _shrink(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(64, 64, 3) area means; small pictures are enlarged by repetition first."""
    height, width = rgb.shape[:2]
    if height < _GRID or width < _GRID:
        rows = np.arange(max(height, _GRID)) * height // max(height, _GRID)
        columns = np.arange(max(width, _GRID)) * width // max(width, _GRID)
        rgb = rgb[rows][:, columns]
        height, width = rgb.shape[:2]
    first = np.arange(_GRID) * height // _GRID
    bands = np.add.reduceat(rgb, first, axis=0, dtype=np.uint32)
    left = np.arange(_GRID) * width // _GRID
    sums = np.add.reduceat(bands, left, axis=1)
    counts = np.outer(np.append(first[1:], height) - first, np.append(left[1:], width) - left)
    return (sums / counts[..., None]).astype(np.float32)


def _layout(ycc: NDArray[np.float32]) -> NDArray[np.float32]:
    small = ycc.reshape(8, 8, 8, 8, 3).mean(axis=(1, 3))
    matrix = _cosines()
    parts = []
    for channel, count, weight in ((0, _LUMA_TERMS, 1.0), (1, _CHROMA_TERMS, 2.0), (2, _CHROMA_TERMS, 2.0)):
        terms = matrix @ (small[..., channel] - 128) @ matrix.T
        parts.append(weight * terms[_zigzag(count)])
    flat = np.concatenate(parts)
    # a logarithm-like curve keeps one strong term from deciding alone
    return np.sign(flat) * np.sqrt(np.abs(flat))


def _edges(luma: NDArray[np.float32]) -> NDArray[np.float32]:
    blocks = luma.reshape(32, 2, 32, 2).transpose(0, 2, 1, 3).reshape(32, 32, 4)
    strength = np.abs(blocks @ _EDGES.T)
    kind = strength.argmax(axis=2)
    marked = (strength.max(axis=2) > _EDGE_LEAST)[..., None] & (kind[..., None] == np.arange(5))
    share = marked.reshape(4, 8, 4, 8, 5).mean(axis=(1, 3))
    return (np.sqrt(share) - _EDGE_MEAN).astype(np.float32).reshape(-1)


def _colours(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    """Root of the share of each of 4×4×4 colours, each pixel spread over the neighbouring ones."""
    at = np.clip(rgb.reshape(-1, 3) / 64 - 0.5, 0, _BINS - 1)
    low = np.minimum(at.astype(np.intp), _BINS - 2)
    part = at - low
    histogram = np.zeros(_BINS**3)
    for corner in range(8):
        step = np.array([corner >> 2 & 1, corner >> 1 & 1, corner & 1])
        weight = np.where(step, part, 1 - part).prod(axis=1)
        index = (low + step) @ np.array([_BINS * _BINS, _BINS, 1])
        histogram += np.bincount(index, weight, minlength=_BINS**3)
    return np.sqrt(histogram / len(at)).astype(np.float32) - np.float32(1 / _BINS**1.5)


def describe_image(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The look of a picture.

    Args:
        rgb: (height, width, 3) uint8, full range.

    Returns:
        (185,) float32 of length 1; the same picture always gives the same vector.

    Raises:
        ValueError: not a colour picture.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or 0 in rgb.shape:
        raise ValueError(f"rgb: expected uint8 (height, width, 3), got {rgb.dtype} {rgb.shape}")
    small = _shrink(rgb)
    luma = small @ np.array([0.299, 0.587, 0.114], np.float32)
    ycc = np.stack([luma, 128 + 0.564 * (small[..., 2] - luma), 128 + 0.713 * (small[..., 0] - luma)], axis=-1)
    parts = {"layout": _layout(ycc), "edges": _edges(luma), "colours": _colours(small)}
    scaled = [_WEIGHTS[name] * part / (np.linalg.norm(part) + 1e-6) for name, part in parts.items()]
    vector = np.concatenate(scaled).astype(np.float32)
    return vector / np.float32(np.linalg.norm(vector) + 1e-12)
