"""An FFmpeg container, opened within limits, with the facts that reading needs."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

import av
from av.error import FFmpegError

from onlooker.core.errors import SourceError, UnsupportedMedia, UsageError
from onlooker.core.media import AudioInfo, SourceInfo, VideoInfo
from onlooker.core.time import Timestamp, parse_seconds
from onlooker.sources.numbering import Numbering
from onlooker.sources.policy import without_credentials
from onlooker.sources.timing import TIMED, Clock, stream_origin
from onlooker.sources.tone import is_hdr

__all__ = ["MAX_PIXELS", "Opened", "connect", "open_container"]

MAX_PIXELS = 8192 * 8192
# formats that open other files or addresses named inside them, or that are devices
_INDIRECT = frozenset(("hls", "dash", "concat", "imf", "sdp", "rtsp", "rtp", "sap", "lavfi", "image2", "tty"))
_DEEP = {"p9": 9, "p10": 10, "p12": 12, "p14": 14, "p16": 16, "10le": 10, "12le": 12, "16le": 16}


@cache
def _direct_formats() -> str:
    """FFmpeg's formats whose content is in the one file that is opened."""
    return ",".join(sorted(av.formats_available - _INDIRECT))


def open_container(
    address: str,
    *,
    protocols: str = "file",
    timeout: float = 20.0,
    options: dict[str, str] | None = None,
    container_format: str | None = None,
    guard: Any = None,
    indirect: bool = False,
    rotation: int = 0,
    shown: str | None = None,
) -> Opened:
    """Open and look at a container.

    Args:
        address: what FFmpeg is given.
        protocols: comma-separated FFmpeg protocols that it and what it refers to may use.
        timeout: seconds for opening and for each read.
        options: more FFmpeg options.
        container_format: FFmpeg's name of the format, or None to guess.
        guard: PyAV's ``io_open`` for addresses inside playlists.
        indirect: whether a format may lead to other files or addresses, such as a playlist.
        rotation: what `first_look` said of this source.
        shown: what errors say instead of the address without its credentials.

    Raises:
        SourceError: it cannot be opened.
        UnsupportedMedia: there is nothing in it that can be decoded.
    """
    shown = shown or without_credentials(address)
    try:
        container = connect(
            address,
            protocols=protocols,
            timeouts=(timeout, timeout),
            options=options,
            container_format=container_format,
            guard=guard,
            indirect=indirect,
        )
    except FFmpegError as error:
        raise SourceError(f"cannot open {shown!r}: {error.strerror or error}", hint=_hint(error)) from None
    except (OSError, ValueError, UnicodeError) as error:
        raise SourceError(f"cannot open {shown!r}: {error}", hint="check the path") from None
    try:
        return Opened(container, shown, rotation)
    except BaseException:
        container.close()
        raise


def connect(
    address: str,
    *,
    protocols: str,
    timeouts: tuple[float, float],
    options: dict[str, str] | None = None,
    container_format: str | None = None,
    guard: Any = None,
    indirect: bool = False,
) -> Any:
    """A PyAV container, opened within limits; see `open_container`.

    Args:
        address: what FFmpeg is given.
        protocols: comma-separated FFmpeg protocols that it and what it refers to may use.
        timeouts: seconds for opening, and for each read.
        options: more FFmpeg options.
        container_format: FFmpeg's name of the format, or None to guess.
        guard: PyAV's ``io_open`` for addresses inside playlists.
        indirect: whether a format may lead to other files or addresses, such as a playlist.

    Raises:
        FFmpegError, OSError, ValueError: as PyAV raises them; their text may hold the address with its password.
    """
    given = {"protocol_whitelist": protocols, "max_pixels": str(MAX_PIXELS), **(options or {})}
    if not indirect:
        given["format_whitelist"] = _direct_formats()
    extra: dict[str, Any] = {"io_open": guard} if guard is not None else {}
    return av.open(
        address, options=given, metadata_errors="replace", timeout=timeouts, format=container_format, **extra
    )


def _hint(error: FFmpegError) -> str:
    name = type(error).__name__
    if name == "FileNotFoundError":
        return "check the path"
    if name == "ArgumentError":
        return "it is a playlist or script that refers to other files: give the files themselves"
    if name in ("InvalidDataError", "EOFError"):
        return "it is no media file, or it is damaged"
    return "check that it is there, readable and a media file"


