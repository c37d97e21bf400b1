"""Turns a series of values into stretches of time, with hysteresis, shortest lengths and bridged gaps."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from onlooker.core.time import Span, Timestamp

__all__ = ["Stretch", "StretchFinder"]


@dataclass(slots=True)
class Stretch:
    """A stretch in which a value stayed high.

    Args:
        start, end: its limits.
        peak: the largest value.
        sums: sum over the high samples of each number given with them.
        rows: each array given with the high samples.
        count: how many samples were high.
        seen: how many there were from the first high one to the last, bridged ones included.
    """

    start: Timestamp
    end: Timestamp
    peak: float
    sums: dict[str, float] = field(default_factory=dict[str, float])
    rows: dict[str, list[Any]] = field(default_factory=dict[str, list[Any]])
    count: int = 0
    seen: int = 0

    @property
    def span(self) -> Span:
        """Its limits."""
        return Span(self.start, self.end)

    def mean(self, name: str) -> float:
        """Mean over the high samples of a number given with them."""
        return self.sums[name] / self.count

    def add(self, value: float, bridged: int, more: dict[str, Any]) -> None:
        """Take a high sample that came after ``bridged`` low ones."""
        self.peak = max(self.peak, value)
        self.count += 1
        self.seen += bridged + 1
        for name, extra in more.items():
            if isinstance(extra, float):
                self.sums[name] = self.sums.get(name, 0.0) + extra
            else:
                self.rows.setdefault(name, []).append(extra)


class StretchFinder:
    """Feed it samples in order of time; it gives back stretches as they become certain.

    The result depends on the samples alone, never on how they were grouped.

    Args:
        on: a stretch starts with a value of at least this.
        off: it goes on while values are at least this.
        minimum: shortest stretch in seconds that is given out.
        gap: interruptions of at most this many seconds are bridged.
        hold: a sample speaks for at most this many seconds (where frames are missing).
        longest: longer stretches are given out in pieces of about this many seconds.
    """

    def __init__(
        self,
        on: float,
        off: float,
        *,
        minimum: Fraction,
        gap: Fraction = Fraction(0),
        hold: Fraction = Fraction(2),
        longest: Fraction | None = None,
    ) -> None:
        self._on, self._off, self._minimum, self._gap, self._hold = on, off, minimum, gap, hold
        self._longest = longest
        self._current: Stretch | None = None
        self._open = False
        self._cut = False
        self._last: Timestamp | None = None
        self._bridged = 0

    @property
    def pending(self) -> bool:
        """Whether a stretch is under way or may still be continued."""
        return self._current is not None

    def limit(self, longest: Fraction | None) -> None:
        """Give longer stretches out in pieces of about this many seconds from now on; None: whole."""
        self._longest = longest

    @property
    def since(self) -> Timestamp | None:
        """Where the stretch begins that is under way or may still be continued, if there is one."""
        return None if self._current is None else self._current.start

    def feed(self, time: Timestamp, value: float, **more: Any) -> list[Stretch]:
        """Take the sample at ``time``, valid until the next one.

        Args:
            time: its moment.
            value: decides whether it is high.
            more: further numbers, of which stretches give the mean, and arrays, which they keep.
        """
        current = self._current
        if self._open and self._last is not None and current is not None:
            current.end = min(time, self._last + self._hold)
            self._open = current.end == time
        self._last = time
        inside = value >= (self._off if self._open else self._on)
        done: list[Stretch] = []
        if current is not None and not self._open and time - current.end > self._gap:
            done = self._finish()
        elif current is not None and inside and self._longest is not None and time - current.start >= self._longest:
            current.end = time
            done = self._finish()
            self._cut = True
        self._open = inside
        if not inside:
            self._bridged += 1
            return done
        if self._current is None:
            self._current = Stretch(time, time, value)
            self._bridged = 0
        self._current.add(value, self._bridged, more)
        self._bridged = 0
        return done

    def flush(self, end: Timestamp | None) -> list[Stretch]:
        """The series has ended at ``end``."""
        if self._open and self._current is not None and self._last is not None and end is not None:
            self._current.end = max(self._last, min(end, self._last + self._hold))
        self._open, self._last = False, None
        return self._finish()

    def _finish(self) -> list[Stretch]:
        current, self._current = self._current, None
        # the last piece of a long stretch may be short
        continued, self._cut = self._cut, False
        if current is None or (current.end - current.start < self._minimum and not continued):
            return []
        return [current]
