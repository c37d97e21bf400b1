"""Shapes of text regions: connected parts of a map, their rectangles of least area, and upright crops of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["Region", "components", "crop", "regions"]

Floats = NDArray[np.float32]
_UPRIGHT = 1.5 * np.pi / 180
"""Lines that lean less than this are cut out as they stand: turning them would only blur."""


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of any direction, in pixels.

    Args:
        x, y: its centre.
        width: its extent along the text, if that runs across rather than down.
        height: its extent across that.
        angle: of the width's direction, in radians, clockwise from the picture's rows; from -pi/4 to pi/4.
        score: mean probability of text in it, 0..1.
    """

    x: float
    y: float
    width: float
    height: float
    angle: float
    score: float

    def scaled(self, across: float, down: float) -> Region:
        """On a picture that is larger by these factors, which must be about equal."""
        both = (across * down) ** 0.5
        return Region(self.x * across, self.y * down, self.width * both, self.height * both, self.angle, self.score)

    def moved(self, x: float, y: float) -> Region:
        """The same, shifted."""
        return Region(self.x + x, self.y + y, self.width, self.height, self.angle, self.score)

    def corners(self) -> NDArray[np.float64]:
        """(4, 2) x and y of the corners: top left, top right, bottom right, bottom left of the text."""
        along = np.array([np.cos(self.angle), np.sin(self.angle)]) * self.width / 2
        across = np.array([-np.sin(self.angle), np.cos(self.angle)]) * self.height / 2
        centre = np.array([self.x, self.y])
        return np.stack(
            [centre - along - across, centre + along - across, centre + along + across, centre - along + across]
        )

    def hull(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the upright rectangle around it."""
        corners = self.corners()
        (left, top), (right, bottom) = corners.min(0), corners.max(0)
        return float(left), float(top), float(right), float(bottom)


def components(
    mask: NDArray[np.bool_],
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Parts of a mask that hang together, corners included.

    Works on runs (stretches of set pixels within a row), of which there are few, instead of on pixels.

    Args:
        mask: (height, width).

    Returns:
        Of each run its row, first column, the column after its last, and the number of its part; in order of rows.
    """
    height, width = mask.shape
    stride = width + 2
    flat = np.zeros((height, stride), np.int8)
    flat[:, 1:-1] = mask
    steps = np.diff(flat.ravel(), prepend=0)
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    labels = np.arange(len(starts))
    # runs of the next row that touch a run, diagonally too: a contiguous stretch of the list
    low = np.searchsorted(ends, starts + stride, "left")
    high = np.searchsorted(starts, ends + stride, "right")
    counts = np.maximum(high - low, 0)
    above = np.repeat(labels, counts)
    below = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(low, counts)
    while True:
        least = np.minimum(labels[above], labels[below])
        before = labels.copy()
        np.minimum.at(labels, labels[above], least)
        np.minimum.at(labels, labels[below], least)
        labels = labels[labels]
        if np.array_equal(labels, before):
            break
    rows = starts // stride
    return rows, starts - rows * stride - 1, ends - rows * stride - 1, np.unique(labels, return_inverse=True)[1]


def _hull(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corners of the convex hull, in order around it (Andrew's monotone chain)."""
    ordered = sorted(set(map(tuple, points.tolist())))

    def half(line: list[Any]) -> list[Any]:
        made: list[Any] = []
        for x, y in line:
            while len(made) > 1:
                (ax, ay), (bx, by) = made[-2], made[-1]
                if (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0:
                    break
                made.pop()
            made.append((x, y))
        return made[:-1]

    return np.array(half(ordered) + half(ordered[::-1]))


def _least_rectangle(points: NDArray[np.float64]) -> tuple[float, float, float, float, float]:
    """Centre x and y, width, height and angle of the rectangle of least area around points.

    One of its sides lies on a side of the hull (Freeman and Shapira 1975).
    """
    hull = _hull(points)
    sides = np.roll(hull, -1, 0) - hull
    angles = np.arctan2(sides[:, 1], sides[:, 0])
    # each rectangle has one axis within 45 degrees of the picture's rows
    angles = np.unique(np.round((angles + np.pi / 4) % (np.pi / 2) - np.pi / 4, 9))
    along = np.stack([np.cos(angles), np.sin(angles)], 1) @ hull.T
    across = np.stack([-np.sin(angles), np.cos(angles)], 1) @ hull.T
    widths, heights = np.ptp(along, 1), np.ptp(across, 1)
    best = int(np.argmin(widths * heights))
    angle = float(angles[best])
    u, v = (along[best].max() + along[best].min()) / 2, (across[best].max() + across[best].min()) / 2
    x, y = u * np.cos(angle) - v * np.sin(angle), u * np.sin(angle) + v * np.cos(angle)
    return float(x), float(y), float(widths[best]), float(heights[best]), angle


def regions(
    probability: Floats, *, threshold: float, least: float, grow: float, smallest: float = 3.0, most: int = 500
) -> list[Region]:
    """Text regions of a probability map, from top to bottom (Liao et al. 2020, arXiv 1911.08947, section 3.4).

    Args:
        probability: (height, width), 0..1, of the shrunken text cores.
        threshold: from which a pixel belongs to a core.
        least: least mean probability over the rectangle of a core.
        grow: ratio by which cores are grown to whole lines; the distance is area x ratio / perimeter.
        smallest: least side of a core in pixels.
        most: at most this many regions, those with the largest cores.
    """
    rows, first, last, part = components(probability > threshold)
    if not len(rows):
        return []
    before = np.pad(np.cumsum(probability, 1, dtype=np.float64), ((0, 0), (1, 0)))
    inside = before[rows, last] - before[rows, first]
    order = np.argsort(part, kind="stable")
    limits = np.searchsorted(part[order], np.arange(part.max() + 2))
    sizes = np.bincount(part, last - first)
    found: list[Region] = []
    for number in np.argsort(-sizes, kind="stable")[:most]:
        if sizes[number] < smallest * smallest:
            break
        own = order[limits[number] : limits[number + 1]]
        y, left, right = rows[own], first[own], last[own]
        points = np.stack([np.concatenate([left, left, right, right]), np.concatenate([y, y + 1, y, y + 1])], 1).astype(
            np.float64
        )
        x, middle, width, height, angle = _least_rectangle(points)
        score = float(inside[own].sum()) / (width * height)
        if min(width, height) < smallest or score < least:
            continue
        more = width * height * grow / (width + height)
        found.append(Region(x, middle, width + more, height + more, angle, min(1.0, score)))
    return sorted(found, key=lambda r: (r.y, r.x))


def crop(picture: Image.Image, region: Region, size: tuple[int, int]) -> Image.Image:
    """The region, turned upright, at a size in pixels (width, height)."""
    if abs(region.angle) < _UPRIGHT:
        left, top, right, bottom = region.hull()
        box = (max(0.0, left), max(0.0, top), min(picture.width, right), min(picture.height, bottom))
        return picture.resize(size, Image.Resampling.BILINEAR, box=box)
    # turned at its own size first: the turn does not average, the resize after it does
    own = max(1, round(region.width)), max(1, round(region.height))
    corners = region.corners()
    across, down = (corners[1] - corners[0]) / own[0], (corners[3] - corners[0]) / own[1]
    matrix = (across[0], down[0], corners[0][0], across[1], down[1], corners[0][1])
    turned = picture.transform(own, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
    return turned.resize(size, Image.Resampling.BILINEAR)
