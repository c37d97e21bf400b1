"""Pictures of faces from which the best of each track is chosen."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Mapping
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from onlooker.analyzers._faces import QUALITY, square_crop

__all__ = ["ShotPicker", "face_jpeg", "level", "pack_pictures", "unpack_pictures"]

Floats = NDArray[np.float32]
# a face replaces another as the best only if it is better by more than chance
_STEP = 0.02
_LEAST_SECONDS = 4
_SCALE, _LARGEST, _JPEG_QUALITY = 1.7, 192, 85
_HEAD = struct.Struct("<HI")


def level(row: Floats) -> int:
    """The face's quality in steps in which it is compared.

    >>> level(np.full(19, 0.55, np.float32))
    27
    """
    return math.floor(float(row[QUALITY]) / _STEP)


def face_jpeg(picture: NDArray[np.uint8], row: Floats) -> bytes:
    """The face upright with its surroundings, at its own size but at most 192 pixels.

    Args:
        picture: RGB (h, w, 3).
        row: see `onlooker.analyzers._faces`.
    """
    height, width = picture.shape[:2]
    side = max((row[2] - row[0]) * width, (row[3] - row[1]) * height) * _SCALE
    size = int(min(_LARGEST, max(32, round(float(side)))))
    stream = io.BytesIO()
    Image.fromarray(square_crop(picture, row, _SCALE, size)).save(stream, "JPEG", quality=_JPEG_QUALITY)
    return stream.getvalue()


def pack_pictures(pictures: Mapping[int, bytes]) -> bytes | None:
    """JPEGs by the number of their row as one blob; None for none.

    >>> unpack_pictures(pack_pictures({0: b"a", 7: b"bcd"}))
    {0: b'a', 7: b'bcd'}
    """
    return b"".join(_HEAD.pack(n, len(p)) + p for n, p in pictures.items()) or None


def unpack_pictures(blob: bytes | None) -> dict[int, bytes]:
    """See `pack_pictures`."""
    found: dict[int, bytes] = {}
    at = 0
    while blob is not None and at < len(blob):
        number, length = _HEAD.unpack_from(blob, at)
        at += _HEAD.size
        found[number] = blob[at : at + length]
        at += length
    return found


class ShotPicker:
    """Tells which faces may be the best of their track: those better than all before in the same place.

    It remembers nothing from one stretch of time to the next. Stretches are counted from fixed moments, so that
    segments of a source agree with the whole.

    Args:
        unit: a stretch is a multiple of so many seconds.
    """

    def __init__(self, unit: Fraction) -> None:
        self.look_back = unit * math.ceil(_LEAST_SECONDS / unit)
        self._stretch = -1
        self._seen: list[tuple[Floats, int]] = []

    def pick(self, time: Fraction, rows: Floats, *, cut: bool = False) -> list[int]:
        """Numbers of the rows to keep a picture of; to be called with every frame's rows. After a cut all are new."""
        stretch = int(time / self.look_back)
        if cut or stretch != self._stretch:
            self._stretch, self._seen = stretch, []
        picked: list[int] = []
        left = self._seen
        self._seen = []
        for number, row in enumerate(rows):
            own = level(row)
            near = [i for i, (box, _) in enumerate(left) if _same_place(box, row[:4])]
            before = max((left[i][1] for i in near), default=-1)
            left = [seen for i, seen in enumerate(left) if i not in near]
            if own > before:
                picked.append(number)
            self._seen.append((row[:4], max(own, before)))
        # faces not seen just now may come back
        self._seen += left
        return picked


def _same_place(first: Floats, second: Floats) -> bool:
    """Whether each box holds the other's middle."""
    a, b = (first[:2] + first[2:]) / 2, (second[:2] + second[2:]) / 2
    return bool(np.all((first[:2] < b) & (b < first[2:]) & (second[:2] < a) & (a < second[2:])))
