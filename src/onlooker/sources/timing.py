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


def shown_frames(
    decoded: Iterator[Any], clock: Clock, default: Fraction, *, by_order: bool
) -> Iterator[tuple[Any, Timestamp, Fraction]]:
    """Decoded frames with their time and duration; anything else that ``decoded`` gives is handed through first.

    Args:
        decoded: PyAV frames in the order shown, or other items.
        clock: the stream's.
        default: duration of a frame where nothing says it.
        by_order: number the frames by ``default`` instead of trusting their ticks.
    """
    held: tuple[Any, Timestamp] | None = None
    count = 0
    for item in decoded:
        if not hasattr(item, "pict_type"):
            yield item, Timestamp.of_seconds(0), Fraction(0)
            continue
        if by_order:
            time = Timestamp(count * default.numerator, Fraction(1, default.denominator))
            count += 1
        elif item.pts is not None:
            time = clock.at(item.pts)
        elif held is not None:
            time = held[1] + default
        else:
            time = Timestamp.of_seconds(Fraction(0))
        if held is not None:
            if time <= held[1]:
                continue  # shown at the same moment or before: a repeated or damaged timestamp
            yield held[0], held[1], time - held[1]
        held = (item, time)
    if held is not None:
        own = held[0].duration
        last = own * held[0].time_base if own and not by_order else default
        yield held[0], held[1], last
