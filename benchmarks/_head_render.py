"""Draws a head turned by known angles: a face photographed from the front on a head made of formulas.

The head is an ellipsoid with a nose, brows, eye sockets, lips and a chin, scaled to the photograph's five points; it
rests on no network's geometry but the places of the five points. Rays are followed through perspective, so what hides
what is exact. Lengths are in distances between the eyes (63 mm in a mean adult).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float64]
# half width, half height and half depth of the head, in eye distances (Farkas 1994: 150 x 230 x 190 mm)
_WIDTH, _HEIGHT, _DEPTH = 1.22, 1.85, 1.5
# the camera's distance: 90 cm
_CAMERA = 14.0
# the head turns about its middle, this far below the eyes
_LOW = 0.35
_STEPS = 64
# depths are tabled this far around the middle, on so many places each way
_SPAN, _TABLE = 2.0, 1200


@dataclass(frozen=True)
class Head:
    """A head made of one photograph.

    Args:
        picture: (h, w, 3) the photograph.
        middle: (2,) between the eyes, in its pixels.
        unit: pixels between the eyes.
        tilt: of the eyes in the photograph, in radians.
        nose, mouth: how far below the eyes they are, in eye distances.
    """

    picture: NDArray[np.uint8]
    middle: Floats
    unit: float
    tilt: float
    nose: float
    mouth: float

    @cached_property
    def table(self) -> NDArray[np.float32]:
        """(n, n, 2) depth of its front and back over the square of `_SPAN` about its middle."""
        at = (np.arange(_TABLE) + 0.5) / _TABLE * 2 * _SPAN - _SPAN
        x, y = np.meshgrid(at, at + _LOW)
        ball = 1 - (x / _WIDTH) ** 2 - ((y - _LOW) / _HEIGHT) ** 2
        front, back = _front(x, y, self), -_DEPTH * np.sqrt(np.maximum(ball, 0))
        return np.stack([np.where(ball > 0, front, -9), np.where(ball > 0, back, 9)], -1).astype(np.float32)


def head_of(picture: NDArray[np.uint8], points: Floats) -> Head:
    """The head of a frontal photograph with its five points (5, 2) in pixels (see `onlooker.analyzers._faces`)."""
    left, right, nose, left_mouth, right_mouth = points
    across = right - left
    unit = float(np.hypot(*across))
    down = np.array([-across[1], across[0]]) / unit
    middle = (left + right) / 2
    mouth = (left_mouth + right_mouth) / 2
    tilt = float(np.arctan2(across[1], across[0]))
    return Head(
        picture, middle, unit, tilt, float((nose - middle) @ down) / unit, float((mouth - middle) @ down) / unit
    )


def turn(yaw: float, pitch: float, roll: float) -> Floats:
    """(3, 3) rotation, x to the right, y down, z towards the camera; degrees, signs as ``attention`` gives them."""
    y, p, r = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return about_y @ about_x @ about_z


def _front(x: Floats, y: Floats, head: Head) -> Floats:
    """How far the skin stands towards the camera at a place of the face; the head's middle is at depth 0."""

    def bump(x0: float, y0: float, wide: float, high: float) -> Floats:
        return np.exp(-(((x - x0) / wide) ** 2) - ((y - y0) / high) ** 2)

    skull = _DEPTH * np.sqrt(np.maximum(1 - (x / _WIDTH) ** 2 - ((y - _LOW) / _HEIGHT) ** 2, 0))
    # the bridge rises from between the eyes to the tip and falls steeply below it
    along = np.clip(y / head.nose, 0, 1)
    below = np.clip(1 - (y - head.nose) / 0.16, 0, 1)
    nose = (
        (0.1 + 0.26 * along)
        * np.exp(-((x / (0.1 + 0.1 * along)) ** 2))
        * below
        * (y > -0.4)
        * np.clip(1 + y / 0.4, 0, 1)
    )
    sockets = -0.1 * (bump(-0.5, 0, 0.26, 0.16) + bump(0.5, 0, 0.26, 0.16))
    brows = 0.06 * (bump(-0.45, -0.33, 0.4, 0.14) + bump(0.45, -0.33, 0.4, 0.14))
    lips = 0.1 * bump(0, head.mouth, 0.36, 0.2)
    chin = 0.12 * bump(0, head.mouth + 0.6, 0.36, 0.26)
    return skull + (nose + sockets + brows + lips + chin) * (skull > 0.2)


