"""A last look at every painted picture: what the second detector still takes for a face is painted over too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from onlooker.redaction.cover import Style, cover, grown
from onlooker.redaction.second import SECOND_SIDE, SecondDetector

__all__ = ["Guard", "rgb_of"]

Planes: TypeAlias = Sequence[NDArray[np.uint8]]
_ROUNDS = 6
_SCORE = 0.36
_MARGIN = 0.1


def rgb_of(planes: Planes, size: int) -> NDArray[np.uint8]:
    """A small RGB picture, its longer side ``size``, of a picture in RGB or in luma and chroma."""
    high, wide = planes[0].shape[:2]
    scale = min(1.0, size / max(high, wide))
    small = max(1, round(wide * scale)), max(1, round(high * scale))
    parts = [Image.fromarray(np.ascontiguousarray(p)).resize(small, Image.Resampling.BILINEAR) for p in planes]
    if len(parts) == 1:
        return np.asarray(parts[0])
    # coded video keeps luma in 16..235 mostly
    luma = parts[0].point([min(255, max(0, round((v - 16) * 255 / 219))) for v in range(256)])
    return np.asarray(Image.merge("YCbCr", [luma, *parts[1:]]).convert("RGB"))


class Guard:
    """The second detector at a lower threshold than that by which it is judged, because encoding changes pictures.

    Args:
        style: ``fill``, or else what it finds becomes one colour.
        threads: how many a model may use.

    Attributes:
        caught: in how many pictures it found something.
    """

    def __init__(self, style: Style, *, threads: int = 1) -> None:
        self._style: Style = style
        self._detector = SecondDetector(score=_SCORE, threads=threads)
        self.caught = 0

    def look(self, planes: Planes) -> NDArray[np.float32]:
        """Cover in place what is still found; returns the boxes (n, 4)."""
        covered: list[NDArray[np.float32]] = []
        for turn in range(_ROUNDS):
            found = self._detector.detect(rgb_of(planes, SECOND_SIDE))
            if not len(found):
                break
            boxes = grown(found[:, :4], _MARGIN * (turn + 1))
            cover(planes, boxes, self._style, cells=1)
            covered += list(boxes)
        self.caught += bool(covered)
        return np.stack(covered) if covered else np.zeros((0, 4), np.float32)

    def close(self) -> None:
        """Release the model."""
        self._detector.close()
