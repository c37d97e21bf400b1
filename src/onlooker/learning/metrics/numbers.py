"""Metrics of numbers (n, numbers): each by itself, then the mean. What cannot be told is None."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["correlation", "mean_absolute_error", "r2", "root_mean_squared_error"]

Array = NDArray[Any]


def mean_absolute_error(said: Array, true: Array) -> float | None:
    """Mean distance, in the unit of the numbers."""
    return float(np.abs(said - true).mean()) if said.size else None


def root_mean_squared_error(said: Array, true: Array) -> float | None:
    """Root of the mean squared distance of each number, in its unit."""
    return float(np.sqrt(((said - true) ** 2).mean(0)).mean()) if said.size else None


def r2(said: Array, true: Array) -> float | None:
    """Share of the variance that is explained: 1 at best, 0 as good as the mean; numbers that never vary are left out.

    >>> r2(np.array([[1.0], [2.0], [3.0]]), np.array([[1.0], [2.0], [3.0]]))
    1.0
    """
    if len(said) < 2:
        return None
    spread = ((true - true.mean(0)) ** 2).sum(0)
    varies = spread > 0
    if not varies.any():
        return None
    left = ((said - true) ** 2).sum(0)
    return float((1 - left[varies] / spread[varies]).mean())


def correlation(said: Array, true: Array) -> float | None:
    """Pearson's correlation; numbers that never vary on one side are left out."""
    if len(said) < 2:
        return None
    a, b = said - said.mean(0), true - true.mean(0)
    spread = np.sqrt((a**2).sum(0) * (b**2).sum(0))
    varies = spread > 0
    return float(((a * b).sum(0)[varies] / spread[varies]).mean()) if varies.any() else None
