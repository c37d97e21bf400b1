"""Hides people and things in single pictures: what a library derives from its videos.

A picture shows one moment, so nothing helps it over a face that the detector missed: thresholds are lower than over
time, a second detector looks at the result, and what cannot be looked at is not shown.
"""

from __future__ import annotations

import io
from collections.abc import Collection
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from onlooker.redaction.cover import Style, cover, grown
from onlooker.redaction.guard import Guard
from onlooker.redaction.look import Look, Still, Thing

__all__ = ["PictureCover", "is_picture"]

Picture: TypeAlias = NDArray[np.uint8]
_MARKS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"GIF8", b"BM", b"II*\0", b"MM\0*")
_SCORES: dict[Thing, float] = {"faces": 0.2, "persons": 0.3, "screens": 0.3, "plates": 0.4, "text": 0.4}
_MARGIN = 0.25
_LARGE, _PART, _STEP = 960, 480, 320
"""A larger picture is a sheet of small ones: it is looked at in overlapping parts."""
_QUALITY = 85


def is_picture(data: bytes) -> bool:
    """Whether bytes begin like a picture file.

    >>> is_picture(b"WEBVTT")
    False
    """
    return data.startswith(_MARKS) and (not data.startswith(b"RIFF") or data[8:12] == b"WEBP")


class PictureCover:
    """Loaded detectors for pictures.

    Args:
        hide: what.
        style: how.
        threads: how many a model may use.
    """

    def __init__(self, hide: Collection[Thing], style: Style, *, threads: int = 1) -> None:
        self._style: Style = style
        self._look = Look(hide, threads=threads)
        self._guard = Guard(style) if {"faces", "persons"} & set(hide) else None

    def covered(self, data: bytes, *, whole: bool = False) -> bytes:
        """The picture file with everything hidden, or as it is where there is nothing to hide.

        Args:
            data: a JPEG, PNG or WebP file; of one that cannot be read nothing is left but its colour.
            whole: hide all of it: it is a picture of a face.
        """
        try:
            with Image.open(io.BytesIO(data)) as opened:
                form = opened.format or "JPEG"
                picture = np.array(opened.convert("RGB"))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return _saved(np.full((16, 16, 3), 128, np.uint8), "JPEG")
        if whole:
            cover([picture], [np.array([0, 0, 1, 1], np.float32)], self._style, cells=1)
            return _saved(picture, form)
        return _saved(picture, form) if self.cover(picture) else data

    def cover(self, picture: Picture) -> bool:
        """Hide in an RGB picture (height, width, 3), in place; returns whether there was anything."""
        high, wide = picture.shape[:2]
        if max(high, wide) <= _LARGE:
            return self._cover(picture)
        changed = False
        for top in _starts(high):
            for left in _starts(wide):
                changed |= self._cover(picture[top : top + _PART, left : left + _PART])
        return changed

    def _cover(self, picture: Picture) -> bool:
        found = self._look.at(Still(picture))
        boxes = [rows[rows[:, 4] >= _SCORES[thing], :4] for thing, rows in found.items()]
        every = grown(np.concatenate(boxes), _MARGIN) if boxes else np.zeros((0, 4), np.float32)
        cover([picture], every, self._style)
        more = self._guard.look([picture]) if self._guard is not None else every[:0]
        return bool(len(every) or len(more))

    def close(self) -> None:
        """Release the detectors."""
        self._look.close()
        if self._guard is not None:
            self._guard.close()


def _starts(length: int) -> list[int]:
    """Where overlapping parts begin that together hold everything."""
    if length <= _PART:
        return [0]
    return [*range(0, length - _PART, _STEP), length - _PART]


def _saved(picture: Picture, form: str) -> bytes:
    stream = io.BytesIO()
    image = Image.fromarray(picture)
    if form in ("PNG", "WEBP"):
        image.save(stream, form)
    else:
        image.save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()
