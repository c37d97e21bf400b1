"""Fragmented MP4 (ISO/IEC 14496-12) out of coded packets, in memory and without coding anything anew.

libavformat writes the initial part, which holds all that depends on codecs. Fragments are written here: its own muxer
cannot be asked to end one, and gives frames wrong times where each gets its own fragment and there is sound.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av

from onlooker.core.live import CodedPacket, StreamFormat
from onlooker.recording.boxes import boxes
from onlooker.recording.seed import adts_config, seeds, start_code_units

__all__ = ["Muxer"]

_KEY, _OTHER = 0x02000000, 0x01010000
_LENGTH_PREFIXED = frozenset(("h264", "hevc"))
_SHORTEST = Fraction(9, 10)
_LEAD = Fraction(1, 4)


class Muxer:
    """One file, or one live view, from a keyframe on. Its clock shows 0 at that keyframe.

    Args:
        formats: a stream of pictures, then perhaps one of sound, their codecs' parameters known.
        keyframe: the first packet of the pictures; it has to be written too.
        longest: seconds of a fragment at most; a fragment otherwise ends before a keyframe.
        every_frame: a fragment for each packet.
        note: text that goes into the file.

    Attributes:
        initial: what a player needs first.
        end: seconds after the first keyframe at which the pictures that were written end.
    """

    def __init__(
        self,
        formats: Sequence[StreamFormat],
        keyframe: CodedPacket,
        *,
        longest: float = 2.0,
        every_frame: bool = False,
        note: str = "",
    ) -> None:
        video = formats[0]
        base = _shown(keyframe) * video.time_base
        self.initial, scales = _initial(formats, keyframe, note)
        self._tracks: Mapping[int, _Track] = {
            f.index: _Track(n, f, base, scale) for n, (f, scale) in enumerate(zip(formats, scales, strict=True), 1)
        }
        self._video = self._tracks[video.index]
        self._longest = Fraction(longest)
        self._shortest = min(_SHORTEST, self._longest / 2)
        self._every_frame = every_frame
        self._count = 0

    @property
    def streams(self) -> frozenset[int]:
        """Numbers of the streams that it takes."""
        return frozenset(self._tracks)

    @property
    def end(self) -> Fraction:
        """Seconds after the first keyframe at which the pictures end."""
        return self._video.end

    def write(self, packet: CodedPacket) -> list[bytes]:
        """Take one packet; returns the fragments that are complete now."""
        track = self._tracks[packet.stream]
        sample = track.sample(packet)
        if sample is None:
            return []
        if self._every_frame:
            track.samples.append(sample)
            return self.finish()
        parts: list[bytes] = []
        if track is self._video and track.samples:
            held = (sample.dts - track.samples[0].dts) * track.tick
            if held >= self._longest or (packet.keyframe and held >= self._shortest):
                parts = self.finish(sample.dts)
        track.samples.append(sample)
        return parts

    def finish(self, next_picture: int | None = None) -> list[bytes]:
        """What was not yet given out, as one fragment; ``next_picture``: when the one after it is decoded."""
        tracks = [t for t in self._tracks.values() if t.samples]
        if not tracks:
            return []
        self._count += 1
        # the places of the samples depend on the length of what stands before them, which is the same with any places
        length = len(self._head(tracks, [0] * len(tracks), next_picture))
        places: list[int] = []
        at = length + 8
        for track in tracks:
            places.append(at)
            at += sum(len(s.data) for s in track.samples)
        head = self._head(tracks, places, next_picture)
        media = b"".join(s.data for t in tracks for s in t.samples)
        for track in tracks:
            track.samples.clear()
        return [head + struct.pack(">I4s", len(media) + 8, b"mdat") + media]

    def _head(self, tracks: Sequence[_Track], places: Sequence[int], next_picture: int | None) -> bytes:
        parts = [_box(b"mfhd", struct.pack(">II", 0, self._count))]
        for track, place in zip(tracks, places, strict=True):
            parts.append(track.fragment(place, next_picture if track is self._video else None))
        return _box(b"moof", b"".join(parts))


@dataclass(frozen=True, slots=True)
class _Sample:
    data: bytes
    dts: int
    pts: int
    duration: int
    key: bool


class _Track:
    """One stream: its times made fit for MP4, and the samples of the open fragment."""

    def __init__(self, number: int, format: StreamFormat, base: Fraction, scale: int) -> None:
        self._number = number
        self._format = format
        self.tick = format.time_base
        self._scale = scale
        self._shift = round(base / format.time_base)
        self._video = format.kind == "video"
        self._first: int | None = None
        self._last: int | None = None
        self._shown = self._step = 0
        self.samples: list[_Sample] = []
        self.end = Fraction(0)

    def sample(self, packet: CodedPacket) -> _Sample | None:
        """What goes into the file, or None where it does not."""
        pts, dts = packet.pts, packet.dts
        if pts is None:
            pts = dts if dts is not None else self._shown + self._step + self._shift
        dts = _decoded(pts, dts, self.tick) - self._shift
        pts -= self._shift
        # pictures that hang on the group before this file go along: a player hides them, joining finds them
        if pts < 0 and not (self._video and self._last is not None):
            return None
        if self._last is not None and dts <= self._last:
            dts = self._last + 1
        if self._first is None:
            self._first = min(dts, 0) if self._video else 0
        self._last = dts
        if pts > self._shown:
            self._step, self._shown = pts - self._shown, pts
        duration = packet.duration or self._step
        self.end = max(self.end, (pts + duration) * self.tick)
        return _Sample(self._content(packet.data), dts, pts, duration, packet.keyframe or not self._video)

    def _content(self, data: bytes) -> bytes:
        codec, parameters = self._format.codec, self._format.extradata
        if codec in _LENGTH_PREFIXED and parameters[:1] != b"\1":
            return b"".join(len(u).to_bytes(4, "big") + u for u in start_code_units(data))
        if codec == "aac" and adts_config(data):
            return data[7 if data[1] & 1 else 9 :]
        return data

    def fragment(self, place: int, following: int | None) -> bytes:
        """The box ``traf`` of the open fragment, whose samples lie from byte ``place`` on."""
        assert self._first is not None
        samples, scale = self.samples, self._scale
        rows: list[int] = []
        for number, sample in enumerate(samples):
            after = samples[number + 1].dts if number + 1 < len(samples) else following
            duration = (after - sample.dts if after is not None else sample.duration) * scale
            rows += [duration, len(sample.data), _KEY if sample.key else _OTHER, (sample.pts - sample.dts) * scale]
        run = struct.pack(">IIi", 0x01000F01, len(samples), place) + struct.pack(">" + "IIIi" * len(samples), *rows)
        begin = (samples[0].dts - self._first) * scale
        return _box(
            b"traf",
            _box(b"tfhd", struct.pack(">II", 0x020000, self._number))
            + _box(b"tfdt", struct.pack(">IQ", 0x01000000, begin))
            + _box(b"trun", run),
        )


def _shown(packet: CodedPacket) -> int:
    return packet.pts if packet.pts is not None else packet.dts or 0


def _decoded(pts: int, dts: int | None, tick: Fraction) -> int:
    # a demuxer that tells no decoding time at first tells it later: room is left for pictures shown out of order
    return dts if dts is not None else pts - round(_LEAD / tick)


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, kind) + body


class _Sink:
    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes) -> int:
        self.data += data
        return len(data)


def _initial(formats: Sequence[StreamFormat], keyframe: CodedPacket, note: str) -> tuple[bytes, list[int]]:
    """The boxes ``ftyp`` and ``moov``, and by how much each stream's times are to be multiplied."""
    sink = _Sink()
    options = {"movflags": "frag_keyframe+empty_moov+delay_moov+default_base_moof"}
    seed = seeds(formats)
    with av.open(sink, "w", format="mp4", options=options) as made:
        out: Any = made
        if note:
            out.metadata["comment"] = note
        streams = [out.add_stream_from_template(s, opaque=True) for s in seed.streams]
        for stream, format in zip(streams, formats, strict=True):
            stream.time_base = format.time_base
            if format.codec == "hevc":
                stream.codec_context.codec_tag = "hvc1"
        packet = av.Packet(keyframe.data)
        shown = _shown(keyframe)
        packet.pts, packet.time_base, packet.is_keyframe = 0, formats[0].time_base, True
        packet.dts = min(0, _decoded(shown, keyframe.dts, formats[0].time_base) - shown)
        packet.stream = streams[0]
        out.mux(packet)
        scales = [round(f.time_base / s.time_base) for f, s in zip(formats, streams, strict=True)]
    seed.close()
    end = next(last for kind, _, last in boxes(sink.data) if kind == b"moov")
    return bytes(sink.data[:end]), scales
