"""Steadies the key points of a track without lag: each is drawn towards where it was just before and just after.

A neighbour counts the less, the farther it is, so that trembling goes and movement stays (bilateral filter: Tomasi and
Manduchi 1998, doi 10.1109/ICCV.1998.710815).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers._join import Joined
from onlooker.core.time import Timestamp

__all__ = ["Smoother"]

_REACH = 0.03
"""Distance, in sides of the box, at which a neighbour counts 0.37 times."""
_WEIGHT = 0.7


class Smoother:
    """Takes the moments of one track in order and gives each out again when the next is known.

    Args:
        aspect: width of the picture over its height.
        seconds: moments farther apart are no neighbours.
    """

    def __init__(self, aspect: float, seconds: float) -> None:
        self._aspect, self._seconds = aspect, seconds
        self._held: list[tuple[Joined, NDArray[np.float64]]] = []

    def take(self, joined: Joined, points: NDArray[np.float64]) -> list[tuple[Joined, NDArray[np.float64]]]:
        """The next moment and its points (17, 3); returns the one before it, steadied."""
        self._held.append((joined, points))
        if len(self._held) < 2:
            return []
        made = [self._steady(len(self._held) - 2)]
        self._held = self._held[-2:]
        return made

    @property
    def since(self) -> Timestamp | None:
        """The moment that waits for the next, if there is one."""
        return self._held[-1][0].span.start if self._held else None

    def finish(self) -> list[tuple[Joined, NDArray[np.float64]]]:
        """The last moment."""
        made = [self._steady(len(self._held) - 1)] if self._held else []
        self._held = []
        return made

    def _steady(self, at: int) -> tuple[Joined, NDArray[np.float64]]:
        joined, points = self._held[at]
        left, top, right, bottom = joined.row[:4]
        reach = _REACH * max(float(right - left), float(bottom - top) / self._aspect, 1e-6)
        weight, total = np.maximum(points[:, 2], 1e-3), np.maximum(points[:, 2:], 1e-3) * points[:, :2]
        for other, near in (self._held[i] for i in (at - 1, at + 1) if 0 <= i < len(self._held)):
            if abs(float(other.span.start - joined.span.start)) > self._seconds:
                continue
            apart = np.hypot(near[:, 0] - points[:, 0], (near[:, 1] - points[:, 1]) / self._aspect)
            counts = _WEIGHT * near[:, 2] * np.exp(-((apart / reach) ** 2))
            weight, total = weight + counts, total + counts[:, None] * near[:, :2]
        return joined, np.column_stack([total / weight[:, None], points[:, 2]])
