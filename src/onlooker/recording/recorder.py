"""Records a camera's packets as they come: always, on motion, or on events."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from onlooker.core.live import CodedPacket, StreamFormat
from onlooker.core.observation import Json
from onlooker.recording.config import RecordSettings
from onlooker.recording.session import Session
from onlooker.recording.writing import Origin

__all__ = ["Recorder", "RecorderStatus"]


@dataclass(frozen=True, slots=True)
class RecorderStatus:
    """How recording is doing.

    Args:
        mode: as configured.
        recording: whether packets are written now.
        paused: why it does not record though it should (``disk full``), or empty.
        written: nanoseconds of the camera up to which pictures are in a file.
        files, bytes: written since the start.
        waiting: bytes that wait for the disk.
        dropped: packets that were not taken, by cause, since the start.
        left_out: streams that are not recorded.
        error: the last thing that went wrong, or empty.
    """

    mode: str
    recording: bool = False
    paused: str = ""
    written: int = 0
    files: int = 0
    bytes: int = 0
    waiting: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict[str, int])
    left_out: str = ""
    error: str = ""

    def as_dict(self) -> dict[str, Json]:
        """The public JSON form."""
        return {
            "mode": self.mode,
            "recording": self.recording,
            "paused": self.paused,
            "written_seconds": round(self.written / 1e9, 3),
            "files": self.files,
            "bytes": self.bytes,
            "waiting_bytes": self.waiting,
            "dropped": dict(self.dropped),
            "left_out": self.left_out,
            "error": self.error,
        }


class Recorder:
    """A `PacketTaker` that writes fragmented MP4 files in a thread of its own.

    No method blocks except `close`. When the disk is slower than the camera, at most ``settings.memory`` bytes wait;
    what does not fit is dropped up to the next keyframe, counted, and a gap.

    Args:
        folder: the library folder.
        camera: its name.
        source: id of its source.
        settings: what to record, and how long to keep it.
        zero: wall time (Unix seconds) of the camera's zero.

    Raises:
        StoreBusy: another process records the camera into this library.
        StoreError: the index cannot be opened.
    """

    def __init__(self, folder: Path, camera: str, source: str, settings: RecordSettings, zero: float) -> None:
        self._settings = settings
        self._session = Session(folder, Origin(camera, source, zero), settings)
        self._queue: deque[tuple[Callable[[], None], int]] = deque()
        self._waiting = 0
        self._ready = threading.Condition()
        self._closing = False
        self._video: int | None = None
        self._broken = False
        self._dropped: Counter[str] = Counter()
        self._thread = threading.Thread(target=self._work, name=f"record-{camera}", daemon=True)
        self._thread.start()

    def begin(self, formats: Sequence[StreamFormat]) -> None:
        """A connection stands; its packets follow."""
        self._video = next((f.index for f in formats if f.kind == "video"), None)
        self._broken = False
        kept = tuple(formats)
        self._order(lambda: self._session.begin(kept))

    def packet(self, packet: CodedPacket) -> None:
        """The next packet in the order in which they came."""
        size, most = len(packet.data), self._settings.memory
        if self._broken and packet.keyframe and packet.stream == self._video:
            # not before much of what waited is written, or it would come in scraps
            self._broken = self._waiting > most // 2
        if self._broken or self._waiting + size > most:
            if not self._broken:
                self._broken = True
                self._order(lambda: self._session.stop("overload"))
            self._dropped["overload"] += 1
            return
        self._order(lambda: self._session.packet(packet), size)

    def lost(self, reason: str) -> None:
        """The connection is gone, or watching ends."""
        self._order(lambda: self._session.lost(reason))

    def motion(self, now_ns: int, moving: bool) -> None:
        """The motion gate sees, or no longer sees, motion at ``now_ns`` of the camera."""
        self._order(lambda: self._session.motion(now_ns, moving))

    def hold(self, event_id: str, from_ns: int, to_ns: int | None) -> None:
        """An event wants a stretch recorded and kept: from ``from_ns``, as far as memory reaches, until ``to_ns``."""
        self._order(lambda: self._session.hold(event_id, from_ns, to_ns))

    def release(self, event_id: str, to_ns: int) -> None:
        """An event needs nothing after ``to_ns``."""
        self._order(lambda: self._session.release(event_id, to_ns))

    def close(self, timeout: float = 10.0) -> None:
        """Write what waits, end the file, and let go of the camera. May be called twice."""
        with self._ready:
            self._closing = True
            self._ready.notify()
        self._thread.join(timeout)

    @property
    def recording(self) -> bool:
        """Whether packets are being written now."""
        return self._session.recording

    def status(self) -> RecorderStatus:
        """How it is doing now."""
        s = self._session
        return RecorderStatus(
            self._settings.mode,
            recording=s.recording,
            paused=s.paused,
            written=s.written,
            files=s.files,
            bytes=s.bytes,
            waiting=self._waiting,
            dropped=dict(self._dropped),
            left_out=s.left_out,
            error=s.error,
        )

    def _order(self, work: Callable[[], None], size: int = 0) -> None:
        with self._ready:
            if self._closing:
                return
            self._queue.append((work, size))
            self._waiting += size
            self._ready.notify()

    def _work(self) -> None:
        while True:
            with self._ready:
                while not self._queue and not self._closing:
                    self._ready.wait()
                if not self._queue:
                    break
                work, size = self._queue.popleft()
            self._session.guarded(work)
            with self._ready:
                self._waiting -= size
        self._session.guarded(self._session.finish)
        self._session.close()
