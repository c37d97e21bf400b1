"""Writes a video again with its pictures changed: same size, same frame times, same sound, nothing told about it.

Pictures stay in the decoder's own luma and chroma where that is possible, so that colours do not change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, TypeAlias

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from onlooker.core.errors import SourceError, UsageError
from onlooker.core.media import AudioBlock, Frame, ReadFailure, ReadRequest, Source
from onlooker.core.time import Span
from onlooker.sources.container import Opened, open_container
from onlooker.sources.cut import writing
from onlooker.sources.frame import DecodedFrame

__all__ = ["Paint", "Rewritten", "Sound", "rewrite"]

Planes: TypeAlias = list[NDArray[np.uint8]]
Paint: TypeAlias = Callable[[Frame, Planes], None]
"""Changes a picture in place: RGB (height, width, 3), or luma and two chroma planes. Boxes mean the same in both."""

Sound: TypeAlias = Literal["copied", "encoded", "none"]
_ENCODERS = ("libx264", "libopenh264", "h264", "mpeg4")
_RATE = 48_000
_FINE = 90_000


@dataclass(slots=True)
class Rewritten:
    """What was written."""

    frames: int = 0
    sound: Sound = "none"
    failures: tuple[ReadFailure, ...] = ()


def rewrite(
    source: Source,
    out: Path,
    paint: Paint,
    *,
    sound: bool = True,
    silent: Sequence[Span] = (),
    progress: Callable[[float], None] | None = None,
) -> Rewritten:
    """Decode all frames, let ``paint`` change each, and encode them as H.264 with the same times.

    Rotation is applied, so the picture has its displayed size. Titles, places and other metadata are left behind,
    and so are subtitles and attached files.

    Args:
        source: an open source with video that is not live.
        out: the file to write; its suffix chooses the container.
        paint: called once for each frame, in order.
        sound: whether the sound goes along: copied as it is coded where the container takes it, else as AAC.
        silent: spans in which the sound is silenced; it is then encoded again.
        progress: called with the share that is done, 0..1.

    Raises:
        UsageError: the source has no video or is live.
        SourceError: nothing can be read, or the container takes no H.264.
    """
    info = source.info
    if info.video is None or info.live:
        raise UsageError(f"{info.path} is not a recorded video", hint="give a video file")
    done = Rewritten()
    failures: list[ReadFailure] = []
    reader = _frames(source, failures)
    first = next(reader, None)
    if first is None:
        raise SourceError(f"{info.path} shows nothing", hint="check it with onlooker probe")
    total = float(info.duration or 0) or 1.0
    with writing(out) as target:
        video = _Video(target, source, first)
        track = _sound(target, source, sound and bool(info.audio), silent)
        done.sound = track.kind if track is not None else "none"
        frame: Frame | None = first
        while frame is not None:
            video.write(frame, paint)
            done.frames += 1
            if track is not None:
                track.write(frame.time.value)
            if progress is not None:
                progress(min(1.0, frame.time.seconds / total))
            frame = next(reader, None)
        video.finish()
        if track is not None:
            track.write(None)
            track.close()
    done.failures = tuple(failures)
    return done


def _frames(source: Source, failures: list[ReadFailure]) -> Iterator[Frame]:
    for item in source.read(ReadRequest()):
        if isinstance(item, ReadFailure):
            failures.append(item)
        elif isinstance(item, DecodedFrame):
            yield item


class _Video:
    """The picture track, in the source's own size and time base."""

    def __init__(self, target: Any, source: Source, first: Frame) -> None:
        info = source.info.video
        assert info is not None
        self._wide, self._high = first.width, first.height
        chroma = first.chroma()
        half = chroma is None or chroma[0].shape == (self._high // 2, self._wide // 2)
        self._even = self._wide % 2 == 0 and self._high % 2 == 0
        self._coded = half and self._even and not info.hdr and not info.interlaced and not _is_rgb(first)
        self._target = target
        fine = info.time_base.numerator == 1 and info.time_base.denominator >= 1000
        self._base = info.time_base if fine else Fraction(1, _FINE)
        self._last = -1
        self._stream = self._open(target, source)
        self._colours(first)

    def _open(self, target: Any, source: Source) -> Any:
        info = source.info.video
        assert info is not None
        for name in _ENCODERS:
            try:
                stream = target.add_stream(name, rate=info.frame_rate or Fraction(25))
            except (FFmpegError, ValueError):
                continue
            # 4:2:0 has no odd sides
            stream.width, stream.height = self._wide, self._high
            stream.pix_fmt = "yuv420p" if self._even else "yuv444p"
            stream.time_base = stream.codec_context.time_base = self._base
            if info.sample_aspect_ratio != 1:
                ratio = info.sample_aspect_ratio
                turned = info.rotation in (90, 270)
                stream.codec_context.sample_aspect_ratio = 1 / ratio if turned else ratio
            if name == "libx264":
                stream.options = {"preset": "veryfast", "crf": "18"}
            return stream
        message = f"cannot make a {target.format.name} file of this: no H.264 or MPEG-4 encoder fits it"
        raise SourceError(message, hint="write .mp4 or .mkv; where these fail too, install the av wheel")

    def _colours(self, first: Frame) -> None:
        """What the numbers of a picture mean, for players."""
        context = self._stream.codec_context
        if self._coded and isinstance(first, DecodedFrame):
            said = first.coded
            context.color_range = 2 if "yuvj" in said.format.name else int(said.color_range or 0)
            context.colorspace = int(said.colorspace)
            context.color_primaries, context.color_trc = int(said.color_primaries), int(said.color_trc)
        else:
            context.color_range = 1
            context.colorspace = 1 if self._high >= 720 else 6

    def write(self, frame: Frame, paint: Paint) -> None:
        """Paint and encode one frame."""
        if (frame.width, frame.height) != (self._wide, self._high):
            made = self._of_rgb(frame.image(self._wide, self._high), frame, paint)
        elif self._coded:
            made = self._of_planes(frame, paint)
        else:
            made = self._of_rgb(frame.image(), frame, paint)
        # frames nearer to each other than the time base tells apart keep their order
        self._last = max(round(frame.time.value / self._base), self._last + 1)
        made.pts, made.time_base = self._last, self._base
        made.duration = max(1, round(frame.duration / self._base))
        self._target.mux(self._stream.encode(made))

    def _of_planes(self, frame: Frame, paint: Paint) -> Any:
        wide, high = self._wide, self._high
        whole = np.empty((high * 3 // 2, wide), np.uint8)
        luma = whole[:high]
        quarter = wide * high // 4
        small = whole[high:].reshape(-1)
        blue, red = small[:quarter].reshape(high // 2, wide // 2), small[quarter:].reshape(high // 2, wide // 2)
        luma[...] = frame.luma()
        chroma = frame.chroma()
        blue[...], red[...] = chroma if chroma is not None else (128, 128)
        paint(frame, [luma, blue, red])
        return av.VideoFrame.from_ndarray(whole, format="yuv420p")

    def _of_rgb(self, picture: NDArray[np.uint8], frame: Frame, paint: Paint) -> Any:
        own = picture.copy()
        paint(frame, [own])
        made = av.VideoFrame.from_ndarray(own, format="rgb24")
        space = "ITU709" if self._high >= 720 else "ITU601"
        return made.reformat(format=self._stream.pix_fmt, dst_colorspace=space, dst_color_range="MPEG")

    def finish(self) -> None:
        """Write what the encoder still holds."""
        self._target.mux(self._stream.encode(None))


def _is_rgb(frame: Frame) -> bool:
    return isinstance(frame, DecodedFrame) and frame.coded.format.is_rgb


def _sound(target: Any, source: Source, wanted: bool, silent: Sequence[Span]) -> _Copied | _Encoded | None:
    if not wanted:
        return None
    path = Path(source.info.path)
    if not silent and path.is_file():
        copied = _Copied.of(target, path)
        if copied is not None:
            return copied
    return _Encoded(target, source, silent)


class _Copied:
    """All sound tracks, packet by packet as they are coded."""

    kind: Sound = "copied"

    def __init__(self, target: Any, opened: Opened) -> None:
        self._target, self._opened = target, opened
        self._made = {s.index: target.add_stream_from_template(s) for s in opened.audio}
        for stream, made in ((s, self._made[s.index]) for s in opened.audio):
            made.metadata.clear()
            if stream.metadata.get("language"):
                made.metadata["language"] = stream.metadata["language"]
        self._packets = iter(opened.container.demux(opened.audio))
        self._held: Any = next(self._packets, None)

    @classmethod
    def of(cls, target: Any, path: Path) -> _Copied | None:
        """The tracks, or None where the container does not take them or their times are not usable."""
        address = "file:" + str(path.resolve())
        if not _can_copy(open_container(address), target):
            return None
        opened = open_container(address)
        try:
            return cls(target, opened)
        except (FFmpegError, ValueError):
            opened.close()
            return None

    def write(self, until: Fraction | None) -> None:
        """Copy what begins before ``until`` seconds, or all that is left."""
        opened = self._opened
        while self._held is not None:
            packet = self._held
            if packet.pts is not None and packet.dts is not None:
                time = opened.clock_of(packet.stream).at(packet.pts)
                if until is not None and time.value > until:
                    return
                shift = round(opened.origin / packet.time_base)
                packet.pts -= shift
                packet.dts -= shift
                packet.stream = self._made[packet.stream.index]
                self._target.mux(packet)
            self._held = next(self._packets, None)

    def close(self) -> None:
        """Close the reader."""
        self._opened.close()


def _can_copy(opened: Opened, target: Any) -> bool:
    """Whether the container takes the codecs and every packet has its time, in order."""
    try:
        if any(s.codec_context.name not in target.supported_codecs for s in opened.audio):
            return False
        last: dict[int, int] = {}
        for packet in opened.container.demux(opened.audio):
            if packet.size == 0:
                continue  # the end
            if packet.pts is None or packet.dts is None or packet.dts <= last.get(packet.stream.index, packet.dts - 1):
                return False
            last[packet.stream.index] = packet.dts
        return bool(last)
    except FFmpegError:
        return False
    finally:
        opened.close()


class _Encoded:
    """The first sound track as AAC, silent where it is asked for."""

    kind: Sound = "encoded"

    def __init__(self, target: Any, source: Source, silent: Sequence[Span]) -> None:
        self._target = target
        self._silent = [(round(s.start.value * _RATE), round(s.end.value * _RATE)) for s in silent]
        self._stream = target.add_stream("aac", rate=_RATE, layout="stereo")
        request = ReadRequest(frames="none", audio_rate=_RATE, audio_channels=2)
        self._blocks = (b for b in source.read(request) if isinstance(b, AudioBlock))
        self._held = next(self._blocks, None)

    def write(self, until: Fraction | None) -> None:
        """Encode the blocks that begin before ``until`` seconds, or all that are left."""
        while self._held is not None and (until is None or self._held.time.value <= until):
            self._encode(self._held)
            self._held = next(self._blocks, None)
        if until is None:
            self._target.mux(self._stream.encode(None))

    def _encode(self, block: AudioBlock) -> None:
        begin = round(block.time.value * _RATE)
        samples = block.samples.copy()
        for start, end in self._silent:
            samples[max(0, start - begin) : max(0, end - begin)] = 0
        if not len(samples):
            return
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = _RATE, begin, Fraction(1, _RATE)
        self._target.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Nothing is held open."""
