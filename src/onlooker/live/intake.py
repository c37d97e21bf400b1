"""Where pictures and sound wait for their analysis: only the newest picture that is due; drops are counted."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from fractions import Fraction

from onlooker.core.media import AudioBlock, Frame
from onlooker.core.time import Timestamp
from onlooker.live.slot import LatestFrame

__all__ = ["Intake", "Meter", "due"]

_MOST_SOUND = 30


def due(at: Timestamp, before: Timestamp | None, rate: float) -> bool:
    """Whether ``at`` is the first moment at or after a tick of 1/``rate`` since ``before``.

    >>> due(Timestamp.of_seconds(0.5), Timestamp.of_seconds(0.3), 5.0)
    True
    """
    if before is None:
        return True
    exact = Fraction(rate).limit_denominator(1000)
    return at.tick(exact) > before.tick(exact)


class Meter:
    """How often something happens lately."""

    def __init__(self) -> None:
        self._moments: deque[float] = deque(maxlen=50)

    def count(self) -> None:
        """It happened."""
        self._moments.append(time.monotonic())

    @property
    def rate(self) -> float:
        """Times a second over the last ten seconds, or the last fifty times; 0 where it has stopped."""
        now = time.monotonic()
        recent = [m for m in list(self._moments) if now - m <= 10.0]
        return len(recent) / max(now - recent[0], 1e-3) if len(recent) > 1 else 0.0


class Intake:
    """Filled in the link's thread, emptied in a worker's.

    Args:
        wanted: frames a second at most.
        hears: whether sound is kept.
        notify: called when there is something to take.

    Attributes:
        rate: frames a second that are allowed now; may be set at any time.
        arriving: of all pictures that come.
    """

    def __init__(self, wanted: float, *, hears: bool, notify: Callable[[], None]) -> None:
        self._wanted, self._hears, self._notify = wanted, hears, notify
        self._slot = LatestFrame(notify)
        self._sounds: deque[AudioBlock] = deque()
        self._lock = threading.Lock()
        self._last: Timestamp | None = None
        self._offered: Timestamp | None = None
        self._came = 0.0
        self.rate = wanted
        self.arriving = Meter()

    def frame(self, frame: Frame) -> None:
        """A picture came; it waits if it is due, and what waited is dropped."""
        self.arriving.count()
        last, self._last = self._last, frame.time
        if last is not None and not due(frame.time, last, self._wanted):
            self._slot.dropped("rate")
        elif self._offered is not None and not due(frame.time, self._offered, self.rate):
            self._slot.dropped("load")
        else:
            self._offered = frame.time
            self._came = time.monotonic()
            self._slot.put(frame)

    def sound(self, block: AudioBlock) -> None:
        """Sound came; it all waits, up to half a minute."""
        if not self._hears:
            return
        with self._lock:
            self._sounds.append(block)
            if len(self._sounds) > _MOST_SOUND:
                self._sounds.popleft()
                self._slot.dropped("sound")
        self._notify()

    def take(self) -> tuple[Frame | None, float, Sequence[AudioBlock]]:
        """The picture that waits, when it came (by the monotonic clock), and the sound that waits."""
        came, frame = self._came, self._slot.take()
        with self._lock:
            sounds = list(self._sounds)
            self._sounds.clear()
        return frame, came, sounds

    @property
    def waiting(self) -> bool:
        """Whether a picture waits."""
        return self._slot.waiting

    @property
    def drops(self) -> Counter[str]:
        """Pictures that were not analysed, by cause."""
        return self._slot.drops

    def dropped(self, cause: str) -> None:
        """Count a picture that was dropped elsewhere."""
        self._slot.dropped(cause)
