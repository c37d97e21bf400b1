"""Frames at some moments of a sound file, without a value for each frame that is passed over.

Reading with care costs as much again for small pictures as decoding them. Whatever is odd is left to that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import floor
from typing import Any

from av.error import FFmpegError

from onlooker.core.time import Timestamp
from onlooker.sources.container import Opened
from onlooker.sources.frame import DecodedFrame

__all__ = ["quick_frames"]


def quick_frames(opened: Opened, moments: Sequence[Fraction]) -> list[DecodedFrame] | None:
    """The frames that are shown at ``moments``, in order of time, decoded in one thread from the beginning.

    Args:
        opened: a file with pictures; it is closed.
        moments: seconds; beyond the end the last frame is given.

    Returns:
        None where something is damaged or its times are not plain: read it with care then.
    """
    try:
        if opened.video is None or (opened.by_order and opened.numbered is None):
            return None
        return _frames(opened, moments)
    except FFmpegError:
        return None
    finally:
        opened.close()


def _frames(opened: Opened, moments: Sequence[Fraction]) -> list[DecodedFrame] | None:
    limits, time_of = _limits(opened, moments)
    numbered = opened.numbered is not None
    context = opened.video.codec_context
    context.thread_type, context.thread_count = "AUTO", 1
    found: list[DecodedFrame] = []
    last: Any = None
    place, before = -1, None
    for packet in opened.container.demux(opened.video):
        if numbered and packet.is_discard:
            return None
        for frame in packet.decode():
            place = place + 1 if numbered else frame.pts
            if frame.is_corrupt or place is None or (before is not None and place <= before):
                return None
            while len(found) < len(limits) and place > limits[len(found)]:
                if last is None:
                    last = _shown(frame, place, time_of, opened)
                elif not isinstance(last, DecodedFrame):
                    last = _shown(last, before, time_of, opened)
                found.append(last)
            if len(found) == len(limits):
                return found
            last, before = frame, place
    if last is None or before is None:
        return None
    end = opened.video_end
    # what breaks off before its stated end is damaged
    if end is not None and end - time_of(before).value > max(Fraction(1, 2), 4 * opened.frame_duration):
        return None
    shown = _shown(last, before, time_of, opened)
    return found + [shown] * (len(limits) - len(found))


def _shown(frame: Any, place: Any, time_of: Callable[[int], Timestamp], opened: Opened) -> DecodedFrame:
    return DecodedFrame(frame, time_of(place), opened.frame_duration, opened.rotation)


def _limits(opened: Opened, moments: Sequence[Fraction]) -> tuple[list[int], Callable[[int], Timestamp]]:
    """The greatest tick (or number) that is shown at each moment or before, and what gives a tick's time."""
    if opened.numbered is not None:
        each, begin = opened.numbered.each, opened.first_shown

        def numbered(place: int) -> Timestamp:
            return Timestamp.of_seconds(begin + place * each)

        return [floor((m - begin) / each) for m in moments], numbered
    first, second = opened.clock.at(0).value, opened.clock.at(1).value
    return [floor((m - first) / (second - first)) for m in moments], opened.clock.at
