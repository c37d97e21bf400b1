"""Posture of one person from 17 key points, by angles and lengths measured against the trunk."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["BODIES", "Look", "look_at"]

BODIES = ("standing", "sitting", "crouching", "bending", "lying")
# indices in COCO order
_SHOULDERS, _WRISTS, _HIPS, _KNEES, _ANKLES = (5, 6), (9, 10), (11, 12), (13, 14), (15, 16)
# tilt of the trunk in degrees from vertical
_UPRIGHT, _BENT, _LEVEL = 35, 42, 60
# shares of the way from the hips down to the ankles at which the knees are: half in one who stands
_KNEES_STANDING = 0.39
# how far down the ankles are from the hips, in trunks: about 1.3 in one who stands, 1 in one on a chair
_LEGS_LONG, _LEGS_FOLDED = 0.85, 0.65
# how far down the knees are where the feet are hidden, in trunks
_THIGH_STANDING, _THIGH_SITTING = 0.6, 0.45
_RAISED = 0.25


@dataclass(frozen=True, slots=True)
class Look:
    """What one frame says.

    Args:
        body: one of `BODIES`, or empty where it cannot be told.
        arms: ``arms_raised``, ``hand_raised``, or empty.
        score: mean score of the key points that decided, 0..1.
        upright: whether the trunk stands within 35 degrees of vertical.
        shoulders: height of the shoulders' middle, downwards, in picture widths.
        trunk: length from the shoulders' to the hips' middle, in picture widths.
    """

    body: str
    arms: str
    score: float
    upright: bool
    shoulders: float
    trunk: float


def look_at(points: NDArray[np.floating], aspect: float, sure: float) -> Look | None:
    """Judge a posture; None where shoulders or hips are not seen.

    Args:
        points: (17, 3) x, y in fractions of the picture, score.
        aspect: width of the picture over its height.
        sure: least score of a key point.
    """
    place = points[:, :2] * np.array([1.0, 1.0 / aspect])
    seen = points[:, 2] >= sure

    def middle(pair: tuple[int, int]) -> NDArray[np.floating] | None:
        there = [i for i in pair if seen[i]]
        return place[there].mean(0) if there else None

    shoulders, hips = middle(_SHOULDERS), middle(_HIPS)
    if shoulders is None or hips is None:
        return None
    trunk = float(np.hypot(*(hips - shoulders)))
    if trunk < 1e-6:
        return None
    tilt = math.degrees(math.atan2(abs(float(hips[0] - shoulders[0])), float(hips[1] - shoulders[1])))
    knees, ankles = middle(_KNEES), middle(_ANKLES)
    thigh, leg = (None if p is None else float(p[1] - hips[1]) / trunk for p in (knees, ankles))
    body = _legs(thigh, leg)
    if tilt > _BENT:
        lying = tilt > _LEVEL and _wide(place[seen])
        body = "lying" if lying else "bending" if body == "standing" else ""
    raised = sum(bool(seen[w]) and float(shoulders[1] - place[w, 1]) > _RAISED * trunk for w in _WRISTS)
    arms = ("", "hand_raised", "arms_raised")[raised] if tilt < _BENT else ""
    used = [i for i in (*_SHOULDERS, *_HIPS, *_KNEES, *_ANKLES) if seen[i]]
    return Look(body, arms, float(points[used, 2].mean()), tilt < _UPRIGHT, float(shoulders[1]), trunk)


def _wide(place: NDArray[np.floating]) -> bool:
    """A trunk that is level is also that of one who bends; the whole body of one who lies is wider than high."""
    width, height = np.ptp(place, axis=0)
    return bool(width > 1.2 * height)


def _legs(thigh: float | None, leg: float | None) -> str:
    """``thigh`` and ``leg``: how far knees and ankles are below the hips, in trunks."""
    if thigh is None:
        return ""
    if leg is None:
        return "standing" if thigh > _THIGH_STANDING else "sitting" if thigh < _THIGH_SITTING else ""
    if leg < _LEGS_FOLDED:
        return "crouching"
    if thigh > _KNEES_STANDING * leg:
        return "standing" if leg > _LEGS_LONG else ""
    return "sitting"
