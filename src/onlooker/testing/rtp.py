"""Coded media as RTP packets (RFC 3550), for `onlooker.testing.rtsp`: H.264 (RFC 6184) and AAC (RFC 3640)."""

from __future__ import annotations

import base64
import re
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import av

from onlooker.core.errors import UnsupportedMedia

__all__ = ["Clip", "Sender", "Track", "Unit", "stamp_of"]

_MTU = 1400
_FU_A = 28
_PARAMETERS = (7, 8)  # sequence and picture parameter sets
_STAMP = bytes.fromhex("6f6e6c6f6f6b65722d7374616d702d31")  # a UUID of our own: "onlooker-stamp-1"
_NTP = 2_208_988_800  # seconds from 1900 to 1970


@dataclass(frozen=True, slots=True)
class Unit:
    """One coded picture or stretch of sound.

    Args:
        track: number of its `Track`.
        sent: seconds from the clip's begin at which it is sent (the time of decoding).
        shown: seconds at which it is shown.
        parts: NAL units of a picture, or the one coded stretch of sound.
        key: whether decoding can begin with it.
    """

    track: int
    sent: float
    shown: float
    parts: tuple[bytes, ...]
    key: bool


@dataclass(frozen=True, slots=True)
class Track:
    """One stream as SDP (RFC 4566) describes it.

    Args:
        kind: ``video`` or ``audio``.
        payload: RTP payload type.
        clock: RTP ticks a second.
        encoding: value of ``rtpmap`` behind the payload type.
        format: value of ``fmtp`` behind the payload type.
        parameters: NAL units that go before each key picture.
    """

    kind: Literal["video", "audio"]
    payload: int
    clock: int
    encoding: str
    format: str
    parameters: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Clip:
    """A file's coded units in the order in which they are sent.

    Args:
        tracks: video, and sound if the file has some that can be sent.
        units: by time of sending.
        seconds: length.
    """

    tracks: tuple[Track, ...]
    units: tuple[Unit, ...] = field(repr=False)
    seconds: float

    @classmethod
    def load(cls, path: Path) -> Clip:
        """Read an MP4, Matroska or MPEG-TS file with H.264, and AAC if there is sound.

        Raises:
            UnsupportedMedia: its video is no H.264.
        """
        with av.open(str(path)) as container:
            video = container.streams.video[0]
            if video.codec_context.codec.canonical_name != "h264":
                raise UnsupportedMedia(f"{path} has no H.264 video", hint="encode it first")
            parameters, prefix = _parameter_sets(bytes(video.codec_context.extradata or b""))
            tracks = [_video_track(parameters)]
            streams: list[Any] = [video]
            sound = next((s for s in container.streams.audio if s.codec_context.name == "aac"), None)
            if sound is not None and sound.codec_context.extradata:
                tracks.append(_audio_track(sound.codec_context))
                streams.append(sound)
            units, end = _units(container, streams, prefix)
        return cls(tuple(tracks), tuple(sorted(units, key=lambda u: u.sent)), end)


def _units(container: Any, streams: list[Any], prefix: int) -> tuple[list[Unit], float]:
    units: list[Unit] = []
    end = 0.0
    for packet in container.demux(streams):
        if packet.dts is None or packet.size == 0:
            continue
        base, track = float(packet.time_base), streams.index(packet.stream)
        sent, shown = packet.dts * base, (packet.dts if packet.pts is None else packet.pts) * base
        data = bytes(packet)
        parts = (data,) if track else tuple(_nal_units(data, prefix))
        units.append(Unit(track, sent, shown, parts, bool(packet.is_keyframe)))
        if track == 0:
            end = max(end, sent + float((packet.duration or 0) * packet.time_base or 1 / streams[0].average_rate))
    begin = min(u.sent for u in units)
    # negative times of decoding, as B-frames have them, are moved up
    moved = [Unit(u.track, u.sent - begin, u.shown - begin, u.parts, u.key) for u in units if u.sent < end]
    return moved, end - begin


def _parameter_sets(extradata: bytes) -> tuple[tuple[bytes, ...], int]:
    """Sequence and picture parameter sets, and the length of a NAL unit's size (0: start codes)."""
    if extradata[:1] != b"\x01":
        return tuple(n for n in _split(extradata) if n[0] & 31 in _PARAMETERS), 0
    found: list[bytes] = []
    at = 5
    for mask in (31, 255):
        count = extradata[at] & mask
        at += 1
        for _ in range(count):
            length = int.from_bytes(extradata[at : at + 2], "big")
            found.append(extradata[at + 2 : at + 2 + length])
            at += 2 + length
    return tuple(found), (extradata[4] & 3) + 1


def _split(data: bytes) -> list[bytes]:
    return [part for part in re.split(b"\x00\x00\x00\x01|\x00\x00\x01", data) if part]


def _nal_units(data: bytes, prefix: int) -> list[bytes]:
    if not prefix:
        return _split(data)
    found: list[bytes] = []
    at = 0
    while at + prefix <= len(data):
        length = int.from_bytes(data[at : at + prefix], "big")
        found.append(data[at + prefix : at + prefix + length])
        at += prefix + length
    return [n for n in found if n]


