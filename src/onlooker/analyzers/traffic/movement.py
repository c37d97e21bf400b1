"""Direction and speed of a track."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Movement", "movement"]


@dataclass(frozen=True, slots=True)
class Movement:
    """Where a track went.

    Args:
        direction: ``left``, ``right``, ``up``, ``down`` in the picture, or ``towards``, ``away`` (hardly across the
            picture, but growing or shrinking), or ``still``.
        speed: net displacement in picture widths per second.
        growth: area of the last box over that of the first.
    """

    direction: str
    speed: float
    growth: float


def _area(box: Sequence[float]) -> float:
    return max(box[2] - box[0], 1e-6) * max(box[3] - box[1], 1e-6)


def _cut(box: Sequence[float]) -> bool:
    return min(box) < 0.005 or max(box) > 0.995


def movement(track: Mapping[str, Any], seconds: float, aspect: float, still: float, growth: float) -> Movement:
    """From the fields of a ``track`` observation.

    Args:
        track: its ``data``: ``first_box`` and ``last_box``.
        seconds: its duration.
        aspect: width of the picture over its height.
        still: see ``TrafficConfig``.
        growth: see ``TrafficConfig``.
    """
    first, last = track["first_box"], track["last_box"]
    across = (last[0] + last[2] - first[0] - first[2]) / 2
    down = (last[1] + last[3] - first[1] - first[3]) / 2 / aspect
    moved = math.hypot(across, down)
    grown = _area(last) / _area(first)
    # a box cut by the picture's edge says nothing of distance
    depth = 0 if _cut(first) or _cut(last) else (grown >= growth) - (grown <= 1 / growth)
    if depth and moved < 4 * still:
        direction = "towards" if depth > 0 else "away"
    elif moved < still:
        direction = "still"
    elif abs(across) >= abs(down):
        direction = "right" if across > 0 else "left"
    else:
        direction = "down" if down > 0 else "up"
    return Movement(direction, moved / max(seconds, 1e-6), grown)
