"""A place for one frame: what is newest is analysed, what came before is dropped and counted."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from onlooker.core.media import Frame

__all__ = ["LatestFrame"]


class LatestFrame:
    """Holds the newest frame for whoever analyses; a frame's age stays bounded however slow that is.

    Args:
        notify: called after each frame that was put, in the thread that puts it; must return at once.

    >>> slot = LatestFrame()
    >>> slot.take() is None
    True
    """

    def __init__(self, notify: Callable[[], None] | None = None) -> None:
        self._lock = threading.Lock()
        self._frame: Frame | None = None
        self._drops: Counter[str] = Counter()
        self._notify = notify

    def put(self, frame: Frame) -> None:
        """Offer a frame; one that nobody took is dropped as ``superseded``."""
        with self._lock:
            if self._frame is not None:
                self._drops["superseded"] += 1
            self._frame = frame
        if self._notify is not None:
            self._notify()

    def take(self) -> Frame | None:
        """The newest frame, once; None if there is none that was not taken."""
        with self._lock:
            frame, self._frame = self._frame, None
            return frame

    @property
    def waiting(self) -> bool:
        """Whether there is a frame to take."""
        return self._frame is not None

    def dropped(self, cause: str, count: int = 1) -> None:
        """Count frames that were dropped elsewhere (``rate``, ``gate``, ``load``, ...)."""
        with self._lock:
            self._drops[cause] += count

    @property
    def drops(self) -> Counter[str]:
        """Frames that were dropped so far, by cause; a copy."""
        with self._lock:
            return self._drops.copy()
