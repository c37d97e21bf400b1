"""Zones, lines and the ground plane of one camera, in picture coordinates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from onlooker.core.observation import Box
from onlooker.rules.units import Point

__all__ = ["Ground", "Line", "Places", "foot"]


class Line(BaseModel):
    """A line that can be crossed.

    Args:
        points: two or more; its ends count.
        inside: a point on the side that is inside: crossing towards it is ``in``. Without it, inside is to the right of
            somebody who walks from the first to the last point as seen in the picture.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    points: tuple[Point, ...] = Field(min_length=2)
    inside: Point | None = None


class Ground(BaseModel):
    """Where four or more points of the picture lie on flat ground.

    Args:
        picture: the points in the picture.
        metres: the same points on the ground, in metres from any origin.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    picture: tuple[Point, ...] = Field(min_length=4)
    metres: tuple[tuple[float, float], ...] = Field(min_length=4)

    @model_validator(mode="after")
    def _same(self) -> Ground:
        if len(self.picture) != len(self.metres):
            raise ValueError(f"expected as many points in metres as in picture, got {len(self.metres)}")
        if self.residual() > 0.5:
            raise ValueError("these points do not lie on one plane: they miss each other by more than half a metre")
        return self

    def homography(self) -> np.ndarray:
        """(3, 3) from picture to ground: direct linear transform (Hartley & Zisserman 2004, section 4.1)."""
        rows: list[list[float]] = []
        for (x, y), (u, v) in zip(self.picture, self.metres, strict=True):
            rows += [[-x, -y, -1, 0, 0, 0, u * x, u * y, u], [0, 0, 0, -x, -y, -1, v * x, v * y, v]]
        return np.linalg.svd(np.array(rows))[2][-1].reshape(3, 3)

    def residual(self) -> float:
        """Largest distance in metres by which the points miss their place."""
        matrix = self.homography()
        places = [_apply(matrix, p) for p in self.picture]
        return max(math.dist(a, b) for a, b in zip(places, self.metres, strict=True))


def _apply(matrix: np.ndarray, point: Sequence[float]) -> tuple[float, float]:
    x, y, w = (float(v) for v in matrix @ (point[0], point[1], 1.0))
    w = w if abs(w) > 1e-12 else 1e-12
    return x / w, y / w


def foot(box: Box) -> tuple[float, float]:
    """Where a box stands: the middle of its lower edge."""
    return (box.left + box.right) / 2, box.bottom


class Places:
    """The places that rules name, for one source.

    Args:
        zones: polygons by name.
        lines: lines by name.
        ground: calibration, or None.
        aspect: width of the picture over its height.
    """

    def __init__(
        self, zones: Mapping[str, Sequence[Point]], lines: Mapping[str, Line], ground: Ground | None, aspect: float
    ) -> None:
        self.zones, self.lines, self.aspect = zones, lines, aspect
        self._matrix = None if ground is None else ground.homography()

    @property
    def calibrated(self) -> bool:
        """Whether there is a ground plane."""
        return self._matrix is not None

    def inside(self, zone: str, point: tuple[float, float]) -> bool:
        """Whether a point lies in the zone: even-odd rule."""
        x, y = point
        within = False
        polygon = self.zones[zone]
        for (ax, ay), (bx, by) in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
            if (ay > y) != (by > y) and x < ax + (y - ay) * (bx - ax) / (by - ay):
                within = not within
        return within

    def flat(self, point: tuple[float, float]) -> tuple[float, float]:
        """The point in picture heights, so that both directions are to one scale."""
        return point[0] * self.aspect, point[1]

    def ground(self, point: tuple[float, float]) -> tuple[float, float]:
        """The point on the ground in metres; in picture widths where there is no calibration."""
        if self._matrix is None:
            return point[0], point[1] / self.aspect
        return _apply(self._matrix, point)
