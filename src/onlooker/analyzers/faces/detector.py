"""CenterFace on a picture (Xu et al. 2019, arXiv 1911.03599): centre heat map, sizes, offsets and five points."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers._faces import ARCFACE_POINTS, FACE_FIELDS, align, landmarks
from onlooker.core.boxes import suppress
from onlooker.core.media import Frame
from onlooker.models import load

__all__ = ["MODEL", "FaceDetector", "quality_columns"]

MODEL = "centerface"
_STRIDE = 4
_QUALITY_SIZE = 56
_QUALITY_POINTS = (ARCFACE_POINTS / 2).astype(np.float32)
# Laplacian variance of an aligned 56 x 56 grey face at which it counts as fully sharp
_SHARP = 250.0
_LARGE = 112.0

Floats = NDArray[np.float32]


class FaceDetector:
    """A loaded detector; compiled once for each shape of picture.

    Args:
        size: longer side of the picture in pixels.
        threads: how many it may use.
        least: least score.
        overlap: IoU above which the weaker of two boxes goes.
    """

    def __init__(self, *, size: int, threads: int, least: float, overlap: float) -> None:
        self._size, self._threads = size, threads
        self._least, self._overlap = least, overlap
        self._loaded: dict[tuple[int, int], Any] = {}

    def shape(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the picture looked at: multiples of 32, never larger than needed."""
        scale = min(1.0, self._size / max(width, height))
        return max(32, round(width * scale / 32) * 32), max(32, round(height * scale / 32) * 32)

    def detect(self, frame: Frame) -> Floats:
        """(n, 15): box, score and five points of each face in fractions of the picture, best first."""
        return self.detect_picture(frame.image(*self.shape(frame.width, frame.height), "rgb24"))

    def detect_picture(self, picture: NDArray[np.uint8]) -> Floats:
        """The same for an RGB picture (h, w, 3) whose sides are multiples of 32."""
        height, width = picture.shape[:2]
        if (width, height) not in self._loaded:
            self._loaded[width, height] = load(MODEL, threads=self._threads, shapes={"input.1": (1, 3, height, width)})
        data = picture.astype(np.float32).transpose(2, 0, 1)[None]
        heat, size, offset, points = (v[0] for v in self._loaded[width, height].run([np.ascontiguousarray(data)]))
        y, x = np.nonzero(heat[0] >= self._least)
        if not len(y):
            return np.zeros((0, 15), np.float32)
        high, wide = np.exp(size[0, y, x]) * _STRIDE, np.exp(size[1, y, x]) * _STRIDE
        left = (x + offset[1, y, x] + 0.5) * _STRIDE - wide / 2
        top = (y + offset[0, y, x] + 0.5) * _STRIDE - high / 2
        rows = np.empty((len(y), 15), np.float32)
        rows[:, :5] = np.stack([left, top, left + wide, top + high, heat[0, y, x]], 1)
        rows[:, 5::2] = (points[1::2, y, x] * wide + left).T
        rows[:, 6::2] = (points[0::2, y, x] * high + top).T
        rows = rows[suppress(rows[:, :4], rows[:, 4], np.zeros(len(rows), np.intp), self._overlap)]
        rows[:, [0, 2]] = np.clip(rows[:, [0, 2]] / width, 0, 1)
        rows[:, [1, 3]] = np.clip(rows[:, [1, 3]] / height, 0, 1)
        rows[:, 5::2] /= width
        rows[:, 6::2] /= height
        return rows[(rows[:, 2] > rows[:, 0]) & (rows[:, 3] > rows[:, 1])]

    def close(self) -> None:
        """Release the models."""
        for model in self._loaded.values():
            model.close()
        self._loaded = {}


def quality_columns(picture: NDArray[np.uint8], rows: Floats) -> Floats:
    """(n, 19): the rows with quality, sharpness, frontality and size.

    Quality is the geometric mean of the three, so that one that is bad makes the face bad: sharpness is the variance of
    the Laplacian of the aligned grey face, frontality how evenly the nose lies between eyes and mouth corners, size the
    face's longer side against 112 pixels.
    """
    out = np.zeros((len(rows), FACE_FIELDS), np.float32)
    out[:, :15] = rows[:, :15]
    height, width = picture.shape[:2]
    for row in out:
        points = landmarks(row, width, height)
        face = align(picture, points, _QUALITY_POINTS, _QUALITY_SIZE).astype(np.float32)
        grey = face @ np.array([0.299, 0.587, 0.114], np.float32)
        laplacian = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
        side = max((row[2] - row[0]) * width, (row[3] - row[1]) * height)
        sharp = min(1.0, float(laplacian.var()) / _SHARP) * min(1.0, side / _QUALITY_SIZE)
        row[16:19] = sharp, _frontal(points), min(1.0, side / _LARGE)
        row[15] = float(np.cbrt(np.prod(row[16:19])))
    return out


def _frontal(points: Floats) -> float:
    """1 for a face seen from the front, 0 for a profile: from the nose's place between the eyes and mouth corners."""
    left_eye, right_eye, nose, left_mouth, right_mouth = points
    eyes, mouth = (left_eye + right_eye) / 2, (left_mouth + right_mouth) / 2
    across, down = right_eye - left_eye, mouth - eyes
    reach = max(float(np.hypot(*across)), 1e-3)
    middle = eyes + 0.5 * down
    aside = abs(float((nose - middle) @ across)) / reach**2
    # eyes that come near each other against the face's height mean a turned head
    narrow = min(1.0, reach / max(0.85 * float(np.hypot(*down)), 1e-3))
    return max(0.0, 1.0 - 2.0 * aside) * narrow
