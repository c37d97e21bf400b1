"""Finds lines of text on a frame: PP-OCR's detection network, which gives a probability map, on a few fixed shapes.

Du et al. 2020, PP-OCR (arXiv 2009.09941); Liao et al. 2020, differentiable binarization (arXiv 1911.08947).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers.text.geometry import Region, regions
from onlooker.core.media import Frame
from onlooker.models import load

__all__ = ["LineDetector", "covered", "normalised"]

_STEP = 32
_SHAPES = 6
_BANDS = (0.25, 0.5)
"""Heights of the bands, as shares of the picture's, in which part of a picture is looked at."""
_SMALL = 100_000
"""Pictures of at most so many pixels are not worth a second thread: it costs more than it saves."""
_LARGEST_SCALE = 2.0
"""A picture is made at most this much larger: more shows nothing new."""
_TILE = 0.6
"""Share of the picture's sides that a tile takes; two of them overlap by a fifth of the picture."""


def normalised(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(1, 3, height, width) blue, green, red in -1..1 of an RGB picture (height, width, 3)."""
    planes = np.ascontiguousarray(picture.transpose(2, 0, 1)[None, ::-1])
    made = planes.astype(np.float32)
    made *= np.float32(2 / 255)
    made -= np.float32(1)
    return made


def covered(region: Region, others: Sequence[Region]) -> float:
    """Share of a region's upright hull that the hulls of others cover; an overlap of two others counts twice."""
    left, top, right, bottom = region.hull()
    shared = 0.0
    for other in others:
        l2, t2, r2, b2 = other.hull()
        shared += max(0.0, min(right, r2) - max(left, l2)) * max(0.0, min(bottom, b2) - max(top, t2))
    return shared / max(1e-9, (right - left) * (bottom - top))


def _multiple(length: float) -> int:
    return max(_STEP, round(length / _STEP) * _STEP)


class LineDetector:
    """A loaded detector.

    Args:
        name: model of the catalogue.
        threads: how many it may use.
        threshold, least, grow: see `onlooker.analyzers.text.geometry.regions`.
    """

    def __init__(self, name: str, *, threads: int, threshold: float, least: float, grow: float) -> None:
        self._name, self._threads = name, threads
        self._threshold, self._least, self._grow = threshold, least, grow
        # a fixed shape runs a fifth faster than a free one; a source needs two
        self._models: OrderedDict[tuple[int, int], Any] = OrderedDict()

    @staticmethod
    def _shape(width: int, height: int, size: int) -> tuple[int, int]:
        scale = min(size / max(width, height), _LARGEST_SCALE)
        return _multiple(width * scale), _multiple(height * scale)

    def prepare(self, width: int, height: int, size: int, *, bands: bool = False) -> None:
        """Make ready for frames of these sides, so that the first one does not have to wait."""
        wide, high = self._shape(width, height, size)
        for share in (1, *(_BANDS if bands else ())):
            self._model(wide, _multiple(high * share))

    def find(self, frame: Frame, size: int) -> list[Region]:
        """Lines in pixels of the frame, looked for in its picture with a longer side of ``size``."""
        width, height = self._shape(frame.width, frame.height, size)
        return self._run(frame.image(width, height, "rgb24"), frame.width / width, frame.height / height)

    def find_between(self, frame: Frame, size: int, top: float, bottom: float) -> list[Region]:
        """Lines between two heights in pixels of the frame; those cut by an edge of what is looked at are left out."""
        width, height = self._shape(frame.width, frame.height, size)
        scale = height / frame.height
        first, last = top * scale, bottom * scale
        high = next((h for h in (_multiple(height * share) for share in _BANDS) if h >= last - first), height)
        if high >= height:
            return self.find(frame, size)
        start = min(max(0, round((first + last - high) / 2)), height - high)
        picture = frame.image(width, height, "rgb24")[start : start + high]
        found: list[Region] = []
        for region in self._run(picture, 1.0, 1.0):
            _, over, _, under = region.hull()
            if (over > 1 or not start) and (under < high - 1 or start + high == height):
                found.append(region.moved(0, start).scaled(frame.width / width, frame.height / height))
        return found

    def find_in_tiles(self, frame: Frame, size: int) -> list[Region]:
        """Lines found in four overlapping parts of the picture, each looked at with a longer side of ``size``; those
        cut by a part's edge are left to the others.
        """
        scale = min(size / _TILE / max(frame.width, frame.height), _LARGEST_SCALE)
        part = _multiple(frame.width * scale * _TILE), _multiple(frame.height * scale * _TILE)
        width, height = round(part[0] / _TILE), round(part[1] / _TILE)
        picture = frame.image(width, height, "rgb24")
        across, down = frame.width / width, frame.height / height
        found: list[Region] = []
        for x in (0, width - part[0]):
            for y in (0, height - part[1]):
                for region in self._run(picture[y : y + part[1], x : x + part[0]], 1.0, 1.0):
                    left, top, right, bottom = region.hull()
                    inner = (left > 2 or not x) and (top > 2 or not y)
                    inner &= (right < part[0] - 2 or bool(x)) and (bottom < part[1] - 2 or bool(y))
                    if inner:
                        found.append(region.moved(x, y).scaled(across, down))
        return found

    def _run(self, picture: NDArray[np.uint8], across: float, down: float) -> list[Region]:
        height, width = picture.shape[:2]
        probability = self._model(width, height).run([normalised(picture)])[0][0, 0]
        found = regions(probability, threshold=self._threshold, least=self._least, grow=self._grow)
        return [region.scaled(across, down) for region in found]

    def _model(self, width: int, height: int) -> Any:
        model = self._models.get((width, height))
        if model is None:
            while len(self._models) >= _SHAPES:
                self._models.popitem(last=False)[1].close()
            threads = 1 if width * height <= _SMALL else self._threads
            model = load(self._name, threads=threads, shapes={"x": (1, 3, height, width)})
            self._models[width, height] = model
        self._models.move_to_end((width, height))
        return model

    def close(self) -> None:
        """Release the models."""
        for model in self._models.values():
            model.close()
        self._models.clear()
