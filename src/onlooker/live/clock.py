"""Clocks: what a sender calls time, what the wall shows, and a camera's own time, which always grows.

A frame's delay is its arrival less its timestamp; it is the offset between the two clocks plus what the network and the
sender took. The least delay of the last minute is nearest to the offset (the minimum filter of NTP, RFC 5905, section
10), and follows a sender's clock that runs fast at once and one that runs slow within that minute.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

__all__ = ["CameraTime", "FreeClock", "StreamClock"]

_SECOND = 1_000_000_000
_WINDOW = 60 * _SECOND
_JUMP = 2 * _SECOND
_LATE = 3 * _SECOND
_PATIENCE = 5 * _SECOND
_SLEW = 20  # the applied offset moves by a twentieth of the time that passes
_STEP = 1_000  # nanoseconds by which times grow at least


class CameraTime:
    """Now, in nanoseconds since a camera's zero. Never goes back; thread-safe.

    If this machine's clock is set forward, so is the camera's time. If it is set back, the camera's time goes on at
    nine tenths of its speed until the two agree again.

    Args:
        zero: wall time of the camera's zero in Unix seconds.
        after: times of an earlier run go up to here; all that follow are later.
        wall: Unix time in nanoseconds.
        steady: a clock in nanoseconds that is never set.

    >>> CameraTime(zero=0.0, wall=lambda: 5, steady=lambda: 0).now()
    5
    """

    def __init__(
        self,
        zero: float,
        after: int = 0,
        *,
        wall: Callable[[], int] = time.time_ns,
        steady: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.zero = zero
        self._zero = round(zero * _SECOND)
        self._wall, self._steady = wall, steady
        self._lock = threading.Lock()
        self._last = after
        self._at = steady()

    def now(self) -> int:
        """Nanoseconds since the camera's zero."""
        with self._lock:
            steady = self._steady()
            passed, self._at = max(0, steady - self._at), steady
            self._last = max(self._last + passed * 9 // 10, self._wall() - self._zero)
            return self._last


class StreamClock:
    """Maps one stream's timestamps to camera time.

    What is mapped is never later than it came, except that times of a growing series grow by a microsecond at least. A
    timestamp that jumps, as of a sender that begins anew or a clock that wraps, starts the estimate afresh.

    Args:
        after: the series' times are later than this.
    """

    def __init__(self, after: int = 0) -> None:
        self._after = after
        self.jumps = 0
        """How often the timestamps jumped."""
        self._restart()

    def _restart(self) -> None:
        self._delays: deque[tuple[int, int]] = deque()
        self._offset: int | None = None
        self._stamp = 0
        self._arrival = 0
        self._late_since: int | None = None
        self.lateness = 0
        """Nanoseconds by which the last arrival came later than the promptest of the last minute."""

    def arrived(self, stamp: int | None, arrival: int) -> None:
        """A packet with this timestamp came.

        Args:
            stamp: nanoseconds of the sender's clock, in the order in which packets come; None where it says nothing.
            arrival: camera time.
        """
        if stamp is None:
            return
        if self._offset is not None and self._jumped(stamp, arrival):
            self.jumps += 1
            self._restart()
        delay = arrival - stamp
        while self._delays and self._delays[-1][1] >= delay:
            self._delays.pop()
        self._delays.append((arrival, delay))
        while self._delays[0][0] < arrival - _WINDOW:
            self._delays.popleft()
        least = self._delays[0][1]
        self.lateness = delay - least
        if self._offset is None:
            self._offset = least
        else:
            reach = max(0, arrival - self._arrival) // _SLEW
            self._offset += max(-reach, min(reach, least - self._offset))
        self._stamp, self._arrival = stamp, arrival

    def settle(self) -> None:
        """Take the estimate as it is now, at once: for the burst that comes when a connection begins."""
        if self._delays:
            self._offset = self._delays[0][1]

    def _jumped(self, stamp: int, arrival: int) -> bool:
        moved, passed = stamp - self._stamp, max(0, arrival - self._arrival)
        if moved < -_JUMP // 2 or moved > passed + _JUMP + self.lateness:
            return True
        # a delay that lasts is no delay: the sender's clock fell behind
        late = arrival - stamp - self._delays[0][1] > _LATE
        if not late:
            self._late_since = None
        elif self._late_since is None:
            self._late_since = arrival
        return self._late_since is not None and arrival - self._late_since > _PATIENCE

    def at(self, stamp: int | None, arrival: int) -> int:
        """Camera time of a timestamp, in any order; of what has none, its arrival."""
        if stamp is None or self._offset is None:
            return arrival
        return min(stamp + self._offset, arrival)

    def next(self, stamp: int | None, arrival: int) -> int:
        """Camera time of the next item of the growing series."""
        self._after = max(self.at(stamp, arrival), self._after + _STEP)
        return self._after


class FreeClock(StreamClock):
    """For a file that is read as fast as it is taken: its own time, from the moment at which it was begun."""

    def __init__(self, begun: int, after: int = 0) -> None:
        super().__init__(after)
        self._begun = begun
        self._first: int | None = None

    def arrived(self, stamp: int | None, arrival: int) -> None:
        """See `StreamClock.arrived`."""
        if self._first is None:
            self._first = stamp

    def at(self, stamp: int | None, arrival: int) -> int:
        """See `StreamClock.at`."""
        return self._after + _STEP if stamp is None else self._begun + stamp - (self._first or 0)
