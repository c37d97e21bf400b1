"""Hands of one person: palms near the wrists, then 21 points on the turned square around each palm.

MediaPipe Hands: Zhang et al. 2020 (arXiv 2006.10214). The palm detector is given the surroundings of a wrist, not the
whole picture, so a hand of a few dozen pixels is large enough for it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers._faces import warp
from onlooker.models import load

__all__ = ["HAND_FIELDS", "HAND_MODELS", "HAND_POINTS", "Hands"]

Floats = NDArray[np.floating]
HAND_MODELS = ("palm-detection", "hand-landmark")
HAND_POINTS = 21
HAND_FIELDS = 1 + 3 * HAND_POINTS
"""Score, then x, y (fractions of the picture), z (fractions of its width, towards the camera is less) of 21 points."""

_PALM_SIZE, _HAND_SIZE = 192, 224
_STRIDES = ((8, 2), (16, 6))
_PALM_SCORE = 0.5
# side of the square in which a palm is looked for, in forearms; how far beyond the wrist its middle lies
_SEARCH, _BEYOND = 2.4, 0.35
# the square around a palm, in palms, and how far it is moved towards the fingers (MediaPipe's hand_landmark graph)
_GROW, _SHIFT = 2.6, 0.5
_ARMS = ((5, 7, 9), (6, 8, 10))
_HIPS = (11, 12)


def _anchors() -> NDArray[np.float64]:
    """(2016, 2) centres of the detector's cells, 0..1."""
    found: list[NDArray[np.float64]] = []
    for stride, count in _STRIDES:
        cells = _PALM_SIZE // stride
        y, x = np.divmod(np.arange(cells * cells), cells)
        found.append(np.repeat((np.stack([x, y], 1) + 0.5) / cells, count, 0))
    return np.concatenate(found)


class Hands:
    """The two loaded networks.

    Args:
        threads: how many they may use.
        sure: least score of the wrist and elbow that a hand is looked for at.
        least_pixels: smaller palms are passed over.
    """

    def __init__(self, *, threads: int, sure: float, least_pixels: int) -> None:
        self._palms: Any = load(HAND_MODELS[0], threads=threads)
        self._points: Any = load(HAND_MODELS[1], threads=threads)
        self._sure, self._least = sure, least_pixels
        self._anchors = _anchors()

    def find(self, picture: NDArray[np.uint8], box: Floats, body: Floats) -> NDArray[np.float32]:
        """(2, HAND_FIELDS): the left and the right hand; a row of zeros for one that is not seen.

        Args:
            picture: (h, w, 3) RGB.
            box: left, top, right, bottom of the person, 0..1.
            body: (17, 3) the person's key points.
        """
        size = np.array([picture.shape[1], picture.shape[0]], float)
        found = np.zeros((2, HAND_FIELDS), np.float32)
        place = body[:, :2] * size
        for row, arm in zip(found, _ARMS, strict=True):
            square = self._search(place, body[:, 2], arm)
            if square is not None:
                row[:] = self._hand(picture, *square)
        if not (body[[9, 10], 2] >= self._sure).any():
            # close to the camera the arms are often outside the picture, and the hand before the body
            low, high = np.asarray(box[:2]) * size, np.asarray(box[2:4]) * size
            row = self._hand(picture, (low + high) / 2, float((high - low).max()))
            middle = float(place[[5, 6], 0].mean()) / size[0]
            found[0 if row[1] > middle else 1] = row
        return self._one_each(found, place[[9, 10]] / size)

    @staticmethod
    def _one_each(found: NDArray[np.float32], wrists: Floats) -> NDArray[np.float32]:
        """A hand that both arms claim goes to the nearer wrist."""
        left, right = (row[1:].reshape(HAND_POINTS, 3)[:, :2] for row in found)
        if found[0, 0] and found[1, 0]:
            wide = max(float(np.ptp(left, axis=0).max()), float(np.ptp(right, axis=0).max()))
            if float(np.abs(left.mean(0) - right.mean(0)).max()) < 0.4 * wide:
                far = [float(np.hypot(*(hand[0] - wrist))) for hand, wrist in zip((left, right), wrists, strict=True)]
                found[int(far[1] >= far[0])] = 0
        return found

    def _search(self, place: Floats, score: Floats, arm: tuple[int, int, int]) -> tuple[Floats, float] | None:
        """Middle and side in pixels of the square in which the hand of an arm must be."""
        shoulder, elbow, wrist = arm
        if min(score[elbow], score[wrist]) < self._sure:
            return None
        forearm = place[wrist] - place[elbow]
        # an arm that points at the camera looks short; the upper arm and the trunk say how long it is
        lengths = [float(np.hypot(*forearm))]
        if score[shoulder] >= self._sure:
            lengths.append(float(np.hypot(*(place[elbow] - place[shoulder]))) * 0.8)
            hips = [i for i in _HIPS if score[i] >= self._sure]
            if hips:
                lengths.append(float(np.hypot(*(place[hips].mean(0) - place[shoulder]))) * 0.45)
        return place[wrist] + _BEYOND * forearm, max(*lengths, 4.0) * _SEARCH

    def _hand(self, picture: NDArray[np.uint8], middle: Floats, side: float) -> NDArray[np.float32]:
        """One row: the hand of the best palm in the square; zeros where there is none."""
        none = np.zeros(HAND_FIELDS, np.float32)
        zoom = _PALM_SIZE / side
        shift = _PALM_SIZE / 2 - np.asarray(middle) * zoom
        crop = warp(picture, np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]]), _PALM_SIZE)
        made = self._palms.run([(crop / 255).astype(np.float32)[None]])
        rows, logits = sorted((m[0] for m in made), key=lambda m: -m.shape[-1])
        best = int(logits[:, 0].argmax())
        if logits[best, 0] < math.log(_PALM_SCORE / (1 - _PALM_SCORE)):
            return none
        row = rows[best] / _PALM_SIZE
        palm = float(row[2:4].max()) * side
        if palm < self._least:
            return none
        # centre, the wrist and the root of the middle finger, in pixels of the picture
        spots = (np.array([row[:2], row[4:6], row[8:10]]) + self._anchors[best] - 0.5) * side + middle
        up = spots[2] - spots[1]
        turn = math.pi / 2 - math.atan2(-up[1], up[0])
        cos, sin = math.cos(turn), math.sin(turn)
        back = np.array([[cos, -sin], [sin, cos]])
        return self._look(picture, spots[0] + back @ np.array([0, -_SHIFT * palm]), _GROW * palm, back)

    def _look(self, picture: NDArray[np.uint8], centre: Floats, side: float, back: Floats) -> NDArray[np.float32]:
        """The points in the square of that centre and side; ``back`` turns its axes to the picture's."""
        zoom = _HAND_SIZE / side
        matrix = np.column_stack([back.T * zoom, _HAND_SIZE / 2 - back.T @ centre * zoom])
        crop = warp(picture, matrix, _HAND_SIZE)
        made = self._points.run([(crop / 255).astype(np.float32)[None]])
        points, score = made[0].reshape(HAND_POINTS, 3) / _HAND_SIZE, float(made[1].reshape(-1)[0])
        size = np.array([picture.shape[1], picture.shape[0]])
        place = ((points[:, :2] - 0.5) * side @ back.T + centre) / size
        flat = np.column_stack([place, points[:, 2] * side / size[0]]).ravel()
        return np.array([score, *flat], np.float32)

    def close(self) -> None:
        """Release the networks."""
        self._palms.close()
        self._points.close()
