"""The shapes of CVAT XML as boxes."""

from __future__ import annotations

import math

from onlooker.learning.datasets.formats._checked import a_number, shown
from onlooker.learning.datasets.formats._xml import Element
from onlooker.learning.datasets.formats.format import around

__all__ = ["OUTLINES", "WITHOUT_A_BOX", "sides_of"]

OUTLINES = ("polygon", "polyline", "cuboid", "mask", "ellipse")
"""Shapes of which the box around them is taken."""
WITHOUT_A_BOX = ("points", "skeleton")
_CORNERS = ("tl1", "bl1", "tr1", "br1", "tl2", "bl2", "tr2", "br2")


def sides_of(shape: Element) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a box, or around another shape, in pixels.

    Raises:
        KeyError: an attribute is missing.
        ValueError: one is no number.
    """
    turned = a_number(shape.get("rotation") or "0", "rotation")
    match shape.name:
        case "box":
            left, top, right, bottom = (a_number(shape[k], k) for k in ("xtl", "ytl", "xbr", "ybr"))
            if not turned:
                return left, top, right, bottom
            return around(left, top, right, bottom, turned, ((left + right) / 2, (top + bottom) / 2))
        case "ellipse":
            x, y, wide, high = (a_number(shape[k], k) for k in ("cx", "cy", "rx", "ry"))
            cos, sin = math.cos(math.radians(turned)), math.sin(math.radians(turned))
            wide, high = math.hypot(wide * cos, high * sin), math.hypot(wide * sin, high * cos)
            return x - wide, y - high, x + wide, y + high
        case "mask":
            left, top, wide, high = (a_number(shape[k], k) for k in ("left", "top", "width", "height"))
            return left, top, left + wide, top + high
        case "cuboid":
            across, down = ([a_number(shape[f"{axis}{corner}"], axis) for corner in _CORNERS] for axis in "xy")
        case _:
            pairs = [pair.split(",") for pair in shape["points"].split(";")]
            if any(len(pair) != 2 for pair in pairs):
                raise ValueError(f"points: expected x,y;x,y;..., got {shown(shape['points'])}")
            across, down = ([a_number(pair[n], "points") for pair in pairs] for n in (0, 1))
    return min(across), min(down), max(across), max(down)
