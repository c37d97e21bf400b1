"""What all analyzers of faces share: the rows that ``faces`` measures, the common picture, and alignment.

A row of `FACE_FIELDS` columns: left, top, right, bottom (0..1), score, then five points (x, y in fractions of the
picture: left eye, right eye, nose, left and right corner of the mouth, as seen in the picture), then quality,
sharpness, frontality and size (each 0..1).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from onlooker.core.media import Frame

__all__ = [
    "ARCFACE_POINTS",
    "FACE_FIELDS",
    "FRONTAL",
    "QUALITY",
    "SHARPNESS",
    "SIZE",
    "align",
    "face_picture",
    "landmarks",
    "similarity",
    "square_crop",
    "upright_crop",
    "warp",
]

Floats = NDArray[np.float32]
FACE_FIELDS = 19
QUALITY, SHARPNESS, FRONTAL, SIZE = 15, 16, 17, 18
PICTURE_WIDTH = 1280
# five points of a frontal face in a 112 x 112 picture (Deng et al. 2019, arXiv 1801.07698)
ARCFACE_POINTS = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32
)


def face_picture(frame: Frame) -> NDArray[np.uint8]:
    """The RGB picture that faces are cut from: one conversion for all who need one."""
    return frame.image(min(frame.width, PICTURE_WIDTH), 0, "rgb24")


def landmarks(row: Floats, width: int, height: int) -> Floats:
    """(5, 2) points of a row in pixels of a picture of that size."""
    return row[5:15].reshape(5, 2) * np.array([width, height], np.float32)


def similarity(source: Floats, target: Floats) -> NDArray[np.float64]:
    """(2, 3) rotation, scale and shift that takes ``source`` (n, 2) nearest to ``target`` (n, 2).

    Least squares: Umeyama 1991, doi 10.1109/34.88573; no reflection.

    >>> bool(np.allclose(similarity(np.eye(3, 2) * 2, np.eye(3, 2) + 1), [[0.5, 0, 1], [0, 0.5, 1]]))
    True
    """
    a, b = source.astype(np.float64), target.astype(np.float64)
    mean_a, mean_b = a.mean(0), b.mean(0)
    a, b = a - mean_a, b - mean_b
    spread = max(float((a**2).sum()), 1e-12)
    cos = float((a * b).sum()) / spread
    sin = float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / spread
    turn = np.array([[cos, -sin], [sin, cos]])
    return np.column_stack([turn, mean_b - turn @ mean_a])


def warp(picture: NDArray[np.uint8], matrix: NDArray[Any], size: int) -> NDArray[np.uint8]:
    """(size, size, 3): the picture moved by ``matrix`` (2, 3; picture to result), black outside.

    A large reduction is made in two steps, so that fine detail does not turn into noise.
    """
    full = np.vstack([matrix, [0, 0, 1]])
    back = np.linalg.inv(full)
    corners = back @ np.array([[0, size, 0, size], [0, 0, size, size], [1, 1, 1, 1]])
    height, width = picture.shape[:2]
    left, top = (int(max(0, np.floor(v.min()) - 2)) for v in corners[:2])
    right, bottom = int(min(width, np.ceil(corners[0].max()) + 2)), int(min(height, np.ceil(corners[1].max()) + 2))
    if right - left < 2 or bottom - top < 2:
        return np.zeros((size, size, 3), np.uint8)
    part = Image.fromarray(np.ascontiguousarray(picture[top:bottom, left:right]))
    scale = float(np.hypot(back[0, 0], back[1, 0]))
    steps = max(1, int(scale))
    if steps > 1:
        part = part.reduce(steps)
    # Pillow wants result to picture, and counts from the pixels' corners
    shift = np.array([[1 / steps, 0, -left / steps], [0, 1 / steps, -top / steps], [0, 0, 1]])
    coefficients = (shift @ back)[:2].reshape(-1).tolist()
    moved = part.transform((size, size), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)
    return np.asarray(moved)


def align(picture: NDArray[np.uint8], points: Floats, template: Floats, size: int) -> NDArray[np.uint8]:
    """(size, size, 3): the face turned and scaled so that its points lie on the template's (in pixels of ``size``)."""
    return warp(picture, similarity(points, template), size)


def square_crop(picture: NDArray[np.uint8], row: Floats, scale: float, size: int) -> NDArray[np.uint8]:
    """(size, size, 3): a square around the box of ``row``, ``scale`` times its longer side."""
    height, width = picture.shape[:2]
    left, top, right, bottom = row[:4] * np.array([width, height, width, height], np.float32)
    side = max(float(max(right - left, bottom - top)) * scale, 2.0)
    zoom = size / side
    x, y = (left + right) / 2, (top + bottom) / 2
    return warp(picture, np.array([[zoom, 0, size / 2 - x * zoom], [0, zoom, size / 2 - y * zoom]]), size)


def upright_crop(picture: NDArray[np.uint8], row: Floats, scale: float, size: int) -> NDArray[np.uint8]:
    """`square_crop`, turned about the middle of the box so that the eyes lie level."""
    height, width = picture.shape[:2]
    left, top, right, bottom = row[:4] * np.array([width, height, width, height], np.float32)
    zoom = size / max(float(max(right - left, bottom - top)) * scale, 2.0)
    eyes = landmarks(row, width, height)
    across, down = (float(v) for v in eyes[1] - eyes[0])
    reach = max(float(np.hypot(across, down)), 1e-6)
    cos, sin = zoom * across / reach, zoom * down / reach
    turn = np.array([[cos, sin], [-sin, cos]])
    return warp(picture, np.column_stack([turn, size / 2 - turn @ [(left + right) / 2, (top + bottom) / 2]]), size)
