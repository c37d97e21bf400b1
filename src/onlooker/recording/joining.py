"""Joins what several recordings hold of a stretch into one file, without coding it anew."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.error import FFmpegError

from onlooker.core.errors import SourceError, UsageError
from onlooker.recording.index import Segment, goes_on
from onlooker.recording.seed import parameter_units

__all__ = ["Piece", "join"]

_BILLION = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the joined file.

    Args:
        at: nanoseconds of the joined file at which it begins.
        start: nanoseconds of the camera that it shows then.
        end: nanoseconds of the camera at which it ends.
        joins: whether nothing is missing before it.
    """

    at: int
    start: int
    end: int
    joins: bool = False


@dataclass(frozen=True, slots=True)
class _Part:
    path: Path
    segment: Segment
    begin: int
    piece: Piece


def join(library: Path, segments: Sequence[Segment], start: int, end: int, out: Path) -> list[Piece]:
    """Copy the packets between two moments of a camera into one MP4.

    It begins with the keyframe at or before ``start``. Where nothing was recorded the next picture follows at once; the
    pieces, which the file's comment holds too, tell what is shown when.

    Args:
        library: the folder that holds the files.
        segments: of one camera, in order.
        start: nanoseconds of the camera.
        end: nanoseconds of the camera.
        out: the file to write.

    Raises:
        UsageError: the camera changed its codec or size within the stretch.
        SourceError: nothing is recorded there, or a file cannot be read.
    """
    try:
        parts = _plan(library, segments, start, end)
        if not parts:
            raise SourceError("nothing is recorded there", hint="see onlooker recordings list and gaps")
        pieces = [p.piece for p in parts]
        with av.open(str(out), "w", format="mp4", options={"movflags": "+faststart"}) as target:
            target.metadata["comment"] = json.dumps([[p.at, p.start, p.end] for p in pieces])
            joined = _Join(target)
            for part in parts:
                joined.add(part, end)
    except FFmpegError as error:
        raise SourceError(f"cannot join recordings: {error.strerror or error}", hint="try a shorter stretch") from None
    return pieces


def _plan(library: Path, segments: Sequence[Segment], start: int, end: int) -> list[_Part]:
    parts: list[_Part] = []
    for segment in segments:
        path = library / segment.path
        with av.open(str(path)) as source:
            begin = _keyframe(source, source.streams.video[0], start - segment.start)
        if begin is None or segment.start + begin >= end:
            continue
        shown, at, joins = segment.start + begin, 0, False
        if parts:
            before = parts[-1].piece
            joins = goes_on(before.end, segment)
            # files of one connection follow each other to the tick, whatever their places in wall time say
            gap = max(0, shown - before.end) if joins and segment.cause else 0
            at = before.at + before.end - before.start + gap
        parts.append(_Part(path, segment, begin, Piece(at, shown, min(end, segment.end), joins)))
    return parts


