"""Exact time: integer ticks of a rational time base, ordered by value.

Zero is the moment at which a player starts to show the source (its start offset is already removed).
Seconds as float exist only at the edge (printing, JSON, user input).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from fractions import Fraction
from typing import overload

from onlooker.core.errors import UsageError

__all__ = ["NANOSECONDS", "Span", "Timestamp", "parse_age", "parse_seconds"]

NANOSECONDS = Fraction(1, 1_000_000_000)


@functools.total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Timestamp:
    """A moment: ``pts`` ticks of ``time_base`` seconds each.

    Args:
        pts: ticks; may be negative.
        time_base: seconds per tick, positive.

    >>> Timestamp(1, Fraction(1, 25)) == Timestamp(40, Fraction(1, 1000))
    True
    >>> Timestamp(3, Fraction(1, 25)).seconds
    0.12
    """

    pts: int
    time_base: Fraction

    def __post_init__(self) -> None:
        if self.time_base.numerator <= 0:
            raise ValueError(f"time_base: expected a positive fraction, got {self.time_base}")

    @property
    def value(self) -> Fraction:
        """The moment in seconds, exactly."""
        return self.pts * self.time_base

    @property
    def seconds(self) -> float:
        """The moment in seconds, as a float for the edge."""
        return self.pts * self.time_base.numerator / self.time_base.denominator

    def tick(self, rate: Fraction) -> int:
        """How many whole ticks of 1/``rate`` seconds have passed: ``floor(value * rate)``."""
        base = self.time_base
        return (self.pts * base.numerator * rate.numerator) // (base.denominator * rate.denominator)

    @property
    def nanoseconds(self) -> int:
        """The moment in whole nanoseconds, rounded down; used as sort key in stores."""
        return (self.pts * self.time_base.numerator * 1_000_000_000) // self.time_base.denominator

    @classmethod
    def of_seconds(cls, seconds: float | Fraction) -> Timestamp:
        """The moment at ``seconds``, to the nanosecond for floats, exactly for fractions.

        >>> Timestamp.of_seconds(1.5).value
        Fraction(3, 2)
        """
        if isinstance(seconds, Fraction):
            return cls(seconds.numerator, Fraction(1, seconds.denominator))
        return cls(round(seconds * 1_000_000_000), NANOSECONDS)

    def __add__(self, delta: Fraction | int) -> Timestamp:
        # in whole numbers: this runs several times for each frame
        ticks, rest = divmod(delta.numerator * self.time_base.denominator, delta.denominator * self.time_base.numerator)
        if rest:
            return Timestamp.of_seconds(self.value + delta)
        return Timestamp(self.pts + ticks, self.time_base)

    @overload
    def __sub__(self, other: Timestamp) -> Fraction: ...
    @overload
    def __sub__(self, other: Fraction | int) -> Timestamp: ...
    def __sub__(self, other: Timestamp | Fraction | int) -> Fraction | Timestamp:
        if isinstance(other, Timestamp):
            if self.time_base is other.time_base or self.time_base == other.time_base:
                return (self.pts - other.pts) * self.time_base
            return self.value - other.value
        return self + (-other)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Timestamp):
            return NotImplemented
        if self.time_base is other.time_base or self.time_base == other.time_base:
            return self.pts == other.pts
        return self.value == other.value

    def __lt__(self, other: Timestamp) -> bool:
        if self.time_base is other.time_base or self.time_base == other.time_base:
            return self.pts < other.pts
        a, b = self.time_base, other.time_base
        return self.pts * a.numerator * b.denominator < other.pts * b.numerator * a.denominator

    def __hash__(self) -> int:
        return hash(self.value)

    def __str__(self) -> str:
        """``H:MM:SS.mmm``, rounded to the millisecond.

        >>> str(Timestamp(3_723_004, Fraction(1, 1000)))
        '1:02:03.004'
        """
        millis = round(self.value * 1000)
        sign, millis = ("-", -millis) if millis < 0 else ("", millis)
        hours, rest = divmod(millis, 3_600_000)
        minutes, rest = divmod(rest, 60_000)
        return f"{sign}{hours}:{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open stretch of time: ``start`` belongs to it, ``end`` does not.

    A moment (one frame without known duration) has ``start == end``.

    >>> a = Span(Timestamp.of_seconds(0), Timestamp.of_seconds(2))
    >>> a.overlaps(Span(Timestamp.of_seconds(2), Timestamp.of_seconds(3)))
    False
    """

    start: Timestamp
    end: Timestamp

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise ValueError(f"span: expected start <= end, got {self.start} .. {self.end}")

    @classmethod
    def of_seconds(cls, start: float | Fraction, end: float | Fraction) -> Span:
        """The span between two moments given in seconds."""
        return cls(Timestamp.of_seconds(start), Timestamp.of_seconds(end))

    @property
    def duration(self) -> Fraction:
        """Length in seconds, exactly."""
        return self.end - self.start

    def contains(self, moment: Timestamp) -> bool:
        """Whether ``moment`` lies in the span (an empty span holds its own start)."""
        return self.start <= moment < self.end or self.start == moment

    def overlaps(self, other: Span) -> bool:
        """Whether the two spans share a moment."""
        if self.start == self.end:
            return other.contains(self.start)
        if other.start == other.end:
            return self.contains(other.start)
        return self.start < other.end and other.start < self.end

    def intersection(self, other: Span) -> Span | None:
        """The shared stretch, or None."""
        if not self.overlaps(other):
            return None
        return Span(max(self.start, other.start), min(self.end, other.end))

    def __str__(self) -> str:
        return f"{self.start}-{self.end}"


_AGES = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def parse_age(text: str) -> Fraction:
    """Seconds from ``30d``, ``12h``, ``2w``, ``90m``, ``60s``.

    Raises:
        UsageError: the text is none of these.

    >>> parse_age("2d")
    Fraction(172800, 1)
    """
    number, unit = text.strip()[:-1].strip(), text.strip()[-1:]
    if unit not in _AGES or not number.replace(".", "", 1).isdecimal():
        raise UsageError(f"not an age: {text!r}", hint="write 30d, 12h, 2w, 90m or 60s")
    return Fraction(number) * _AGES[unit]


def parse_seconds(text: str) -> Fraction:
    """Seconds from ``"90"``, ``"1:30"``, ``"0:01:30.5"`` or ``"90s"``, ``"1.5m"``, ``"2h"``.

    Raises:
        UsageError: the text is none of these.

    >>> parse_seconds("1:30.5")
    Fraction(181, 2)
    """
    body, factor = text.strip(), Fraction(1)
    if body[-1:] in ("s", "m", "h"):
        factor = {"s": Fraction(1), "m": Fraction(60), "h": Fraction(3600)}[body[-1]]
        body = body[:-1]
    parts = body.split(":")
    try:
        if not 1 <= len(parts) <= 3 or (len(parts) > 1 and body != text.strip()):
            raise ValueError(text)
        total = Fraction(0)
        for part in parts:
            total = total * 60 + Fraction(part)
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"not a time: {text!r}", hint="write 90, 1:30, 0:01:30.5, 90s, 1.5m or 2h") from None
    return total * factor
