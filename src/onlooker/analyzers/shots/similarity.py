"""A rolling matrix of distances between the grids of neighbouring frames.

All decisions are read from it: a cut is a step across which frames differ while each side is alike; in a
dissolve every frame lies on the line between the two ends.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers.shots.grid import GRID_BYTES, LUMA

__all__ = ["Similarity"]

_LUMA = LUMA[0] * LUMA[1]
_CHROMA_WEIGHT = 2.25
_BINS = 32
_SINGLE_THREAD = 200_000
"""Multiplications in one call below which OpenBLAS stays in the calling thread (its own bound is 262,144)."""


def _products(new: NDArray[np.float32], all_rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """(len(new), len(all_rows)) inner products, in pieces so small that the BLAS does not wake its threads for
    them: these would take the decoder's processors and spin.
    """
    piece = max(1, _SINGLE_THREAD // (len(new) * new.shape[1]))
    while len(all_rows) % piece:
        piece -= 1
    pieces = all_rows.reshape(-1, piece, all_rows.shape[1])
    made = np.matmul(new[None], pieces.transpose(0, 2, 1))
    return made.transpose(1, 0, 2).reshape(len(new), len(all_rows))


class Similarity:
    """Products, distances and histograms of the last ``size`` frames.

    Args:
        size: how many frames the matrix spans.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._rows = np.zeros((size, GRID_BYTES), np.float32)
        self._luma = np.zeros((size, size), np.float64)
        self._chroma = np.zeros((size, size), np.float64)
        self.histogram = np.zeros((size, _BINS), np.float32)
        self.grids = np.zeros((size, GRID_BYTES), np.uint8)

    def push(self, grids: NDArray[np.uint8]) -> None:
        """Move on by ``len(grids)`` frames.

        Args:
            grids: (n, 864) uint8, n <= size.
        """
        new, old = len(grids), self.size - len(grids)
        for array in (self._rows, self.grids, self.histogram):
            array[:old] = array[new:].copy()
        self.grids[old:] = grids
        # values within ±128 keep every sum below 2**24, so single precision is exact and the result does not
        # depend on how the work is cut
        rows = self._rows
        rows[old:] = grids
        rows[old:] -= 128
        for matrix, part in ((self._luma, slice(0, _LUMA)), (self._chroma, slice(_LUMA, GRID_BYTES))):
            matrix[:old, :old] = matrix[new:, new:].copy()
            strip = _products(rows[old:, part], rows[:, part])
            matrix[old:, :] = strip
            matrix[:, old:] = strip.T
        bins = (grids[:, :_LUMA] >> 3).astype(np.intp) + np.arange(new)[:, None] * _BINS
        counts = np.bincount(bins.reshape(-1), minlength=new * _BINS).reshape(new, _BINS)
        self.histogram[old:] = counts / np.float32(_LUMA)

    def squared(self) -> NDArray[np.float64]:
        """(size, size) mean squared distance per luma cell, chroma weighted in."""
        total = self._luma + _CHROMA_WEIGHT * self._chroma
        own = np.diagonal(total)
        return np.maximum(own[:, None] + own[None, :] - 2 * total, 0) / _LUMA

    def correlation(self) -> NDArray[np.float64]:
        """(size, size) correlation of the luma grids, -1..1; 1 between two flat pictures."""
        sums = self._rows[:, :_LUMA].sum(axis=1, dtype=np.float64)
        covariance = self._luma / _LUMA - np.outer(sums, sums) / _LUMA**2
        # half a grey level of rounding noise must not count as structure
        deviation = np.sqrt(np.diagonal(covariance) + 1.0)
        return (covariance + 1.0) / np.outer(deviation, deviation)

    def deviation(self) -> NDArray[np.float64]:
        """(size,) standard deviation of each frame's luma grid, with its chroma's spread added."""
        luma, chroma = self.grids[:, :_LUMA], self.grids[:, _LUMA:]
        half = chroma.shape[1] // 2
        return luma.std(axis=1) + chroma[:, :half].std(axis=1) + chroma[:, half:].std(axis=1)

    def shifted_distance(self, i: int, j: int, rows: int = 2, columns: int = 2) -> float:
        """Root mean squared luma distance of frames ``i`` and ``j`` at the best shift by up to ``rows`` and
        ``columns`` cells each way.
        """
        a = self.grids[i, :_LUMA].reshape(LUMA).astype(np.float32)
        b = self.grids[j, :_LUMA].reshape(LUMA).astype(np.float32)
        core = a[rows : LUMA[0] - rows, columns : LUMA[1] - columns]
        windows = np.lib.stride_tricks.sliding_window_view(b, core.shape)
        return float(np.sqrt(((windows - core) ** 2).mean(axis=(2, 3)).min()))

    def explained_by_shift(self, i: int, j: int) -> float:
        """Share of the change between two frames that a shift of the picture leaves, 0..1: low for a pan."""
        a, b = (self.grids[k, :_LUMA].reshape(LUMA)[3:-3, 6:-6].astype(np.float32) for k in (i, j))
        plain = float(np.sqrt(((a - b) ** 2).mean()))
        return (self.shifted_distance(i, j, 3, 6) + 0.5) / (plain + 0.5)
