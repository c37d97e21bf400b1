"""Files whose pictures have no times, or all the same: their pictures are numbered and shown at an even rate.

Some muxers write an MP4 whose every picture is at 0. It is looked for in what opening reads in any case; only where
that, or what the container states, is doubtful are all packets looked at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from av.error import FFmpegError

if TYPE_CHECKING:
    from onlooker.sources.container import Opened

__all__ = ["FirstLook", "Numbering", "first_look", "numbering"]

_SLOWEST, _FASTEST = 1, 240  # pictures a second that are believed


@dataclass(frozen=True, slots=True)
class Numbering:
    """Times made from numbers: picture ``n`` is shown ``n * each`` seconds after the stream's start.

    Args:
        each: seconds for which one picture is shown.
        count: pictures that the container states, or the packets that are there.
    """

    each: Fraction
    count: int


@dataclass(frozen=True, slots=True)
class FirstLook:
    """What the first packets tell.

    Args:
        rotation: degrees clockwise by which pictures are turned for display (the container's display matrix).
        doubtful: whether the pictures may have no times of their own.
    """

    rotation: int = 0
    doubtful: bool = False


def first_look(opened: Opened) -> FirstLook:
    """Look at the packets up to the first picture, two at least; the container must be opened anew for reading."""
    if opened.video is None:
        return FirstLook()
    seen: list[Any] = []
    rotation: int | None = None
    try:
        for packet in opened.container.demux(opened.video):
            if packet.size:
                seen.append(packet)
            if rotation is None:
                frames = packet.decode()
                if frames:
                    rotation = round(-float(frames[0].rotation or 0) / 90) * 90 % 360
            if rotation is not None and len(seen) > 1:
                break
    except (FFmpegError, EOFError):
        pass
    return FirstLook(rotation or 0, not opened.by_order and _doubtful(opened.video, seen))


def _doubtful(stream: Any, packets: Sequence[Any]) -> bool:
    if len(packets) < 2:
        return False
    times = [p.pts for p in packets if p.pts is not None]
    if len(set(times)) < max(1, len(times)):
        return True
    shortest = min(p.duration or 0 for p in packets)
    return bool(stream.duration) and (stream.frames or 0) * shortest > 2 * stream.duration


def numbering(opened: Opened) -> Numbering | None:
    """How the pictures are numbered, or None where most have a time of their own; reads all packets.

    A few times that are repeated are a muxer's slip, and the two fields of a picture may share one.
    """
    times: list[int] = []
    lengths: Counter[int] = Counter()
    count = 0
    try:
        for packet in opened.container.demux(opened.video):
            if packet.size:
                count += 1
                lengths[packet.duration or 0] += 1
                if packet.pts is not None:
                    times.append(packet.pts)
    except (FFmpegError, EOFError):
        pass  # what is there decides
    if count < 2 or len(set(times)) * 2 >= max(1, len(times)):
        return None
    count = opened.video.frames or count
    return Numbering(1 / _rate(opened, count, max(lengths, key=lambda ticks: lengths[ticks])), count)


def _rate(opened: Opened, count: int, ticks: int) -> Fraction:
    """Pictures a second by what the codec, the packets' length in ``ticks`` and the container say.

    Where they disagree, the one by which the pictures last as long as the sound. The average rate is not among them:
    it comes from the times.
    """
    stream = opened.video
    said = [stream.codec_context.framerate, 1 / (ticks * stream.time_base) if ticks > 0 else None, stream.guessed_rate]
    rates = [Fraction(r) for r in said if r and _SLOWEST <= r <= _FASTEST]
    sound = max((s.duration * s.time_base for s in opened.audio if s.duration and s.time_base), default=Fraction(0))
    if not sound:
        return rates[0] if rates else Fraction(25)
    if not rates and _SLOWEST <= count / sound <= _FASTEST:
        return count / sound
    return min(rates, key=lambda rate: abs(count / rate - sound), default=Fraction(25))
