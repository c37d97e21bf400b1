"""What a hand shows, from its 21 points: which fingers are straight, which are curled, where the thumb points."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["GESTURES", "gesture"]

GESTURES = ("open_palm", "fist", "pointing", "victory", "thumb_up", "thumb_down")
# root, first joint, tip
_FINGERS = ((5, 6, 8), (9, 10, 12), (13, 14, 16), (17, 18, 20))
_STRAIGHT, _CURLED = 35.0, 75.0
_SPREAD = 12.0
_UPWARDS = 60.0
_CLEAR = 0.3
"""How far a thumb that says something stands out over the rest of the hand, in palms."""


def _angle(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Degrees between two directions."""
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return math.degrees(math.acos(float(np.clip(a @ b / max(length, 1e-9), -1, 1))))


def gesture(points: NDArray[np.floating]) -> str:
    """One of `GESTURES`, or empty where it is none of them.

    Args:
        points: (21, 3) in one unit in all directions: x to the right, y down, z away from the camera.
    """
    wrist = points[0]
    bends = [_angle(points[joint] - points[root], points[tip] - points[joint]) for root, joint, tip in _FINGERS]
    reach = [[float(np.linalg.norm(points[i] - wrist)) for i in finger] for finger in _FINGERS]
    straight = [bend < _STRAIGHT for bend in bends]
    curled = [bend > _CURLED and tip < joint for bend, (_, joint, tip) in zip(bends, reach, strict=True)]
    if all(curled):
        return _closed(points, all(tip < root for root, _, tip in reach))
    if straight == [True, False, False, False] and all(curled[1:]):
        return "pointing"
    # a hand that hangs open says nothing
    if _angle(points[12, :2] - wrist[:2], np.array([0.0, -1.0])) > _UPWARDS:
        return ""
    if straight == [True, True, False, False] and all(curled[2:]):
        return "victory" if _angle(points[8] - points[5], points[12] - points[9]) > _SPREAD else ""
    return "open_palm" if all(straight) and _thumb_out(points) else ""


def _thumb_out(points: NDArray[np.floating]) -> bool:
    """Straight, and its tip away from the root of the index finger."""
    palm = float(np.linalg.norm(points[9] - points[0]))
    bend = _angle(points[3] - points[2], points[4] - points[3])
    return bend < _STRAIGHT and float(np.linalg.norm(points[4] - points[5])) > 0.55 * palm


def _closed(points: NDArray[np.floating], tight: bool) -> str:
    """All fingers but the thumb are curled; ``tight``: their tips touch the palm."""
    clear = _CLEAR * float(np.linalg.norm(points[9] - points[0]))
    tip, others = float(points[4, 1]), np.delete(points[:, 1], [2, 3, 4])
    if _thumb_out(points):
        return "thumb_up" if tip < others.min() - clear else "thumb_down" if tip > others.max() + clear else ""
    return "fist" if tight else ""
