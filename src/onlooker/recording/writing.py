"""One file of a recording while it is written: it appears with its first fragment and grows by whole ones."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from onlooker.core.live import CodedPacket, StreamFormat
from onlooker.recording.index import Index, Segment
from onlooker.recording.muxing import Muxer
from onlooker.recording.places import segment_path

__all__ = ["Origin", "SegmentFile"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose recording it is: camera, id of its source, wall time (Unix seconds) of its zero."""

    camera: str
    source: str
    zero: float


class SegmentFile:
    """Writes packets from a keyframe on.

    Args:
        index: told of every fragment.
        origin: whose recording it is.
        formats: streams, their parameters known, the pictures first.
        keyframe: the first packet; `write` takes it too.
        fragment: seconds of a fragment at most.
        cause: why nothing was recorded right before it, or empty.
        left_out: streams that are not recorded.
    """

    def __init__(
        self,
        index: Index,
        origin: Origin,
        formats: Sequence[StreamFormat],
        keyframe: CodedPacket,
        *,
        fragment: float,
        cause: str,
        left_out: str,
    ) -> None:
        self._index = index
        self._origin = origin
        self._cause, self._left_out = cause, left_out
        self.start = keyframe.time
        self._zero_pts = keyframe.pts if keyframe.pts is not None else keyframe.dts or 0
        self._base = formats[0].time_base
        note = {
            "camera": origin.camera,
            "source": origin.source,
            "zero": origin.zero,
            "start": keyframe.time,
            "cause": cause,
            "left_out": left_out,
        }
        self._muxer = Muxer(formats, keyframe, longest=fragment, note=json.dumps(note))
        self._file = -1
        self._path = Path()
        self._id = 0
        self.bytes = 0
        self.end = self.start

    def takes(self, packet: CodedPacket) -> bool:
        """Whether the stream of a packet is in the file."""
        return packet.stream in self._muxer.streams

    def place(self, packet: CodedPacket) -> int:
        """Nanoseconds of the camera at which a picture would be shown if it went on in this file."""
        if packet.pts is None:
            return packet.time
        return self.start + round((packet.pts - self._zero_pts) * self._base * 1_000_000_000)

    def strayed(self, packet: CodedPacket) -> int:
        """Nanoseconds between a picture's time and where this file would show it."""
        return abs(packet.time - self.place(packet))

    def write(self, packet: CodedPacket) -> None:
        """Take a packet.

        Raises:
            OSError: the disk took no more; what it holds ends with a whole fragment.
        """
        end = self._end()
        for fragment in self._muxer.write(packet):
            self._put(fragment, end)

    def close(self, until: int = 0) -> None:
        """Write what is left.

        Args:
            until: when the next file begins, where it goes on there: the pictures in between are in that file.

        Raises:
            OSError: the disk took no more; the file is closed and ends with a whole fragment.
        """
        try:
            for fragment in self._muxer.finish():
                self._put(fragment, self._end())
            self.end = max(self.end, until)
            if self._file >= 0:
                os.fdatasync(self._file)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close the file with what it holds."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
            self._index.extend(self._id, self.end, self.bytes, open=False)

    def _end(self) -> int:
        return self.start + round(self._muxer.end * 1_000_000_000)

    def _put(self, fragment: bytes, end: int) -> None:
        if self._file < 0:
            self._appear(fragment, end)
            return
        try:
            _write(self._file, fragment)
        except OSError:
            os.ftruncate(self._file, self.bytes)
            raise
        self.bytes += len(fragment)
        self.end = end
        self._index.extend(self._id, end, self.bytes)

    def _appear(self, fragment: bytes, end: int) -> None:
        origin = self._origin
        path = segment_path(self._index.library, origin.camera, origin.zero + self.start / 1e9)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        try:
            _write(file, self._muxer.initial + fragment)
            os.rename(part, path)
        except OSError:
            os.close(file)
            part.unlink(missing_ok=True)
            raise
        self._file, self._path = file, path
        self.bytes, self.end = len(self._muxer.initial) + len(fragment), end
        relative = path.relative_to(self._index.library).as_posix()
        self._id = self._index.add(
            Segment(
                id=0,
                camera=origin.camera,
                source=origin.source,
                path=relative,
                zero=origin.zero,
                start=self.start,
                end=end,
                bytes=self.bytes,
                open=True,
                cause=self._cause,
                left_out=self._left_out,
            )
        )


def _write(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]
