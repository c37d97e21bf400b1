"""When frames are shown: start offset removed, strictly growing, with durations from the frame that follows."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import lcm
from typing import Any

from onlooker.core.time import Timestamp

__all__ = ["Clock", "shown_frames", "stream_origin"]

# containers whose timestamps are the pictures' own; others (AVI, raw streams) number coded units
TIMED = ("mov", "matroska", "webm", "mpegts", "mpeg", "flv", "asf", "ogg", "hls", "dash", "rtsp", "rtp", "nut", "mxf")


def stream_origin(container: Any, streams: list[Any]) -> Fraction:
    """The moment, in the container's own time, at which a player starts: the earliest start of the streams."""
    starts = [s.start_time * s.time_base for s in streams if s.start_time is not None and s.time_base]
    if starts:
        return min(starts)
    return Fraction(container.start_time or 0, 1_000_000)


class Clock:
    """Turns a stream's ticks into moments from the source's zero."""

    def __init__(self, time_base: Fraction, origin: Fraction) -> None:
        denominator = lcm(time_base.denominator, origin.denominator)
        self.time_base = Fraction(1, denominator)
        self._scale = int(time_base / self.time_base)
        self._offset = int(origin / self.time_base)

    def at(self, pts: int) -> Timestamp:
        """The moment of ``pts`` ticks of the stream."""
        return Timestamp(pts * self._scale - self._offset, self.time_base)


def shown_frames(decoded: Iterator[tuple[Any, Timestamp] | None]) -> Iterator[tuple[Any, Timestamp, Fraction] | None]:
    """Decoded frames with their time and duration; a frame's duration reaches to the frame that follows.

    A frame that is shown at the moment of its forerunner or before it is left out: its timestamp is repeated or
    damaged.

    Args:
        decoded: PyAV frames in the order shown, with their time; the last one's own duration counts. A None is handed
            through at once.
    """
    held: tuple[Any, Timestamp] | None = None
    for item in decoded:
        if item is None:
            yield None
            continue
        if held is not None:
            if item[1] <= held[1]:
                continue
            yield held[0], held[1], item[1] - held[1]
        held = item
    if held is not None:
        yield held[0], held[1], Fraction(0)