class _Join:
    """The file that is written; its streams are those of the first part."""

    def __init__(self, target: Any) -> None:
        self._target = target
        self._streams: dict[str, Any] = {}
        self._formats: dict[str, tuple[Any, ...]] = {}
        self._bases: dict[str, Fraction] = {}
        self._parameters = b""
        self._last: dict[str, int] = {}

    def add(self, part: _Part, end: int) -> None:
        """Copy what a file holds of the stretch."""
        with av.open(str(part.path)) as source:
            found = [source.streams.video[0], *source.streams.audio[:1]]
            if not self._streams:
                for stream in found:
                    self._open(stream)
            streams = [s for s in found if self._formats.get(s.type) == _format(s)]
            if found[0] not in streams:
                hint = "export the stretches before and after it by themselves"
                raise UsageError("the camera changed its codec or size within the stretch", hint=hint)
            leading = bool(self._last) and part.piece.joins
            prefix = self._other_parameters(found[0])
            for packet in _within(source, streams, part.begin, end - part.segment.start, leading=leading):
                changed = prefix and packet.stream is found[0] and packet.is_keyframe
                self._put(_prefixed(packet, prefix) if changed else packet, part.piece.at - part.begin)

    def _open(self, stream: Any) -> None:
        made = self._target.add_stream_from_template(stream, opaque=True)
        if stream.codec_context.name == "hevc":
            made.codec_context.codec_tag = "hvc1"
        self._streams[stream.type] = made
        self._formats[stream.type] = _format(stream)
        self._bases[stream.type] = stream.time_base
        if stream.type == "video":
            self._parameters = stream.codec_context.extradata or b""

    def _other_parameters(self, video: Any) -> bytes:
        """What has to stand before a keyframe where the codec's parameters are not those of the joined file."""
        own = video.codec_context.extradata or b""
        if own == self._parameters:
            return b""
        units = parameter_units(video.codec_context.name, own)
        if units is None:
            hint = "export the stretches before and after it by themselves"
            raise UsageError("the camera changed its codec's settings within the stretch", hint=hint)
        return b"".join(len(u).to_bytes(4, "big") + u for u in units)

    def _put(self, packet: Any, shift: int) -> None:
        kind = packet.stream.type
        base = self._bases[kind]
        ticks = Fraction(shift, _BILLION) / base
        scale = packet.time_base / base
        dts = round(packet.dts * scale + ticks)
        last = self._last.get(kind)
        if last is not None and dts <= last:
            if kind == "audio":
                return
            dts = last + 1
        packet.pts, packet.dts = max(dts, round(packet.pts * scale + ticks)), dts
        packet.duration = round((packet.duration or 0) * scale)
        packet.time_base = base
        self._last[kind] = dts
        packet.stream = self._streams[kind]
        self._target.mux(packet)


def _format(stream: Any) -> tuple[Any, ...]:
    context = stream.codec_context
    if stream.type == "video":
        return context.name, context.width, context.height
    return context.name, context.sample_rate, bytes(context.extradata or b"")


def _prefixed(packet: Any, prefix: bytes) -> Any:
    made: Any = av.Packet(prefix + bytes(packet))
    made.pts, made.dts, made.time_base = packet.pts, packet.dts, packet.time_base
    made.duration, made.is_keyframe, made.stream = packet.duration, True, packet.stream
    return made


def _nanoseconds(ticks: int, base: Fraction) -> int:
    return round(ticks * base * _BILLION)


def _keyframe(source: Any, video: Any, moment: int) -> int | None:
    """The last keyframe at or before a moment, else the first one; all in nanoseconds of the file."""
    found: int | None = None
    for packet in source.demux(video):
        if packet.pts is not None and packet.is_keyframe:
            at = _nanoseconds(packet.pts, packet.time_base)
            if found is not None and at > moment:
                break
            found = at
    return found


def _within(source: Any, streams: list[Any], begin: int, end: int, *, leading: bool) -> Iterator[Any]:
    """Packets of what is shown from ``begin`` (a keyframe) until ``end``, nanoseconds of the file.

    ``leading``: with pictures that are shown before the keyframe and hang on what was before it.
    """
    video = streams[0]
    source.seek(int(Fraction(begin, _BILLION) / video.time_base), stream=video, backward=True)
    latest, open_streams, started = -1, {s.index for s in streams}, False
    for packet in source.demux(streams):
        if packet.pts is None or packet.dts is None:
            continue
        shown = _nanoseconds(packet.pts, packet.time_base)
        if shown < begin and not (leading and started and packet.stream is video):
            continue
        if packet.stream is video:
            started = started or packet.is_keyframe
            if not started:
                continue
            # what is decoded before the end may be shown after it: all that is shown before that comes along
            if _nanoseconds(packet.dts, packet.time_base) >= end and shown > latest:
                open_streams.discard(packet.stream.index)
            latest = max(latest, shown)
        elif shown >= end:
            open_streams.discard(packet.stream.index)
        if not open_streams:
            return
        if packet.stream.index in open_streams:
            yield packet
