"""A stream that can be copied into an MP4, out of its plain description.

libavformat takes a stream's parameters from a container alone; so a Matroska header of a few hundred bytes is written
(RFC 9559) and opened. It depends on no connection, which may be gone by the time when its packets are written.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import av

from onlooker.core.live import CodedPacket, StreamFormat

__all__ = ["Parameters", "adts_config", "parameter_units", "recordable", "seeds", "start_code_units"]

_CODECS = {
    "h264": "V_MPEG4/ISO/AVC",
    "hevc": "V_MPEGH/ISO/HEVC",
    "av1": "V_AV1",
    "vp9": "V_VP9",
    "mpeg4": "V_MPEG4/ISO/ASP",
    "mjpeg": "V_MJPEG",
    "aac": "A_AAC",
    "mp3": "A_MPEG/L3",
    "opus": "A_OPUS",
    "ac3": "A_AC3",
    "eac3": "A_EAC3",
}
_OTHER_NAMES = {"mp3float": "mp3", "libdav1d": "av1", "libopus": "opus"}
_IN_BAND: dict[str, set[int]] = {"h264": {7, 8}, "hevc": {32, 33, 34}, "aac": set()}


def _name(format: StreamFormat) -> str:
    return _OTHER_NAMES.get(format.codec, format.codec)


def recordable(formats: Sequence[StreamFormat]) -> tuple[list[StreamFormat], list[str]]:
    """The first stream of pictures and of sound that an MP4 holds, and what was left out.

    >>> from fractions import Fraction
    >>> picture = StreamFormat(0, "video", "h264", Fraction(1, 90000))
    >>> sound = StreamFormat(1, "audio", "pcm_alaw", Fraction(1, 8000))
    >>> taken, left = recordable([picture, sound])
    >>> [f.codec for f in taken], left
    (['h264'], ['pcm_alaw: MP4 does not hold it'])
    """
    taken: list[StreamFormat] = []
    left: list[str] = []
    for format in formats:
        if _name(format) not in _CODECS:
            left.append(f"{format.codec}: MP4 does not hold it")
        elif any(f.kind == format.kind for f in taken):
            left.append(f"{format.codec}: a second stream of {format.kind}")
        else:
            taken.append(format)
    return sorted(taken, key=lambda f: f.kind != "video"), left


class Parameters:
    """The streams with their codecs' parameters, taken from packets where the connection did not tell them.

    Args:
        formats: what `recordable` gave.

    ``version`` grows when they change.
    """

    def __init__(self, formats: Sequence[StreamFormat]) -> None:
        self._formats = {f.index: f for f in formats}
        self.version = 0
        self._missing = {f.index for f in formats if not f.extradata and _name(f) in _IN_BAND}

    def look(self, packet: CodedPacket) -> None:
        """Learn from a packet: what was not known, and what changed."""
        format = self._formats.get(packet.stream)
        if format is None or _name(format) not in _IN_BAND or format.extradata[:1] == b"\1":
            return
        if format.kind == "audio":
            found = b"" if format.extradata else adts_config(packet.data)
        else:
            found = _parameters(_name(format), packet.data) if packet.keyframe else b""
        if found and found != format.extradata:
            self._formats[packet.stream] = replace(format, extradata=found)
            self._missing.discard(packet.stream)
            self.version += 1

    @property
    def known(self) -> list[StreamFormat]:
        """Those of which all is known."""
        return [f for n, f in self._formats.items() if n not in self._missing]


def adts_config(data: bytes) -> bytes:
    """The AudioSpecificConfig that an ADTS header (ISO/IEC 13818-7) stands for; empty where there is none."""
    if len(data) < 7 or data[0] != 0xFF or data[1] & 0xF6 != 0xF0:
        return b""
    kind, rate = (data[2] >> 6) + 1, data[2] >> 2 & 15
    channels = (data[2] & 1) << 2 | data[3] >> 6
    return (kind << 11 | rate << 7 | channels << 3).to_bytes(2, "big")


def _parameters(codec: str, data: bytes) -> bytes:
    kinds = _IN_BAND[codec]
    return b"".join(b"\0\0\0\1" + u for u in start_code_units(data) if _unit_type(codec, u) in kinds)


def _unit_type(codec: str, unit: bytes) -> int:
    return unit[0] & 31 if codec == "h264" else unit[0] >> 1 & 63


def start_code_units(data: bytes) -> list[bytes]:
    """The units of a byte stream with start codes (H.264 and HEVC, annex B)."""
    return [unit for part in data.split(b"\0\0\1")[1:] if (unit := part.rstrip(b"\0"))]


def parameter_units(codec: str, record: bytes) -> list[bytes] | None:
    """The units in an avcC or hvcC record (ISO/IEC 14496-15) whose lengths have four bytes; None for others."""
    units: list[bytes] = []
    if codec == "h264" and record[:1] == b"\1" and record[4] & 3 == 3:
        at = 5
        for mask in (31, 255):
            count, at = record[at] & mask, at + 1
            at = _lengths(record, at, count, units)
        return units
    if codec == "hevc" and record[:1] == b"\1" and record[21] & 3 == 3:
        at = 23
        for _ in range(record[22]):
            at = _lengths(record, at + 3, int.from_bytes(record[at + 1 : at + 3], "big"), units)
        return units
    return None


def _lengths(record: bytes, at: int, count: int, units: list[bytes]) -> int:
    for _ in range(count):
        length = int.from_bytes(record[at : at + 2], "big")
        units.append(record[at + 2 : at + 2 + length])
        at += 2 + length
    return at


def seeds(formats: Sequence[StreamFormat]) -> Any:
    """An open container whose streams have the parameters of ``formats``, in their order."""
    tracks = b"".join(_track(number, format) for number, format in enumerate(formats, 1))
    head = _element(0x1A45DFA3, _text(0x4282, "matroska") + _number(0x4287, 4) + _number(0x4285, 2))
    info = _element(0x1549A966, _number(0x2AD7B1, 1_000_000))
    cluster = _element(0x1F43B675, _number(0xE7, 0))
    body = _element(0x18538067, info + _element(0x1654AE6B, tracks) + cluster)
    return av.open(io.BytesIO(head + body), format="matroska")


def _track(number: int, format: StreamFormat) -> bytes:
    video = format.kind == "video"
    body = _number(0xD7, number) + _number(0x73C5, number) + _number(0x83, 1 if video else 2)
    body += _text(0x86, _CODECS[_name(format)])
    if format.extradata:
        body += _element(0x63A2, format.extradata)
    if video:
        body += _element(0xE0, _number(0xB0, format.width) + _number(0xBA, format.height))
    else:
        rate = _element(0xB5, struct.pack(">d", format.rate or 48_000))
        body += _element(0xE1, rate + _number(0x9F, format.channels or 1))
    return _element(0xAE, body)


def _element(name: int, body: bytes) -> bytes:
    size = (1 << 56 | len(body)).to_bytes(8, "big")
    return name.to_bytes((name.bit_length() + 7) // 8, "big") + size + body


def _number(name: int, value: int) -> bytes:
    return _element(name, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def _text(name: int, value: str) -> bytes:
    return _element(name, value.encode())
