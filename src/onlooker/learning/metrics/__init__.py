"""Metrics as pure functions on arrays, quick enough to be bootstrapped; one module for each sort of answer.

What cannot be told is None there, and `told` leaves it out: no metric is ever NaN.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["told"]


def told(values: Mapping[str, float | None]) -> dict[str, float]:
    """The metrics that can be told.

    >>> told({"accuracy": 0.5, "auc": None})
    {'accuracy': 0.5}
    """
    return {name: value for name, value in values.items() if value is not None}
