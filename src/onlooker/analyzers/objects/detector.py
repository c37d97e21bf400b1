"""NanoDet-Plus on a frame: pre-processing, decoding of the distribution over distances, suppression of doubles.

RangiLyu, NanoDet-Plus, 2021; generalised focal loss: Li et al. 2020 (arXiv 2006.04388).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.core.boxes import suppress
from onlooker.core.media import Frame
from onlooker.models import entry, load

__all__ = ["Detector"]

Floats = NDArray[np.float32]


class Detector:
    """A loaded detector.

    Args:
        name: model of the catalogue.
        threads: how many it may use.
        least: least score of a detection.
        overlap: see `onlooker.core.boxes.suppress`.
        tiles: see ``ObjectsConfig``.
    """

    def __init__(self, name: str, *, threads: int, least: float, overlap: float, tiles: int) -> None:
        facts = entry(name)
        self.labels: Sequence[str] = facts.labels
        self._size = int(facts.inputs["size"][0])
        self._mean = np.array(facts.inputs["mean"], np.float32)
        self._scale = 1 / np.array(facts.inputs["std"], np.float32)
        self._bins = np.arange(int(facts.facts["bins"]), dtype=np.float32)
        self._least, self._overlap, self._tiles = least, overlap, tiles
        self._model: Any = load(name, threads=threads)
        self._grids = [self._grid(int(s)) for s in facts.facts["strides"]]

    def _grid(self, stride: int) -> tuple[int, Floats]:
        cells = self._size // stride
        y, x = np.divmod(np.arange(cells * cells), cells)
        return stride, ((np.stack([x, y], 1) + 0.5) * stride).astype(np.float32)

    def detect(self, frame: Frame) -> Floats:
        """(n, 6): left, top, right, bottom in fractions of the picture, score, class number; best first."""
        scale = self._size / max(frame.width, frame.height)
        found = [self._part(self._resized(frame, scale), (0.0, 0.0, 1.0, 1.0))]
        if self._tiles > 1:
            whole = self._resized(frame, min(1.0, 1.7 * scale))
            found += [self._crop(whole, *corner) for corner in ((0.0, 0.0), (0.4, 0.0), (0.0, 0.4), (0.4, 0.4))]
        rows = np.concatenate(found)
        if not len(rows):
            return rows
        keep = suppress(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.intp), self._overlap)
        return rows[keep]

    @staticmethod
    def _resized(frame: Frame, scale: float) -> NDArray[np.uint8]:
        width, height = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
        return frame.image(width, height, "bgr24")

    def _crop(self, picture: NDArray[np.uint8], left: float, top: float) -> Floats:
        height, width = picture.shape[:2]
        x, y = round(left * width), round(top * height)
        part = picture[y : y + round(0.6 * height), x : x + round(0.6 * width)][: self._size, : self._size]
        place = (x / width, y / height, (x + part.shape[1]) / width, (y + part.shape[0]) / height)
        rows = self._part(part, place)
        # what a cut edge runs through is seen whole elsewhere
        near = np.abs(rows[:, :4] - np.array(place, np.float32)) < 0.01
        inside = np.array([place[0] > 0, place[1] > 0, place[2] < 0.99, place[3] < 0.99])
        cut = (near & inside).any(1)
        return rows[~cut]

    def _part(self, picture: NDArray[np.uint8], place: tuple[float, float, float, float]) -> Floats:
        """Detections in one picture (at most size x size), in fractions of the whole, of which it shows ``place``."""
        height, width = picture.shape[:2]
        data = np.zeros((1, 3, self._size, self._size), np.float32)
        data[0, :, :height, :width] = ((picture - self._mean) * self._scale).transpose(2, 0, 1)
        outputs = self._model.run([data])
        found: list[Floats] = []
        for level, (stride, centres) in enumerate(self._grids):
            scores, distances = outputs[level][0], outputs[level + len(self._grids)][0]
            best = scores.max(1)
            hit = np.flatnonzero(best >= self._least)
            if not len(hit):
                continue
            logits = distances[hit].reshape(len(hit), 4, -1)
            weights = np.exp(logits - logits.max(-1, keepdims=True))
            reach = (weights @ self._bins) / weights.sum(-1) * stride
            boxes = np.concatenate([centres[hit] - reach[:, :2], centres[hit] + reach[:, 2:]], 1)
            found.append(np.column_stack([boxes, best[hit], scores[hit].argmax(1)]).astype(np.float32))
        rows = np.concatenate(found) if found else np.zeros((0, 6), np.float32)
        left, top, right, bottom = place
        rows[:, [0, 2]] = np.clip(left + rows[:, [0, 2]] / width * (right - left), left, right)
        rows[:, [1, 3]] = np.clip(top + rows[:, [1, 3]] / height * (bottom - top), top, bottom)
        return rows[(rows[:, 2] > rows[:, 0]) & (rows[:, 3] > rows[:, 1])]

    def close(self) -> None:
        """Release the model."""
        self._model.close()