def _video_track(parameters: Sequence[bytes]) -> Track:
    sets = ",".join(base64.b64encode(p).decode() for p in parameters)
    profile = parameters[0][1:4].hex() if parameters else "42e01f"
    form = f"packetization-mode=1;profile-level-id={profile};sprop-parameter-sets={sets}"
    return Track("video", 96, 90_000, "H264/90000", form, tuple(parameters))


def _audio_track(context: Any) -> Track:
    form = "streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3"
    rate, channels = context.sample_rate, context.channels
    config = bytes(context.extradata).hex().upper()
    return Track("audio", 97, rate, f"MPEG4-GENERIC/{rate}/{channels}", f"{form};config={config}")


class Sender:
    """Numbers and stamps the RTP packets of one track in one session.

    Args:
        track: what is sent.
        ssrc: the synchronisation source's id.
        sequence: number of the first packet.
        origin: RTP time of the session's begin.
        mtu: bytes of a packet's payload at most.
    """

    def __init__(self, track: Track, ssrc: int, sequence: int, origin: int, mtu: int = _MTU) -> None:
        self.track, self.ssrc, self.sequence, self.origin = track, ssrc, sequence, origin
        self._mtu = mtu
        self._packets = self._octets = 0

    def ticks(self, seconds: float) -> int:
        """RTP time of a moment of the session; 32 bits, so that it wraps."""
        return (self.origin + round(seconds * self.track.clock)) & 0xFFFFFFFF

    def packets(self, unit: Unit, shown: float, *, stamp: bool = False) -> list[bytes]:
        """RTP packets of one unit that is shown ``shown`` seconds after the session's begin.

        Args:
            unit: of this sender's track.
            shown: seconds.
            stamp: whether to put the present moment into a picture, for `stamp_of`.
        """
        if self.track.kind == "audio":
            # one access unit behind a header section of 16 bits, which holds its size of 13 bits and an index of 3
            payloads = [struct.pack("!HH", 16, len(unit.parts[0]) << 3) + unit.parts[0]]
            marked = 0
        else:
            parts = [*self.track.parameters, *unit.parts] if unit.key else list(unit.parts)
            if unit.key:
                own = [p for p in unit.parts if p[0] & 31 not in _PARAMETERS]
                parts = [*self.track.parameters, *own]
            if stamp:
                parts.insert(next(i for i, p in enumerate(parts) if 1 <= p[0] & 31 <= 5), _sei(time.monotonic_ns()))
            payloads = [payload for part in parts for payload in self._fragments(part)]
            marked = len(payloads) - 1
        return [self._packet(payload, shown, number == marked) for number, payload in enumerate(payloads)]

    def _fragments(self, part: bytes) -> list[bytes]:
        if len(part) <= self._mtu:
            return [part]
        head, room = part[0], self._mtu - 2
        pieces = [part[at : at + room] for at in range(1, len(part), room)]
        last = len(pieces) - 1
        return [
            bytes([(head & 0xE0) | _FU_A, (0x80 if n == 0 else 0) | (0x40 if n == last else 0) | (head & 31)]) + piece
            for n, piece in enumerate(pieces)
        ]

    def _packet(self, payload: bytes, shown: float, marker: bool) -> bytes:
        head = struct.pack(
            "!BBHII",
            0x80,
            self.track.payload | (0x80 if marker else 0),
            self.sequence & 0xFFFF,
            self.ticks(shown),
            self.ssrc,
        )
        self.sequence += 1
        self._packets += 1
        self._octets += len(payload)
        return head + payload

    def report(self, now: float) -> bytes:
        """An RTCP sender report with the source's name: which wall time belongs to which RTP time.

        Args:
            now: seconds since the session's begin.
        """
        wall = time.time() + _NTP
        whole = int(wall)
        sender = struct.pack(
            "!BBHIIIIII",
            0x80,
            200,
            6,
            self.ssrc,
            whole,
            int((wall - whole) * (1 << 32)),
            self.ticks(now),
            self._packets & 0xFFFFFFFF,
            self._octets & 0xFFFFFFFF,
        )
        item = b"\x01\x08onlooker"  # CNAME
        item += bytes(4 - len(item) % 4)
        return sender + struct.pack("!BBHI", 0x81, 202, 1 + len(item) // 4, self.ssrc) + item

    def bye(self) -> bytes:
        """An RTCP packet that says that the sender ends."""
        return struct.pack("!BBHI", 0x81, 203, 1, self.ssrc)


def _sei(moment: int) -> bytes:
    """A NAL unit of supplemental information (H.264, D.1.7): user data, unregistered. Digits need no escaping."""
    data = _STAMP + f"{moment:020d}".encode()
    return bytes([6, 5, len(data)]) + data + b"\x80"


def stamp_of(picture: Any) -> int | None:
    """When a server with ``stamp`` sent this picture, in nanoseconds of this machine's monotonic clock, or None.

    Args:
        picture: PyAV's frame, as of `onlooker.sources.frame.DecodedFrame.coded`.
    """
    for item in picture.side_data:
        data = bytes(item)
        if data[:16] == _STAMP:
            return int(data[16:36])
    return None
