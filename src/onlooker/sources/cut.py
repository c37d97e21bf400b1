"""Cuts spans out of files: by copying packets between keyframes, or frame-exact by encoding again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from onlooker.core.errors import SourceError, UsageError
from onlooker.core.media import AudioBlock, Frame, Packet, ReadFailure, ReadRequest, Source
from onlooker.core.time import Span, Timestamp
from onlooker.sources.container import open_container
from onlooker.sources.numbering import first_look, numbering

__all__ = ["PictureOf", "cut_copy", "cut_exact", "frame_at", "writing"]

_ENCODERS = ("libx264", "libopenh264", "h264", "mpeg4")
_RATE = 48000
Progress = Callable[[float], None]
PictureOf = Callable[[Frame, tuple[int, int]], Any]


def frame_at(source: Source, moment: Timestamp) -> Frame:
    """The frame that is shown at ``moment``.

    Raises:
        SourceError: there is none.
    """
    last: Frame | None = None
    margin = Fraction(5)
    start = moment - margin if moment.value > margin else None
    for item in source.read(ReadRequest(start=start)):
        if isinstance(item, ReadFailure | AudioBlock | Packet):
            continue
        if item.time > moment:
            break
        last = item
    if last is None:
        raise SourceError(f"{source.info.path} shows nothing at {moment}", hint="check the time")
    return last


def cut_copy(path: str, spans: Sequence[Span], out: Path) -> list[Span]:
    """Copy the packets of the spans, each from the keyframe at or before its start, into one file.

    Args:
        path: the source file.
        spans: in order; they may come from different places of the file.
        out: the file to write (its suffix chooses the container).

    Returns:
        What was really cut: starts moved to keyframes.

    Raises:
        SourceError: the file cannot be read, or its streams do not fit the container.
    """
    actual: list[Span] = []
    opened = open_container("file:" + str(Path(path).resolve()))
    try:
        video = opened.video
        if video is None:
            raise UsageError(f"{path} has no video to cut at keyframes", hint="use the exact cut")
        if first_look(opened).doubtful and numbering(opened) is not None:
            raise UsageError(f"the pictures of {path} have no times to cut at", hint="use the exact cut")
        streams = [video, *opened.audio[:1]]
        with writing(out) as target:
            try:
                made: dict[int, Any] = {s.index: target.add_stream_from_template(s) for s in streams}
            except ValueError as error:
                raise UsageError(
                    f"cannot make a {out.suffix} file of this: {error}", hint="write .mp4 or .mkv"
                ) from None
            offset = Fraction(0)
            for span in spans:
                cut = _copy_span(opened, streams, made, target, span, offset)
                actual.append(cut)
                offset += cut.duration
    except FFmpegError as error:
        raise SourceError(f"cannot copy from {path}: {error.strerror or error}", hint="try --exact") from None
    finally:
        opened.close()
    return actual


@contextmanager
def writing(out: Path) -> Iterator[Any]:
    """A container to write, its index at the front where it has one."""
    try:
        indexed = out.suffix.lower() in (".mp4", ".m4v", ".mov")
        target = av.open(str(out), "w", options={"movflags": "+faststart"} if indexed else {})
    except ValueError:
        raise UsageError(f"no container has the suffix {out.suffix!r}", hint="write .mp4, .mkv or .mov") from None
    try:
        with target:
            yield target
    except FFmpegError as error:
        message = f"cannot make a {out.suffix} file of this: {error.strerror or error}"
        raise SourceError(message, hint="write .mp4 or .mkv; a copy that fails may work with --exact") from None


def _nothing(path: str, spans: Sequence[Span]) -> str:
    return f"{path} has nothing to show between {spans[0].start} and {spans[-1].end}" if spans else "no span to cut"


def _copy_span(
    opened: Any, streams: list[Any], made: dict[int, Any], target: Any, span: Span, offset: Fraction
) -> Span:
    video = streams[0]
    ticks = int((span.start.value + opened.origin) / video.time_base)
    opened.container.seek(ticks, stream=video, backward=True)
    begin: Timestamp | None = None
    last, latest = Timestamp.of_seconds(0), Timestamp.of_seconds(0)
    done: set[int] = set()
    for packet in opened.container.demux(streams):
        if packet.pts is None or packet.dts is None:
            continue
        time = opened.clock_of(packet.stream).at(packet.pts)
        if begin is None:
            if packet.stream is not video or not packet.is_keyframe:
                continue
            begin = time
        # pictures before the keyframe that come after it in the file hang on what was left out
        if packet.stream.index in done or time < begin:
            continue
        # what is decoded before the end may be shown after it; all that is shown before that comes along, without holes
        past = opened.clock_of(packet.stream).at(packet.dts) >= span.end
        if past and (packet.stream is not video or time > latest):
            done.add(packet.stream.index)
            if len(done) == len(streams):
                break
            continue
        assert begin is not None
        shift = round((begin.value + opened.origin - offset) / packet.time_base)
        if packet.stream is video:
            latest = max(latest, time)
            last = max(last, time + (packet.duration or 0) * packet.time_base)
        packet.pts -= shift
        packet.dts -= shift
        packet.stream = made[packet.stream.index]
        target.mux(packet)
    if begin is None:
        raise SourceError(f"{opened.address} has no keyframe at or before {span.start}", hint="try --exact")
    if last <= span.start:
        raise SourceError(_nothing(opened.address, [span]), hint="check the times")
    return Span(begin, last)


def cut_exact(
    source: Source,
    spans: Sequence[Span],
    out: Path,
    *,
    with_audio: bool = True,
    height: int | None = None,
    picture: PictureOf | None = None,
    progress: Progress | None = None,
) -> None:
    """Decode the spans and encode exactly their frames and sound, joined in their order, as H.264 and AAC.

    Args:
        source: an open source with video.
        spans: what to cut.
        out: the file to write.
        with_audio: whether sound goes along where there is some.
        height: scale the picture to this height; None keeps it.
        picture: makes the RGB picture of a frame in the given (width, height); by default as it is.
        progress: called with the share that is done, 0..1.

    Raises:
        UsageError: the source has no video, or the file's suffix names no container.
        SourceError: there is nothing to show, or the container takes no H.264.
    """
    info = source.info
    if info.video is None:
        raise UsageError(f"{info.path} has no video to cut")
    rate = info.video.frame_rate or Fraction(25)
    high = (height or info.video.height) // 2 * 2 or 2
    wide = round(info.video.width * high / info.video.height) // 2 * 2 or 2
    total = float(sum((s.duration for s in spans), Fraction(0))) or 1.0
    shown = 0
    with writing(out) as target:
        stream = _video_stream(target, rate, wide, high)
        sound: Any = target.add_stream("aac", rate=_RATE, layout="stereo") if with_audio and info.audio else None
        offset = Fraction(0)
        for span in spans:
            for share in _encode_span(source, span, target, stream, sound, offset, (wide, high), picture or _as_it_is):
                shown += 1
                if progress:
                    progress(min(1.0, (float(offset) + share) / total))
            offset += span.duration
        if not shown:
            raise SourceError(_nothing(info.path, spans), hint="check the times")
        target.mux(stream.encode(None))
        if sound is not None:
            target.mux(sound.encode(None))


def _video_stream(target: Any, rate: Fraction, wide: int, high: int) -> Any:
    for name in _ENCODERS:
        try:
            stream = target.add_stream(name, rate=rate)
        except (FFmpegError, ValueError):
            continue
        stream.width, stream.height, stream.pix_fmt = wide, high, "yuv420p"
        stream.time_base = Fraction(1, 90000)
        stream.codec_context.time_base = Fraction(1, 90000)
        if name == "libx264":
            stream.options = {"preset": "veryfast", "crf": "20"}
        return stream
    message = f"cannot make a {target.format.name} file of this: no H.264 or MPEG-4 encoder fits it"
    raise SourceError(message, hint="write .mp4 or .mkv; where these fail too, install the av wheel")


def _as_it_is(frame: Frame, size: tuple[int, int]) -> Any:
    return frame.image(*size)


def _encode_span(
    source: Source,
    span: Span,
    target: Any,
    stream: Any,
    sound: Any,
    offset: Fraction,
    size: tuple[int, int],
    picture: PictureOf,
) -> Iterator[float]:
    # the frame on show at the start may have begun before it
    before = span.start - 1 if span.start.value > 1 else None
    held: Any = None
    for item in source.read(ReadRequest(start=before, end=span.end)):
        if isinstance(item, ReadFailure | AudioBlock | Packet):
            continue
        if item.time < span.start:
            held = item if item.time + item.duration > span.start else None
            continue
        if held is not None and item.time > span.start:
            _encode_frame(picture(held, size), offset, target, stream)
        held = None
        _encode_frame(picture(item, size), item.time - span.start + offset, target, stream)
        yield float(item.time - span.start)
    if held is not None:
        _encode_frame(picture(held, size), offset, target, stream)
        yield float(span.duration)
    if sound is not None:
        _encode_sound(source, span, target, sound, offset)


def _encode_frame(rgb: Any, at: Fraction, target: Any, stream: Any) -> None:
    picture = av.VideoFrame.from_ndarray(rgb, format="rgb24")
    picture.pts, picture.time_base = round(at * 90000), Fraction(1, 90000)
    target.mux(stream.encode(picture))


def _encode_sound(source: Source, span: Span, target: Any, sound: Any, offset: Fraction) -> None:
    first, last = round(span.start.value * _RATE), round(span.end.value * _RATE)
    at = round(offset * _RATE)
    floor = Timestamp.of_seconds(Fraction(int(span.start.value)))
    request = ReadRequest(frames="none", audio_rate=_RATE, audio_channels=2, start=floor, end=span.end)
    for item in source.read(request):
        if not isinstance(item, AudioBlock):
            continue
        begin = round(item.time.value * _RATE)
        part = item.samples[max(0, first - begin) : max(0, last - begin)]
        if not len(part):
            continue
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part.T), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = _RATE, at, Fraction(1, _RATE)
        at += len(part)
        target.mux(sound.encode(frame))
