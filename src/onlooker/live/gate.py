"""The motion gate: whether a picture is worth the expensive analyzers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onlooker.core.media import Frame
from onlooker.live.settings import GateSettings

__all__ = ["MotionGate"]

_WIDTH, _HEIGHT = 160, 90


class MotionGate:
    """Opens on motion, stays open for a while after it, and lets a picture through now and then even without.

    Pictures are compared as grey 160 x 90: the share of pixels that changed by more than a number of grey levels,
    after the change of the light as a whole (the median) is taken off, and with at least two changed neighbours, so
    that a sensor's noise is none.

    Args:
        settings: thresholds and times.
    """

    def __init__(self, settings: GateSettings | None = None) -> None:
        self._settings = settings or GateSettings()
        self._before: tuple[float, NDArray[np.int16]] | None = None
        self._moved: float | None = None
        self._through: float | None = None
        self._motion = False
        self.share = 0.0
        """Share of changed pixels in the last compared picture, 0..1."""

    @property
    def motion(self) -> bool:
        """Whether there was motion at the last frame, or within ``hold`` seconds before it."""
        return self._motion

    def moving(self, frame: Frame) -> bool:
        """Whether the gate is open for this frame; frames must come in order of time."""
        settings, now = self._settings, frame.time.seconds
        grey = frame.image(_WIDTH, _HEIGHT, "gray").astype(np.int16)
        if self._before is None:
            self._before, self.share = (now, grey), 0.0
        else:
            self.share = changed_share(grey, self._before[1], settings.difference)
            if now - self._before[0] >= settings.apart:
                self._before = (now, grey)
        if self.share >= settings.share:
            self._moved = now
        self._motion = self._moved is not None and now - self._moved <= settings.hold
        due = self._through is None or (settings.glance > 0 and now - self._through >= settings.glance)
        if self._motion or due:
            self._through = now
        return self._motion or due

    def restart(self) -> None:
        """Forget the picture before, as after a reconnect: the next one is not compared."""
        self._before = None


def changed_share(now: NDArray[np.int16], before: NDArray[np.int16], difference: int) -> float:
    """Share of pixels, 0..1, that changed by ``difference`` or more, apart from the light as a whole and from noise.

    Args:
        now: (height, width) grey levels.
        before: another picture of the same size.
        difference: grey levels.
    """
    change = now - before
    changed = np.abs(change - int(np.median(change[::3, ::3]))) >= difference
    if not changed.any():
        return 0.0
    padded = np.pad(changed.astype(np.uint8), 1)
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    around = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    return float(np.count_nonzero(changed & (around >= 3)) / changed.size)
