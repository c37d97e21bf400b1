"""Parts of a picture that are looked at instead of the whole."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers._gate import changed_pixels, small_grey
from onlooker.bundles.inputs import PictureInput
from onlooker.bundles.preprocess import picture_size
from onlooker.core.boxes import suppress
from onlooker.core.media import Frame, PixelFormat, UInt8Array

__all__ = ["WHOLE", "Area", "MotionPart", "Part", "to_whole"]

Floats = NDArray[np.float32]
_CELL = 8
_CELL_SHARE = 0.06
_STEPS = 8
_GAIN = 1.1
_EDGE = 0.02
_SAME = 0.5


class Area(NamedTuple):
    """In fractions of the whole picture."""

    left: float
    top: float
    right: float
    bottom: float


WHOLE = Area(0.0, 0.0, 1.0, 1.0)


class Part:
    """A part of a picture as if it were a picture of its own.

    It is cut from the picture as decoded where that has to be enlarged, else from the picture scaled as a whole, which
    costs less.

    Args:
        whole: the picture.
        area: which part.
    """

    def __init__(self, whole: Frame, area: Area) -> None:
        self._whole, self._area, self.time = whole, area, whole.time
        self.width = max(1, round((area.right - area.left) * whole.width))
        self.height = max(1, round((area.bottom - area.top) * whole.height))

    def image(self, width: int | None = None, height: int | None = None, format: PixelFormat = "rgb24") -> UInt8Array:
        """See `onlooker.core.media.Frame.image`."""
        width = width or (max(1, round(self.width * height / self.height)) if height else self.width)
        height = height or max(1, round(self.height * width / self.width))
        area = self._area
        wide, high = round(width / (area.right - area.left)), round(height / (area.bottom - area.top))
        if wide <= self._whole.width and high <= self._whole.height:
            return self._cut(self._whole.image(wide, high, format), width, height)
        from PIL import Image

        part = self._cut(self._whole.image(None, None, format), self.width, self.height)
        return np.asarray(Image.fromarray(part).resize((width, height), Image.Resampling.BILINEAR))

    def _cut(self, picture: UInt8Array, width: int, height: int) -> UInt8Array:
        high, wide = picture.shape[:2]
        left = min(max(0, wide - width), round(self._area.left * wide))
        top = min(max(0, high - height), round(self._area.top * high))
        return np.ascontiguousarray(picture[top : top + height, left : left + width])


def to_whole(boxes: Floats, area: Area) -> Floats:
    """(n, 4 or more) boxes in fractions of a part, in fractions of the whole picture."""
    made = boxes.copy()
    made[:, [0, 2]] = area.left + made[:, [0, 2]] * (area.right - area.left)
    made[:, [1, 3]] = area.top + made[:, [1, 3]] * (area.bottom - area.top)
    return made


class MotionPart:
    """The part in which something differs from the picture that was last looked at as a whole.

    Outside of it that picture's boxes still hold, since nothing changed there. The part has the form of the network's
    input, or, where pictures are stretched to it, that of the picture, so that things keep the form that the network
    knows; its size is one of few, so that scaling has little to prepare.

    Args:
        facts: of the network's input.
        least: the part is at least this share of the picture's height (or width) high.
        overlap: of two boxes of one class that overlap more than this (IoU), the weaker is dropped.
    """

    def __init__(self, facts: PictureInput, least: float, overlap: float) -> None:
        self._facts, self._least, self._overlap = facts, least, overlap
        self.restart()

    def restart(self) -> None:
        """The next picture is looked at as a whole."""
        self._before: NDArray[np.int16] | None = None
        self._base: Floats | None = None

    def area(self, frame: Frame) -> Area:
        """Where to look in the picture."""
        if self._before is None or self._base is None:
            return WHOLE
        cells = self._moving(frame)
        if cells is None:
            return WHOLE
        left, top, right, bottom = cells
        return self._window(frame, left, top, right, bottom)

    def _moving(self, frame: Frame) -> Area | None:
        """Around all cells of the small grey picture in which something changed, with one more on each side."""
        assert self._before is not None
        grey = small_grey(frame)
        if grey.shape != self._before.shape:
            return None
        high, wide = grey.shape
        rows, columns = -(-high // _CELL), -(-wide // _CELL)
        padded = np.zeros((rows * _CELL, columns * _CELL), np.float32)
        padded[:high, :wide] = changed_pixels(grey, self._before)
        moving = padded.reshape(rows, _CELL, columns, _CELL).mean((1, 3)) >= _CELL_SHARE
        if not moving.any():
            return None
        down, across = np.flatnonzero(moving.any(1)), np.flatnonzero(moving.any(0))
        return Area(
            max(0.0, (float(across[0]) - 1) * _CELL / wide),
            max(0.0, (float(down[0]) - 1) * _CELL / high),
            min(1.0, (float(across[-1]) + 2) * _CELL / wide),
            min(1.0, (float(down[-1]) + 2) * _CELL / high),
        )

    def _window(self, frame: Frame, left: float, top: float, right: float, bottom: float) -> Area:
        facts = self._facts
        ratio = 1.0 if facts.fit == "stretch" else facts.width / facts.height * frame.height / frame.width
        least = max(1, round(self._least * _STEPS))
        # as wide or as high as the picture is the most; the other side follows the form of the input
        longest = max(1.0, 1 / ratio)
        for step in range(least, _STEPS + 1):
            tall = step / _STEPS * longest
            wide, high = min(1.0, tall * ratio), min(1.0, tall)
            if wide >= right - left and high >= bottom - top:
                break
        else:
            return WHOLE
        across, down = picture_size(round(wide * frame.width), round(high * frame.height), facts)
        plain = picture_size(frame.width, frame.height, facts)
        if across / wide < _GAIN * plain[0] and down / high < _GAIN * plain[1]:
            return WHOLE
        x = min(max(0.0, (left + right - wide) / 2), 1 - wide)
        y = min(max(0.0, (top + bottom - high) / 2), 1 - high)
        return Area(x, y, x + wide, y + high)

    def merged(self, frame: Frame, rows: Floats, area: Area) -> Floats:
        """Boxes of the whole picture.

        Args:
            frame: the picture.
            rows: (n, 6) that were found in the part, in fractions of the whole picture; score and class last.
            area: the part.
        """
        if area == WHOLE or self._base is None:
            self._before, self._base = small_grey(frame), rows
            return rows
        base = self._base
        inside = (
            (base[:, 0] >= area.left)
            & (base[:, 1] >= area.top)
            & (base[:, 2] <= area.right)
            & (base[:, 3] <= area.bottom)
        )
        kept = base[~inside]
        cut = self._touching(rows, area)
        if len(kept) and cut.any():
            shared = _shares(rows[:, :4], kept[:, :4]) >= _SAME
            same = rows[:, 5][:, None] == kept[:, 5][None]
            rows = rows[~(cut & (shared & same).any(1))]
        both = np.concatenate([kept, rows])
        if not len(both):
            return both
        both = both[np.argsort(-both[:, 4], kind="stable")]
        return both[suppress(both[:, :4], both[:, 4], both[:, 5].astype(np.intp), self._overlap)]

    @staticmethod
    def _touching(rows: Floats, area: Area) -> NDArray[np.bool_]:
        """Which boxes end at a side of the part that is no side of the picture: they may be cut off."""
        made = np.zeros(len(rows), bool)
        for side, (at, end) in enumerate(zip(area, WHOLE, strict=True)):
            if at != end:
                made |= np.abs(rows[:, side] - at) < _EDGE
        return made


def _shares(one: Floats, other: Floats) -> Floats:
    """(n, m) share of each box of ``one`` that lies in each of ``other``."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    size = np.clip(one[:, 2:] - one[:, :2], 1e-9, None).prod(-1)
    return (shared / size[:, None]).astype(np.float32)