class Opened:
    """An open container. Close it; it serves one reader."""

    def __init__(self, container: Any, address: str, rotation: int = 0) -> None:
        self.container = container
        self.address = address
        videos = [s for s in container.streams.video if self._usable(s)]
        self.video: Any = videos[0] if videos else None
        self.audio: list[Any] = [s for s in container.streams.audio if s.codec_context is not None and s.rate]
        if self.video is None and not self.audio:
            raise UnsupportedMedia(
                f"{address!r} holds no video or sound that can be decoded", hint="see onlooker probe"
            )
        timed = [s for s in (self.video, *self.audio) if s is not None]
        self.origin = stream_origin(container, timed)
        self.clock = self.clock_of(self.video or self.audio[0])
        names = container.format.name.split(",")
        self.timed = any(n in TIMED for n in names)
        self.by_order = bool(self.video and not self.timed and (self.video.codec_context.has_b_frames or self._raw()))
        self.rotation = rotation
        self.numbered: Numbering | None = None
        if self.video is not None:
            self.video.codec_context.options = {"max_pixels": str(MAX_PIXELS)}

    def number(self, numbering: Numbering | None) -> None:
        """Make times from the pictures' numbers; None keeps those of the container."""
        if numbering is not None:
            self.numbered, self.by_order = numbering, True

    def _raw(self) -> bool:
        return self.video.start_time is None

    @staticmethod
    def _usable(stream: Any) -> bool:
        context = stream.codec_context
        attached = bool(getattr(stream, "disposition", 0) & 0x400)
        return context is not None and bool(context.width) and bool(context.height) and not attached

    @property
    def frame_duration(self) -> Fraction:
        """Seconds of one frame by the average rate; 1/25 where nothing is known."""
        if self.numbered is not None:
            return self.numbered.each
        rate = self.video.average_rate or self.video.guessed_rate if self.video is not None else None
        return 1 / Fraction(rate) if rate else Fraction(1, 25)

    @property
    def first_shown(self) -> Fraction:
        """When pictures that are numbered begin: later than 0 where the sound begins before them."""
        if self.numbered is None:
            return Fraction(0)
        return (self.video.start_time or 0) * self.video.time_base - self.origin

    @property
    def video_end(self) -> Fraction | None:
        """The end of the video by what the container states, or None."""
        stream = self.video
        if stream is None:
            return None
        if self.numbered is not None:
            return self.first_shown + self.numbered.count * self.numbered.each
        begin = (stream.start_time or 0) * stream.time_base - self.origin
        if stream.duration and stream.time_base:
            return stream.duration * stream.time_base + begin
        # Matroska states the length of a track as a tag, and that of the file, which is the video's if it is alone
        tag = stream.metadata.get("DURATION") or stream.metadata.get("DURATION-eng")
        if tag:
            try:
                return parse_seconds(tag) - self.origin
            except UsageError:
                return None
        if not self.audio and self.timed and self.container.duration:
            return Fraction(self.container.duration, 1_000_000) - self.origin
        return None

    def duration(self) -> Fraction | None:
        """Length of the whole source in seconds by what the container states, or None."""
        ends = [
            (s.start_time or 0) * s.time_base - self.origin + s.duration * s.time_base
            for s in (self.video, *self.audio)
            if s is not None and s.duration and s.time_base and not (self.numbered and s is self.video)
        ]
        if self.numbered is not None and self.video_end is not None:
            ends.append(self.video_end)
        if ends:
            return max(ends)
        return Fraction(self.container.duration, 1_000_000) if self.container.duration else None

    def clock_of(self, stream: Any) -> Clock:
        """The clock of one stream."""
        return Clock(stream.time_base or Fraction(1, 1000), self.origin)

    def audio_stream(self, track: int) -> Any:
        """The audio stream of that number.

        Raises:
            SourceError: there are fewer.
        """
        if track >= len(self.audio):
            raise SourceError(
                f"{self.address!r} has {len(self.audio)} audio tracks, not {track + 1}", hint="tracks count from 0"
            )
        return self.audio[track]

    @property
    def can_seek(self) -> bool:
        """Whether a keyframe can be found by its time."""
        names = self.container.format.name.split(",")
        known = not self.by_order and any(n in ("mov", "matroska", "webm") for n in names)
        return self.video is not None and known

    def seek_before(self, moment: Timestamp) -> bool:
        """Go to the keyframe before the one at or before ``moment``, so that open groups decode as in a whole read.

        Returns:
            False: there is none, or it cannot be found; the container must be opened anew.
        """
        if not self.can_seek:
            return False
        target = int((moment.value + self.origin) / self.video.time_base)
        for _ in range(2):
            found = self._key_at(target)
            if found is None:
                return False
            target = found - 1
        landed = self._key_at(target + 1)
        if landed is None or self.clock.at(landed) > moment:
            return False
        self.container.seek(landed, stream=self.video, backward=True)
        return True

    def _key_at(self, ticks: int) -> int | None:
        """Ticks of the last keyframe that is shown at ``ticks`` or before."""
        aim = ticks
        try:
            for _ in range(3):
                self.container.seek(aim, stream=self.video, backward=True)
                packet = next(self.container.demux(self.video), None)
                if packet is None or packet.pts is None or not packet.is_keyframe:
                    return None
                if packet.pts <= ticks:
                    return packet.pts
                aim = packet.dts - 1  # containers seek by the time of decoding
        except (FFmpegError, TypeError):
            return None
        return None

    def info(self, source_id: str, path: str, size: int | None, *, live: bool = False) -> SourceInfo:
        """What is known without decoding."""
        tags = {str(k): str(v) for k, v in dict(self.container.metadata).items()}
        return SourceInfo(
            source_id,
            path,
            self.container.format.name,
            None if live else self.duration(),
            size,
            self._video_info(),
            tuple(
                AudioInfo(i, s.codec_context.name, s.rate, s.channels, s.metadata.get("language"))
                for i, s in enumerate(self.audio)
            ),
            live,
            tags,
        )

    def _video_info(self) -> VideoInfo | None:
        stream = self.video
        if stream is None:
            return None
        context = stream.codec_context
        wide, high = context.width, context.height
        if self.rotation in (90, 270):
            wide, high = high, wide
        form = context.pix_fmt or "unknown"
        rate = stream.average_rate or stream.guessed_rate if self.numbered is None else 1 / self.numbered.each
        return VideoInfo(
            codec=context.name,
            width=wide,
            height=high,
            pixel_format=form,
            frame_rate=Fraction(rate) if rate else None,
            time_base=Fraction(stream.time_base),
            frames=stream.frames or None,
            rotation=self.rotation,
            bit_depth=next((bits for mark, bits in _DEEP.items() if mark in form), 8),
            interlaced=str(context.field_order) not in ("0", "1", "FieldOrder.UNKNOWN", "FieldOrder.PROGRESSIVE"),
            hdr=is_hdr(context.color_trc or 0),
            has_b_frames=bool(context.has_b_frames),
            sample_aspect_ratio=Fraction(stream.sample_aspect_ratio or 1) or Fraction(1),
        )

    def close(self) -> None:
        """Release the container."""
        self.container.close()
