"""Passes frames over in which nothing changed."""

from __future__ import annotations

from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from onlooker.core.media import PixelFormat, UInt8Array
from onlooker.core.time import Timestamp

__all__ = ["GATE_WIDTH", "ChangeGate"]

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
        grey = frame.image(GATE_WIDTH, 0, "gray").astype(np.int16)
        if self._seen is not None and self._seen[0] == stretch and self._seen[1].shape == grey.shape:
            change = np.abs(grey - self._seen[1]) >= _LEVELS
            # single pixels are noise: both the pixel and its neighbour must have changed
            share = np.count_nonzero(change[:, 1:] & change[:, :-1]) / change.size
            if share < self._share:
                return False
        self._seen = (stretch, grey)
        return True