def _inside(points: Floats, table: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which of the points (n, 3) are within the head."""
    scale = _TABLE / (2 * _SPAN)
    column = np.clip((points[:, 0] + _SPAN) * scale, 0, _TABLE - 1).astype(np.int32)
    row = np.clip((points[:, 1] - _LOW + _SPAN) * scale, 0, _TABLE - 1).astype(np.int32)
    front, back = table[row, column].T
    return (points[:, 2] < front) & (points[:, 2] > back)


def render(head: Head, pose: tuple[float, ...], ground: NDArray[np.uint8], *, unit: float = 56.0) -> NDArray[np.uint8]:
    """The head turned (yaw, pitch, roll) in the middle of ``ground`` (h, w, 3), ``unit`` pixels between the eyes."""
    height, width = ground.shape[:2]
    rotation = turn(*pose)
    reach = 1.2 * _HEIGHT * unit
    low_x, high_x = int(max(0, width / 2 - reach)), int(min(width, width / 2 + reach))
    low_y, high_y = int(max(0, height / 2 - reach)), int(min(height, height / 2 + reach))
    v, u = np.mgrid[low_y:high_y, low_x:high_x]
    # the eyes' plane is where one eye distance is ``unit`` pixels
    plane = np.stack([(u - width / 2) / unit, (v - height / 2) / unit, np.zeros(u.shape)], -1)
    eye = np.array([0.0, 0.0, _CAMERA])
    ray = plane - eye
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    start, direction = eye @ rotation + np.array([0.0, _LOW, 0.0]), (ray @ rotation).reshape(-1, 3)
    table = head.table
    far = np.linspace(_CAMERA - 2.0, _CAMERA + 1.0, _STEPS)
    hit = np.full(len(direction), np.nan)
    todo = np.arange(len(direction))
    for distance in far:
        entered = _inside(start + direction[todo] * distance, table)
        hit[todo[entered]] = distance
        todo = todo[~entered]
    found = np.flatnonzero(~np.isnan(hit))
    inner, outer = hit[found], hit[found] - (far[1] - far[0])
    for _ in range(8):
        half = (inner + outer) / 2
        entered = _inside(start + direction[found] * half[:, None], table)
        inner, outer = np.where(entered, half, inner), np.where(entered, outer, half)
    places = start + direction[found] * inner[:, None]
    part = ground[low_y:high_y, low_x:high_x].astype(np.float64)
    part.reshape(-1, 3)[found] = _colour(head, places[:, :2])
    picture = ground.copy()
    picture[low_y:high_y, low_x:high_x] = np.clip(part, 0, 255).round().astype(np.uint8)
    return picture


def _colour(head: Head, places: Floats) -> Floats:
    """(n, 3) colours of the photograph at places of the face (n, 2), between pixels linearly."""
    cos, sin = np.cos(head.tilt), np.sin(head.tilt)
    at = places @ np.array([[cos, sin], [-sin, cos]]) * head.unit + head.middle
    height, width = head.picture.shape[:2]
    x, y = np.clip(at[:, 0], 0, width - 1.001), np.clip(at[:, 1], 0, height - 1.001)
    x0, y0 = x.astype(int), y.astype(int)
    fx, fy = (x - x0)[:, None], (y - y0)[:, None]
    p = head.picture.astype(np.float64)
    top = p[y0, x0] * (1 - fx) + p[y0, x0 + 1] * fx
    return top * (1 - fy) + (p[y0 + 1, x0] * (1 - fx) + p[y0 + 1, x0 + 1] * fx) * fy


def grounds(pictures: list[NDArray[np.uint8]], size: int) -> list[NDArray[np.uint8]]:
    """Backgrounds (size, size, 3) without a face: the upper corner of each picture, enlarged."""
    made = []
    for picture in pictures:
        side = min(picture.shape[:2]) // 4
        made.append(np.asarray(Image.fromarray(picture[:side, :side]).resize((size, size), Image.Resampling.BICUBIC)))
    return made
