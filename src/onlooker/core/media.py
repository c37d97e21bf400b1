"""What a source gives: frames, audio blocks, packets and failures, each with exact time.

Everything here is protocol and value; decoding lives in ``onlooker.sources``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from onlooker.core.time import Span, Timestamp

__all__ = [
    "AudioBlock",
    "AudioInfo",
    "Frame",
    "FrameSelection",
    "Packet",
    "PixelFormat",
    "ReadFailure",
    "ReadItem",
    "ReadRequest",
    "Source",
    "SourceInfo",
    "UInt8Array",
    "VideoInfo",
]

UInt8Array: TypeAlias = NDArray[np.uint8]
PixelFormat = Literal["rgb24", "bgr24", "gray"]
FrameSelection = Literal["all", "reference", "key", "none"]


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """The video stream that is analysed. Width and height are as displayed (after rotation, square pixels
    not enforced); ``frame_rate`` is the average, None if unknown; ``frames`` is the container's own
    count, None if it does not say.
    """

    codec: str
    width: int
    height: int
    pixel_format: str
    frame_rate: Fraction | None
    time_base: Fraction
    frames: int | None = None
    rotation: int = 0
    bit_depth: int = 8
    interlaced: bool = False
    hdr: bool = False
    has_b_frames: bool = False
    sample_aspect_ratio: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """One audio stream; ``index`` counts audio streams from 0."""

    index: int
    codec: str
    sample_rate: int
    channels: int
    language: str | None = None


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a source without decoding it.

    Args:
        id: identity: the first 32 hex digits of the SHA-256 of a file's content; for a live stream
            a digest of its address without credentials.
        path: where it was read, without credentials.
        container: FFmpeg's name of the container.
        duration: seconds, or None where unknown (live, broken index).
        size: bytes, or None.
        video: the video stream that is analysed, or None.
        audio: the audio streams.
        live: whether it can only be read once, as it comes.
        tags: container metadata (title, creation_time, ...).
    """

    id: str
    path: str
    container: str
    duration: Fraction | None
    size: int | None
    video: VideoInfo | None
    audio: tuple[AudioInfo, ...] = ()
    live: bool = False
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


@runtime_checkable
class Frame(Protocol):
    """A decoded picture. Arrays are read-only views or shared results: never write into them."""

    @property
    def time(self) -> Timestamp:
        """When it is shown."""
        ...

    @property
    def duration(self) -> Fraction:
        """How long it is shown in seconds; 0 where unknown."""
        ...

    @property
    def key(self) -> bool:
        """Whether it can be decoded by itself."""
        ...

    @property
    def width(self) -> int:
        """Displayed width in pixels."""
        ...

    @property
    def height(self) -> int:
        """Displayed height in pixels."""
        ...

    def luma(self) -> UInt8Array:
        """(height, width) brightness as displayed, 0..255 of the coded range; a view on the decoder's plane
        where that is 8-bit and upright, else converted once.
        """
        ...

    def chroma(self) -> tuple[UInt8Array, UInt8Array] | None:
        """(Cb, Cr) planes as displayed, at the resolution in which they are coded (4:2:0 gives
        (ceil(height/2), ceil(width/2))), 128 = neutral; None for grey video.
        """
        ...

    def image(self, width: int | None = None, height: int | None = None, format: PixelFormat = "rgb24") -> UInt8Array:
        """(height, width, 3) or, for gray, (height, width), as displayed, full range, resized by area.

        With one of width and height the other (None or 0) follows the aspect ratio; with neither the picture has its
        own size. A conversion that was asked for before is returned again without work.
        """
        ...


@dataclass(frozen=True, slots=True)
class AudioBlock:
    """Decoded sound of one fixed length on the source's sample grid.

    Args:
        time: when its first sample sounds.
        samples: float32 (n, channels) in -1..1.
        rate: samples per second.
    """

    time: Timestamp
    samples: NDArray[np.float32]
    rate: int

    @property
    def duration(self) -> Fraction:
        """Length in seconds."""
        return Fraction(len(self.samples), self.rate)


@dataclass(frozen=True, slots=True)
class Packet:
    """One coded unit of the video stream, in decoding order, not decoded."""

    time: Timestamp
    duration: Fraction
    size: int
    key: bool


@dataclass(frozen=True, slots=True)
class ReadFailure:
    """A stretch that could not be read; reading went on after it where possible."""

    span: Span
    message: str


ReadItem: TypeAlias = Frame | AudioBlock | Packet | ReadFailure


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """What a reader wants of a source in one pass.

    Args:
        frames: which pictures to decode: ``all``, ``reference`` (those that others are coded from),
            ``key`` or ``none``.
        packets: whether to give every video packet (also those not decoded).
        audio_rate: sample rate of the audio blocks, or None for no audio.
        audio_channels: 1 mixes down, 2 keeps or makes stereo.
        audio_block: length of a block in seconds; blocks lie on multiples of it.
        audio_track: which audio stream, counted from 0.
        start: give only items whose time is at or after this; None for all.
        end: give only items before this; None for all.
        threads: decoder threads; 0 lets FFmpeg choose.
    """

    frames: FrameSelection = "all"
    packets: bool = False
    audio_rate: int | None = None
    audio_channels: int = 1
    audio_block: Fraction = Fraction(1)
    audio_track: int = 0
    start: Timestamp | None = None
    end: Timestamp | None = None
    threads: int = 0


class Source(Protocol):
    """An opened source. A file can be read many times and by several readers at once; a live one once."""

    @property
    def info(self) -> SourceInfo:
        """What is known without decoding."""
        ...

    def read(self, request: ReadRequest) -> Iterator[ReadItem]:
        """Items in order of time within each sort; frames are in the order shown, with strictly growing
        time. Each sort's items given do not depend on which other sorts are asked for, nor, apart from
        their limits, on ``start`` and ``end``.

        Raises:
            SourceError: nothing at all could be read.
        """
        ...

    def cut_points(self, count: int) -> list[Timestamp]:
        """At most ``count`` - 1 moments (times of keyframes, in order) that cut the source into stretches of
        about equal work; empty where it can't be cut.
        """
        ...

    def close(self) -> None:
        """Release everything; a second call does nothing."""
        ...
