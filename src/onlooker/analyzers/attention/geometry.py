"""Angles of heads and eyes out of landmarks.

Vectors are (x, y, z): to the picture's right, down, towards the camera. A head or gaze is given as yaw and pitch of the
direction that it points in (yaw > 0 to the picture's right, pitch > 0 up, 0, 0 into the camera) and, for a head, roll
about that direction (> 0 clockwise as seen), all in degrees.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

__all__ = ["angles", "between", "direction", "fit", "gaze_of", "shape", "target_direction", "turn", "yaw_pitch"]

Floats = NDArray[np.float64]
# millimetres between the outer corners of the eyes, of a mean adult (Farkas 1994): the unit of `shape`
UNIT = 90.0
# millimetres from the middle of the eyeball to the iris, and to the line between the corners of the eye
_IRIS, _CORNERS = 10.5, 6.0
# millimetres that the iris of one who looks straight ahead lies above the line between the corners
_ABOVE = 1.4


@cache
def shape() -> Floats:
    """(468, 3) a mean face that looks straight into the camera; 1 is the distance between the outer corners of the
    eyes, whose middle is the origin. Made by scripts/face_shape.py.
    """
    text = files("onlooker.analyzers.attention").joinpath("shape.csv").read_text("utf-8")
    rows = [line.split(",") for line in text.splitlines() if line and not line.startswith("#")]
    return np.array(rows, np.float64)


def fit(points: Floats) -> tuple[Floats, float]:
    """Rotation (3, 3) and scale that take `shape` nearest to points (468, 3); least squares, without reflection.

    Kabsch 1976, doi 10.1107/S0567739476001873; Umeyama 1991, doi 10.1109/34.88573.

    >>> rotation, scale = fit(shape() * 40 @ turn(20, -10, 5).T)
    >>> [round(float(v), 3) for v in angles(rotation)], round(scale, 3)
    ([20.0, -10.0, 5.0], 40.0)
    """
    model = shape() - shape().mean(0)
    seen = points - points.mean(0)
    left, values, right = np.linalg.svd(seen.T @ model)
    sides = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    return (left * sides) @ right, float((values * sides).sum() / (model**2).sum())


def turn(yaw: float, pitch: float, roll: float = 0.0) -> Floats:
    """(3, 3) rotation of a head: roll about its own direction, then pitch, then yaw."""
    y, p, r = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return about_y @ about_x @ about_z


def angles(rotation: Floats) -> Floats:
    """(3,) yaw, pitch and roll of a rotation: undoes `turn`."""
    yaw, pitch = yaw_pitch(rotation[:, 2])
    rest = turn(yaw, pitch).T @ rotation
    return np.array([yaw, pitch, np.degrees(np.arctan2(rest[1, 0], rest[0, 0]))])


def direction(yaw: float, pitch: float) -> Floats:
    """(3,) unit vector.

    >>> direction(0, 0).tolist()
    [0.0, 0.0, 1.0]
    """
    y, p = np.radians([yaw, pitch])
    return np.array([np.sin(y) * np.cos(p), -np.sin(p), np.cos(y) * np.cos(p)]) + 0.0


def yaw_pitch(vector: Floats) -> tuple[float, float]:
    """Yaw and pitch of a direction (3,), of any length."""
    x, y, z = vector / max(float(np.linalg.norm(vector)), 1e-12)
    return float(np.degrees(np.arctan2(x, z))), float(np.degrees(np.arcsin(np.clip(-y, -1, 1))))


def between(first: Floats, second: Floats) -> float:
    """Degrees between two unit vectors."""
    return float(np.degrees(np.arccos(np.clip(first @ second, -1, 1))))


def gaze_of(offset: Floats, rotation: Floats) -> tuple[float, float]:
    """Yaw and pitch in which an eye looks.

    The iris goes round the middle of the eyeball, which lies behind the corners of the eye; where the head is turned,
    the corners move away from it, and that is taken off.

    Args:
        offset: (2,) how far the iris is from the middle between the corners, in the picture, in millimetres.
        rotation: (3, 3) of the head.
    """
    corners = rotation @ np.array([0.0, _ABOVE, _CORNERS])
    x, y = np.clip((offset + corners[:2]) / _IRIS, -0.95, 0.95)
    return yaw_pitch(np.array([x, y, np.sqrt(max(1 - x * x - y * y, 0.05))]))


def target_direction(
    point: tuple[float, float, float], middle: tuple[float, float], unit: float, field_of_view: float, ratio: float
) -> Floats:
    """(3,) unit vector from a face to a point, in the face's own view of the camera (0, 0, 1 is into the camera).

    How far away the face is follows from its size, which is that of a mean adult: a child seems a quarter too far.

    Args:
        point: metres from the camera: to the picture's right, down, into the scene.
        middle: of the face, in fractions of the picture.
        unit: between the outer corners of its eyes as seen from the front, in widths of the picture.
        field_of_view: of the camera across the picture, in degrees.
        ratio: width of the picture over its height.
    """
    focal = 0.5 / np.tan(np.radians(field_of_view) / 2)
    ray = np.array([middle[0] - 0.5, (middle[1] - 0.5) / ratio, focal]) / focal
    face = ray * (UNIT / 1000 * focal / max(unit, 1e-6))
    to_point = np.asarray(point, np.float64) - face
    # the three axes of the face's view: into the camera, to the right, down
    inward = -face / np.linalg.norm(face)
    right = np.array([1.0, 0.0, 0.0]) - inward[0] * inward
    right /= np.linalg.norm(right)
    down = np.cross(inward, right)
    down = down if down[1] > 0 else -down
    seen = np.array([to_point @ right, to_point @ down, to_point @ inward])
    return seen / max(float(np.linalg.norm(seen)), 1e-9)
