"""A camera out of a file: its packets as a connection gives them, in camera time, as fast as they are taken."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import av
from av.bitstream import BitStreamFilterContext

from onlooker.core.live import CodedPacket, PacketTaker, StreamFormat

ANNEX_B = {"h264": "h264_mp4toannexb", "hevc": "hevc_mp4toannexb"}


@dataclass
class Camera:
    """Packets of a file; played several times over, each time as a connection of its own unless ``seamless``.

    ``start``: nanoseconds of the camera at which the file begins.
    """

    path: Path
    start: int = 0
    annex_b: bool = False
    parameters: bool = True
    formats: list[StreamFormat] = field(default_factory=list)
    packets: list[CodedPacket] = field(default_factory=list)

    def __post_init__(self) -> None:
        with av.open(str(self.path)) as container:
            streams: list[Any] = [s for s in container.streams if s.type in ("video", "audio")]
            filters = {}
            for stream in streams:
                context: Any = stream.codec_context
                extradata = context.extradata or b""
                if self.annex_b and context.name in ANNEX_B:
                    filters[stream.index] = BitStreamFilterContext(ANNEX_B[context.name], stream)
                    extradata = b""
                sound = stream.type == "audio"
                self.formats.append(
                    StreamFormat(
                        stream.index,
                        stream.type,
                        context.name,
                        stream.time_base,
                        extradata if self.parameters else b"",
                        0 if sound else context.width,
                        0 if sound else context.height,
                        context.sample_rate if sound else 0,
                        context.layout.nb_channels if sound else 0,
                    )
                )
            for packet in container.demux(streams):
                if not packet.size:
                    continue
                filter = filters.get(packet.stream.index)
                for made in [packet] if filter is None else filter.filter(packet):
                    self.packets.append(self._packet(made, packet.stream.index))

    def _packet(self, packet: Any, stream: int) -> CodedPacket:
        shown = packet.pts if packet.pts is not None else packet.dts
        time = self.start + int(shown * packet.time_base * 1_000_000_000)
        return CodedPacket(
            stream,
            bytes(packet),
            packet.pts,
            packet.dts,
            packet.duration or 0,
            packet.is_keyframe,
            time,
        )

    @cached_property
    def pictures(self) -> list[tuple[float, str]]:
        """Time in seconds and digest of every picture."""
        return pictures(self.path)

    @cached_property
    def digests(self) -> list[str]:
        """Digests of the pictures alone."""
        return [digest for _, digest in self.pictures]

    @property
    def end(self) -> int:
        """Nanoseconds of the camera at which the last picture ends, about."""
        return max(p.time for p in self.packets)

    def play(self, *takers: PacketTaker, lost: str | None = "closed") -> None:
        """A whole connection."""
        for taker in takers:
            taker.begin(self.formats)
            for packet in self.packets:
                taker.packet(packet)
            if lost is not None:
                taker.lost(lost)

    def loop(self, times: int) -> Iterator[CodedPacket]:
        """The packets over and over, with times that go on; for files whose streams end together."""
        bases = {f.index: f.time_base for f in self.formats}
        length = max((p.pts or 0) * bases[p.stream] + p.duration * bases[p.stream] for p in self.packets)
        for turn in range(times):
            for p in self.packets:
                ticks = round(turn * length / bases[p.stream])
                yield CodedPacket(
                    p.stream,
                    p.data,
                    None if p.pts is None else p.pts + ticks,
                    None if p.dts is None else p.dts + ticks,
                    p.duration,
                    p.keyframe,
                    p.time + int(turn * length * 1_000_000_000),
                )


def made(path: Path, source: Path, width: int, height: int, encoder: str, options: dict[str, str]) -> Path:
    """60 pictures of a clip in another size and coding, 25 a second."""
    with av.open(str(source)) as clip, av.open(str(path), "w") as out:
        stream: Any = out.add_stream(encoder, rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.options = width, height, "yuv420p", options
        for number, frame in zip(range(60), clip.decode(video=0), strict=False):
            small = frame.reformat(width, height, "yuv420p")
            small.pts, small.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(small))
        out.mux(stream.encode(None))
    return path


def pictures(path: Path | str | Any) -> list[tuple[float, str]]:
    """Time in seconds and digest of every picture that decoding gives."""
    with av.open(str(path) if isinstance(path, Path) else path) as container:
        return [
            (float((f.pts or 0) * (f.time_base or 0)), f"{zlib.crc32(f.to_ndarray().tobytes()):08x}")
            for f in container.decode(video=0)
        ]


def digests(path: Path | Any) -> list[str]:
    """Digests of the pictures alone."""
    return [digest for _, digest in pictures(path)]


def sound(path: Path) -> list[tuple[float, str]]:
    """Time in seconds and digest of every coded packet of sound."""
    with av.open(str(path)) as container:
        return [
            (float(p.pts * (p.time_base or 0)), hashlib.md5(bytes(p)).hexdigest())
            for p in container.demux(audio=0)
            if p.pts is not None and p.size
        ]


def files(folder: Path) -> Sequence[Path]:
    """All recordings in a library."""
    return sorted((folder / "recordings").glob("*/*/*.mp4"))
