"""Passes frames over in which nothing changed."""

from __future__ import annotations

from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from onlooker.core.media import PixelFormat, UInt8Array
from onlooker.core.time import Timestamp

__all__ = ["GATE_WIDTH", "ChangeGate", "changed_pixels", "small_grey"]

GATE_WIDTH = 160
_LEVELS = 12


class Shown(Protocol):
    """A frame, or a part of one."""

    @property
    def time(self) -> Timestamp:
        """When it is shown."""
        ...

    def image(self, width: int | None = None, height: int | None = None, format: PixelFormat = "rgb24") -> UInt8Array:
        """See `onlooker.core.media.Frame.image`."""
        ...


def small_grey(frame: Shown) -> NDArray[np.int16]:
    """(H, `GATE_WIDTH`) the small grey picture by which changes are seen."""
    return frame.image(GATE_WIDTH, 0, "gray").astype(np.int16)


def changed_pixels(grey: NDArray[np.int16], before: NDArray[np.int16]) -> NDArray[np.bool_]:
    """(H, W) which pixels of two small grey pictures of one shape differ; single ones are noise: the pixel to the left
    must differ too.
    """
    far = np.abs(grey - before) >= _LEVELS
    made = np.zeros(far.shape, bool)
    made[:, 1:] = far[:, 1:] & far[:, :-1]
    return made


class ChangeGate:
    """Lets a frame through that is the first of its stretch of time, or differs from the last one let through in it.

    Stretches are counted from fixed moments, which keeps the memory within a look-back of their length, so that
    segments of a source agree with the whole.

    Args:
        seconds: length of a stretch.
        share: share of changed pixels of the small grey picture from which a frame counts as changed.
    """

    def __init__(self, seconds: float, share: float) -> None:
        self.look_back = Fraction(round(seconds * 1000), 1000)
        self._share = share
        self._seen: tuple[int, NDArray[np.int16]] | None = None

    def changed(self, frame: Shown) -> bool:
        """Whether to look at the frame."""
        stretch = int(frame.time.value / self.look_back)
        grey = small_grey(frame)
        if self._seen is not None and self._seen[0] == stretch and self._seen[1].shape == grey.shape:
            share = np.count_nonzero(changed_pixels(grey, self._seen[1])) / grey.size
            if share < self._share:
                return False
        self._seen = (stretch, grey)
        return True
