"""Posture of one person from 17 key points, by angles and lengths measured against the trunk."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Look", "look_at"]

# indices in COCO order
_SHOULDERS, _WRISTS, _HIPS, _KNEES, _ANKLES = (5, 6), (9, 10), (11, 12), (13, 14), (15, 16)


@dataclass(frozen=True, slots=True)
class Look:
    """What one frame says.

    Args:
        body: ``standing``, ``sitting``, ``lying``, or empty where it cannot be told.
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
    body = ""
    if tilt > 60:
        body = _lying(place[seen])
    elif tilt < 50 and knees is not None:
        body = _legs(float(knees[1] - hips[1]) / trunk, None if ankles is None else float(ankles[1] - hips[1]) / trunk)
    raised = sum(bool(seen[w]) and float(shoulders[1] - place[w, 1]) > 0.25 * trunk for w in _WRISTS)
    arms = ("", "hand_raised", "arms_raised")[raised] if tilt < 50 else ""
    used = [i for i in (*_SHOULDERS, *_HIPS, *_KNEES, *_ANKLES) if seen[i]]
    return Look(body, arms, float(points[used, 2].mean()), tilt < 35, float(shoulders[1]), trunk)


def _lying(place: NDArray[np.floating]) -> str:
    """A trunk that is level is also that of one who bends; the whole body of one who lies is wider than high."""
    width, height = np.ptp(place, axis=0)
    return "lying" if width > 1.2 * height else ""


def _legs(thigh: float, leg: float | None) -> str:
    """``thigh`` and ``leg``: how far knees and ankles are below the hips, in trunks."""
    if thigh > 0.6 and (leg is None or leg > 1.15):
        return "standing"
    return "sitting" if thigh < 0.5 else ""
