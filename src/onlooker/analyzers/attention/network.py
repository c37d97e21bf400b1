"""What the networks see of one face, and the numbers taken from it.

468 points (Kartynnik et al. 2019, arXiv 1907.06724), and for each eye its lids and iris (Ablavatski et al. 2020, arXiv
2006.11341).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers._faces import landmarks, warp
from onlooker.analyzers.attention.geometry import UNIT, angles, fit, gaze_of
from onlooker.models import load

__all__ = ["COLUMNS", "MODELS", "Eye", "FaceNetworks", "Seen"]

MODELS = ("face-landmark", "iris-landmark")
_FACE, _EYE = 192, 64
_POINTS, _LIDS = 468, 71
# the square around an eye, in widths of the eye
_EYE_CROP = 2.3
# corners of the eyes as seen in the picture: left eye (outer, inner), right eye
_CORNERS = ((33, 133), (263, 362))
_LIPS, _MOUTH = (13, 14), (78, 308)
# least probability of a face for which the eyes are looked at
_LEAST = 0.1

Floats = NDArray[np.float64]


class Seen(NamedTuple):
    """What is measured of a face. Angles in degrees, see `onlooker.analyzers.attention.geometry`.

    Args:
        yaw, pitch, roll: of the head.
        unit: between the outer corners of the eyes as seen from the front, in widths of the picture.
        presence: probability of a face, 0..1.
        eyes: opening of the eyes against their width (eye aspect ratio: Soukupova and Cech 2016), of both, the one that
            is seen better counting for more.
        gaze_yaw, gaze_pitch: where the eyes look.
        eye_width: pixels of the larger eye.
        mouth: opening between the lips against the width of the mouth.
    """

    yaw: float
    pitch: float
    roll: float
    unit: float
    presence: float
    eyes: float
    gaze_yaw: float
    gaze_pitch: float
    eye_width: float
    mouth: float


COLUMNS = len(Seen._fields)


class Eye(NamedTuple):
    """One eye in pixels of the picture.

    Args:
        lids: (16, 2) outer corner, 7 points of the lower lid, inner corner is 8; 9 to 15 of the upper lid.
        iris: (5, 2) its middle, then four points of its rim.
    """

    lids: Floats
    iris: Floats

    @property
    def width(self) -> float:
        """Pixels between its corners."""
        return float(np.linalg.norm(self.lids[8] - self.lids[0]))

    @property
    def ratio(self) -> float:
        """Mean distance of the lids against the width."""
        return float(np.linalg.norm(self.lids[10:15] - self.lids[2:7], axis=1).mean()) / max(self.width, 1e-6)

    @property
    def offset(self) -> Floats:
        """(2,) from the middle between its corners to the iris."""
        return self.iris[0] - (self.lids[0] + self.lids[8]) / 2


def _square(middle: Floats, side: float, angle: float, size: int, *, mirror: bool = False) -> Floats:
    """(2, 3) picture to a square of ``size`` pixels around ``middle``, turned upright; mirrored where asked for."""
    zoom, cos, sin = size / max(side, 1.0), np.cos(angle), np.sin(angle)
    turned = np.array([[cos, sin], [-sin, cos]]) * zoom
    if mirror:
        turned[0] *= -1
    return np.column_stack([turned, size / 2 - turned @ middle])


def _back(points: Floats, matrix: Floats) -> Floats:
    """Points (n, 2) of a square in pixels of the picture."""
    return (points - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T


class FaceNetworks:
    """The loaded networks.

    Args:
        crop: side of the square around a face, in longer sides of its box.
        threads: how many they may use.
    """

    def __init__(self, *, crop: float, threads: int) -> None:
        self._crop = crop
        self._face, self._eye = (load(name, threads=threads) for name in MODELS)

    def close(self) -> None:
        """Release them."""
        for model in (self._face, self._eye):
            model.close()

    def points(self, picture: NDArray[np.uint8], row: NDArray[np.float32]) -> tuple[Floats, float]:
        """(468, 3) points in pixels, depth towards the camera, and the probability of a face."""
        height, width = picture.shape[:2]
        left_eye, right_eye = landmarks(row, width, height)[:2].astype(np.float64)
        left, top, right, bottom = row[:4].astype(np.float64) * [width, height, width, height]
        across = right_eye - left_eye
        side = max(right - left, bottom - top) * self._crop
        middle = np.array([left + right, top + bottom]) / 2
        matrix = _square(middle, side, float(np.arctan2(across[1], across[0])), _FACE)
        made, presence = self._run(self._face, warp(picture, matrix, _FACE))
        found = made.reshape(_POINTS, 3).astype(np.float64)
        depth = -found[:, 2] * side / _FACE
        return np.column_stack([_back(found[:, :2], matrix), depth]), float(1 / (1 + np.exp(-presence.reshape(-1)[0])))

    def eyes(self, picture: NDArray[np.uint8], points: Floats) -> tuple[Eye, Eye]:
        """The left and the right eye as seen in the picture."""
        across = points[263, :2] - points[33, :2]
        angle = float(np.arctan2(across[1], across[0]))
        made: list[Eye] = []
        for number, (outer, inner) in enumerate(_CORNERS):
            middle = (points[outer, :2] + points[inner, :2]) / 2
            side = float(np.linalg.norm(points[outer, :2] - points[inner, :2])) * _EYE_CROP
            # the network knows eyes whose outer corner is on the left
            matrix = _square(middle, side, angle, _EYE, mirror=number == 1)
            lids, iris = self._run(self._eye, warp(picture, matrix, _EYE))
            flat = [v.reshape(-1, 3)[:, :2].astype(np.float64) for v in (lids, iris)]
            made.append(Eye(_back(flat[0][:16], matrix), _back(flat[1], matrix)))
        return made[0], made[1]

    def look(self, picture: NDArray[np.uint8], row: NDArray[np.float32]) -> Seen | None:
        """What is seen of the face of a row (see `onlooker.analyzers._faces`); None where there is no face."""
        points, presence = self.points(picture, row)
        if presence < _LEAST:
            return None
        rotation, scale = fit(points)
        yaw, pitch, roll = (float(v) for v in angles(rotation))
        eyes = self.eyes(picture, points)
        weights = np.array([eye.width**2 for eye in eyes])
        weights /= max(float(weights.sum()), 1e-9)
        # a turned eye seems narrower, so that its ratio seems greater
        ratio = float(weights @ [eye.ratio for eye in eyes]) * max(float(np.cos(np.radians(yaw))), 0.5)
        offset = weights @ np.stack([eye.offset for eye in eyes]) * UNIT / max(scale, 1e-6)
        lips, mouth = (float(np.linalg.norm(points[a] - points[b])) for a, b in (_LIPS, _MOUTH))
        unit = scale / picture.shape[1]
        width = max(eye.width for eye in eyes)
        return Seen(yaw, pitch, roll, unit, presence, ratio, *gaze_of(offset, rotation), width, lips / max(mouth, 1e-6))

    def _run(self, model: Any, crop: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        return model.run([np.ascontiguousarray(crop[None].astype(np.float32) / 255)])
