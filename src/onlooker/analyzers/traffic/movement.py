"""Direction and speed of a track."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Movement", "flows", "movement"]


@dataclass(frozen=True, slots=True)
class Movement:
    """Where a track went.

    Args:
        direction: ``left``, ``right``, ``up``, ``down`` in the picture, or ``towards``, ``away`` (hardly across the
            picture, but growing or shrinking), or ``still``.
        heading: degrees in the picture, clockwise from up, 0..360; None where it hardly moved.
        depth: ``towards`` or ``away`` where the box grew or shrank much, whatever the direction; else empty.
        speed: net displacement in picture widths per second.
        growth: area of the last box over that of the first.
    """

    direction: str
    heading: float | None
    depth: str
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
    # a box that the picture's edge cuts looks smaller than it is, never larger
    depth = ""
    if grown >= growth and not _cut(first):
        depth = "towards"
    elif grown <= 1 / growth and not _cut(last):
        depth = "away"
    if depth and moved < 4 * still:
        direction = depth
    elif moved < still:
        direction = "still"
    elif abs(across) >= abs(down):
        direction = "right" if across > 0 else "left"
    else:
        direction = "down" if down > 0 else "up"
    heading = None if moved < still else math.degrees(math.atan2(across, -down)) % 360
    return Movement(direction, heading, depth, moved / max(seconds, 1e-6), grown)


def flows(headings: Sequence[float], apart: float) -> list[tuple[float, int]]:
    """Streams of movement: (mean heading, how many), the largest first.

    Args:
        headings: in degrees.
        apart: a gap of so many degrees without a heading parts two streams.

    >>> flows([350, 10, 100], 45)
    [(0.0, 2), (100.0, 1)]
    """
    if not headings:
        return []
    order = sorted(h % 360 for h in headings)
    gaps = [(order[(i + 1) % len(order)] - h) % 360 for i, h in enumerate(order)]
    if len(order) == 1 or max(gaps) < apart:
        groups = [order]
    else:
        first = gaps.index(max(gaps)) + 1
        groups = [[]]
        for i in range(len(order)):
            at = (first + i) % len(order)
            groups[-1].append(order[at])
            if gaps[at] >= apart and i + 1 < len(order):
                groups.append([])
    return sorted(((_mean(g), len(g)) for g in groups), key=lambda f: (-f[1], f[0]))


def _mean(headings: Sequence[float]) -> float:
    x, y = (sum(f(math.radians(h)) for h in headings) for f in (math.cos, math.sin))
    return round(math.degrees(math.atan2(y, x)) % 360, 1) % 360
