"""Live cameras: what passes from a link to a camera to those that record, show and tell of it.

Times of a camera are nanoseconds since its zero, which is the wall time in ``creation_time`` of its source's tags; so
they go on over reconnects and restarts, and ``zero + time`` is wall time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, Protocol

__all__ = ["CameraStatus", "CodedPacket", "PacketTaker", "StreamFormat"]

Condition = Literal["connecting", "watching", "blind", "stopped"]


@dataclass(frozen=True, slots=True)
class StreamFormat:
    """One coded stream of a connection, enough to write it into another container without coding it anew.

    Args:
        index: number of the stream in its connection.
        kind: ``video`` or ``audio``.
        codec: FFmpeg's name, such as ``h264``, ``hevc``, ``aac``, ``pcm_alaw``.
        time_base: seconds of one unit of the packets' ``pts`` and ``dts``.
        extradata: the codec's parameters; may be empty where they come with the packets.
        width, height: pixels; 0 for audio.
        rate: samples a second; 0 for video.
        channels: of audio.
    """

    index: int
    kind: Literal["video", "audio"]
    codec: str
    time_base: Fraction
    extradata: bytes = b""
    width: int = 0
    height: int = 0
    rate: int = 0
    channels: int = 0


@dataclass(frozen=True, slots=True)
class CodedPacket:
    """One coded unit of a camera's stream, as it came.

    Args:
        stream: number of its `StreamFormat`.
        data: its bytes.
        pts, dts: in the stream's time base; grow within one connection; None where the sender says nothing.
        duration: in the stream's time base; 0 where unknown.
        keyframe: whether decoding can begin with it.
        time: nanoseconds of the camera at which it is shown.
    """

    stream: int
    data: bytes
    pts: int | None
    dts: int | None
    duration: int
    keyframe: bool
    time: int


class PacketTaker(Protocol):
    """Gets a camera's packets in the thread that reads them: must return at once and raise nothing."""

    def begin(self, formats: Sequence[StreamFormat]) -> None:
        """A connection stands; its packets follow."""
        ...

    def packet(self, packet: CodedPacket) -> None:
        """The next packet in the order in which they came."""
        ...

    def lost(self, reason: str) -> None:
        """The connection is gone, or watching ends; ``begin`` may follow."""
        ...


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """How a camera is doing; what the status page, the metrics and ``--json`` show.

    Args:
        name: of the camera.
        source: id of its source.
        address: without credentials.
        condition: ``connecting``, ``watching``, ``blind`` or ``stopped``.
        reason: why it is blind, or empty.
        since: wall time in seconds (Unix) since which the condition holds.
        last_frame: wall time in seconds (Unix) of the last frame that came, or None.
        age: seconds between a frame's coming and its analysis, of the latest analysed frame; None before one.
        arriving, analysed: frames a second lately.
        wanted: frames a second that its configuration asks for; ``allowed``: that the load lets it have now.
        drops: frames that were not analysed, by cause, since the start.
        reconnects: since the start.
        blind_seconds, watched_seconds: since the start; together all of the time.
        motion: whether the gate sees motion now.
        recording: whether packets are being written now.
        spent: CPU seconds by analyzer since the start.
        counted: what analyzers counted since the start, by name; see `onlooker.core.analyzer.Analyzer.counted`.
        width, height: pixels of the analysed stream; 0 before it is known.
    """

    name: str
    source: str
    address: str
    condition: Condition
    reason: str = ""
    since: float = 0.0
    last_frame: float | None = None
    age: float | None = None
    arriving: float = 0.0
    analysed: float = 0.0
    wanted: float = 0.0
    allowed: float = 0.0
    drops: Mapping[str, int] = field(default_factory=dict[str, int])
    reconnects: int = 0
    blind_seconds: float = 0.0
    watched_seconds: float = 0.0
    motion: bool = False
    recording: bool = False
    spent: Mapping[str, float] = field(default_factory=dict[str, float])
    width: int = 0
    height: int = 0
    counted: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])
