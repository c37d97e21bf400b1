"""Tells where the picture was cut since the last one looked at, so that no track runs on into another shot.

The analyzer of shots knows cuts exactly, but only once a shot has ended; those who follow boxes need to know at once.
What is found goes with the measurement as a last row, with a score of -1, so that tracks can be decided again later.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers._gate import GATE_WIDTH
from onlooker.core.media import Frame

__all__ = ["CutFinder", "split_cut", "with_cut"]

Floats = NDArray[np.float32]
_ROWS, _COLUMNS, _BINS = 9, 16, 32
# of the cuts of the labelled films nearly all lie beyond all three; of other steps, those of a camera that is swung
# about in the hand do, where boxes are lost as well
_LIKENESS, _LEVELS, _CHANGED, _SHARE = 0.55, 0.85, 12, 0.5
_SCORE = 4


class CutFinder:
    """Compares each picture, grey and small, with the one before.

    Args:
        rate: pictures a second that it is shown.
    """

    def __init__(self, rate: float) -> None:
        self.look_back = Fraction(2000, max(1, round(rate * 1000)))
        self._before: NDArray[np.uint8] | None = None

    def cut(self, frame: Frame) -> bool:
        """Whether the picture shows something else than the last one; to be called with every picture."""
        before, now = self._before, frame.image(GATE_WIDTH, 0, "gray")
        self._before = now
        if before is None or before.shape != now.shape:
            return False
        changed = np.count_nonzero(np.abs(now.astype(np.int16) - before) >= _CHANGED) / now.size
        if changed < _SHARE or _common_levels(before, now) >= _LEVELS:
            return False
        return _likeness(_grid(before), _grid(now)) < _LIKENESS


def with_cut(rows: Floats, cut: bool) -> Floats:
    """The rows of a frame (n, 5 or more; the score fifth), with the mark of a cut before it."""
    if not cut:
        return rows
    mark = np.full((1, rows.shape[1]), -1, np.float32)
    mark[0, :_SCORE] = 0
    return np.concatenate([rows, mark])


def split_cut(rows: Floats) -> tuple[Floats, bool]:
    """The rows, and whether there was a cut before their frame.

    >>> rows, cut = split_cut(with_cut(np.ones((2, 6), np.float32), True))
    >>> len(rows), cut
    (2, True)
    """
    cut = bool(len(rows)) and bool(rows[-1, _SCORE] == -1)
    return (rows[:-1], True) if cut else (rows, False)


def _common_levels(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Share of the pixels that the histograms have in common."""
    counts = [np.bincount((p >> 3).ravel(), minlength=_BINS) for p in (one, other)]
    return float(np.minimum(*counts).sum()) / one.size


def _grid(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(9, 16) means of parts."""
    down = np.linspace(0, picture.shape[0], _ROWS + 1).astype(int)[:-1]
    across = np.linspace(0, picture.shape[1], _COLUMNS + 1).astype(int)[:-1]
    sums = np.add.reduceat(np.add.reduceat(picture.astype(np.float64), down, 0), across, 1)
    return sums / np.add.reduceat(np.add.reduceat(np.ones(picture.shape), down, 0), across, 1)


def _likeness(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Correlation; of pictures without anything in them, by their brightness."""
    a, b = one - one.mean(), other - other.mean()
    spread = float(np.sqrt((a**2).sum() * (b**2).sum()))
    if spread < one.size:
        return float(abs(one.mean() - other.mean()) < 10)
    return float((a * b).sum()) / spread
