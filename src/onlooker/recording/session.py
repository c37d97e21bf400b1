"""What is recorded when; it runs in the recorder's thread."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import apsw

from onlooker.core.errors import OnlookerError
from onlooker.core.live import CodedPacket, StreamFormat
from onlooker.recording.config import RecordSettings
from onlooker.recording.index import Index, IndexFull
from onlooker.recording.places import CameraLock
from onlooker.recording.recovering import Recovered, recover_camera
from onlooker.recording.retention import free_bytes, make_room, retain_camera
from onlooker.recording.ring import Interleaver, Ring
from onlooker.recording.seed import Parameters, recordable
from onlooker.recording.writing import Origin, SegmentFile

__all__ = ["Session"]

_LOG = logging.getLogger(__name__)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_RETRY = 2.0
_STRAY = 1_000_000_000
_NOT_WANTED = {"motion": "no motion", "event": "no event"}


class Session:
    """One camera's recording: which packets go into which file.

    Args:
        folder: the library folder.
        origin: whose recording it is.
        settings: what to record, and how long to keep it.
    """

    def __init__(self, folder: Path, origin: Origin, settings: RecordSettings) -> None:
        self._origin, self._settings = origin, settings
        self._lock = CameraLock(folder, origin.camera)
        try:
            self._index = Index(folder)
            self._index.put_camera(origin.camera, origin.source, origin.zero, settings.model_dump_json())
            recover_camera(self._index, origin.camera, Recovered())
            self._end_old_holds()
        except BaseException:
            self._lock.release()
            raise
        self._parameters = Parameters(())
        self._order: Interleaver | None = None
        self._video = -1
        self._version = 0
        self._ring = Ring(settings.before if settings.mode in _NOT_WANTED else 0.0, settings.memory)
        self._file: SegmentFile | None = None
        self._now = 0
        self._from: int | None = None
        self._moving_until: float = float("-inf")
        self._holds: dict[str, float] = {}
        self._cause = "not running"
        self._told = ""
        self._again = 0.0
        self._stale = False
        self.paused = self.left_out = self.error = ""
        self.written = self.files = self.bytes = 0

    @property
    def recording(self) -> bool:
        """Whether a file is being written."""
        return self._file is not None

    def guarded(self, work: Callable[[], None]) -> None:
        """Do something; a full disk pauses the recording, and nothing ends the thread."""
        try:
            work()
        except OSError as error:
            self._fail("disk full" if error.errno in _FULL else "disk error", error.strerror or str(error))
        except IndexFull as error:
            self._fail("disk full", error.message)
        except Exception as error:
            # whatever a camera sends, the thread goes on to record what comes after it
            self._fail("error", f"{type(error).__name__}: {error}")

    def begin(self, formats: Sequence[StreamFormat]) -> None:
        """A new connection: what came before is another file."""
        if self._order is not None:
            self.stop("connecting")
        taken, left = recordable(formats)
        self.left_out = "; ".join(left)
        if not any(f.kind == "video" for f in taken):
            self.error = f"no pictures that MP4 holds: {self.left_out or 'no streams'}"
            self._cause, self._order, self._video = "codec", None, -1
            return
        self._parameters = Parameters(taken)
        self._order = Interleaver({f.index: f for f in taken})
        self._video = taken[0].index

    def packet(self, packet: CodedPacket) -> None:
        """The next packet, as it came."""
        if self._order is None or self._settings.mode == "off" or not self._order.knows(packet.stream):
            return
        self._parameters.look(packet)
        for ordered in self._order.put(packet):
            self._take(ordered)

    def lost(self, reason: str) -> None:
        """The connection is gone."""
        self.stop(reason)
        self._order = None

    def stop(self, reason: str) -> None:
        """End the file with what waits; the next one begins at a keyframe."""
        if self._order is not None:
            for packet in self._order.flush():
                self._take(packet)
        self._close(reason)
        self._ring.clear()

    def motion(self, now: int, moving: bool) -> None:
        """Motion began, goes on, or ended."""
        if moving:
            self._wish(now - round(self._settings.before * 1e9))
        elif self._moving_until != float("inf"):
            return
        self._moving_until = float("inf") if moving else now + self._settings.after * 1e9

    def hold(self, event: str, start: int, end: int | None) -> None:
        """An event wants a stretch."""
        self._index.hold(event, self._origin.camera, start, end)
        self._wish(start)
        # what is over already may still be in memory: it is written with the next packets
        self._holds[event] = float("inf") if end is None else max(end, self._now + 1_000_000_000)

    def release(self, event: str, end: int) -> None:
        """An event's stretch has an end."""
        self._index.release(event, self._origin.camera, end)
        if event in self._holds:
            self._holds[event] = end

    def _end_old_holds(self) -> None:
        camera = self._origin.camera
        segments = self._index.segments(camera)
        for hold in self._index.holds(camera):
            if hold.end is None:
                last = segments[-1].end if segments else hold.start
                self._index.release(hold.event, camera, max(hold.start, last))

    def finish(self) -> None:
        """Recording ends: write what waits."""
        self.stop("stopped" if self.recording or not self._told else self._told)

    def close(self) -> None:
        """Let go of everything."""
        self._index.close()
        self._lock.release()

    def _wish(self, start: int) -> None:
        if self._file is None:
            self._from = start if self._from is None else min(start, self._from)

    def _wanted(self, time: int) -> bool:
        mode = self._settings.mode
        if mode == "continuous":
            return True
        self._holds = {e: end for e, end in self._holds.items() if end >= time}
        return bool(self._holds) or (mode == "motion" and self._moving_until >= time)

    def _take(self, packet: CodedPacket) -> None:
        begins = packet.keyframe and packet.stream == self._video
        if packet.stream == self._video:
            self._now = max(self._now, packet.time)
        if begins and self._file is not None:
            self._turn(self._file, packet)
        elif self._file is not None and packet.stream == self._video and self._file.strayed(packet) > _STRAY:
            self._close("clock")
            self._ring.clear()
        self._ring.put(packet, begins=begins)
        if self._file is not None:
            self._write(self._file, packet)
        elif self._ring.bytes and self._wanted(self._now):
            self._open()
        elif begins and not self.paused:
            self._cause = _NOT_WANTED.get(self._settings.mode, self._cause)
            self._tell(self._cause)

    def _turn(self, file: SegmentFile, keyframe: CodedPacket) -> None:
        """At a keyframe: whether the file ends before it. What was written leaves the memory then."""
        if not self._wanted(keyframe.time):
            self._close(_NOT_WANTED[self._settings.mode])
        elif file.strayed(keyframe) > _STRAY:
            self._close("clock")
        elif keyframe.time - file.start >= self._settings.file * 1e9 or self._parameters.version != self._version:
            self._close("", file.place(keyframe))
        if self._file is None:
            self._ring.clear()

    def _open(self) -> None:
        packets = self._ring.since(self._now if self._from is None else self._from)
        formats = self._parameters.known
        if not packets or not formats or formats[0].index != self._video or not self._room():
            return
        self._file = SegmentFile(
            self._index,
            self._origin,
            formats,
            packets[0],
            fragment=self._settings.fragment,
            cause=self._cause,
            left_out=self.left_out,
        )
        self._from, self.paused, self.error, self._told = None, "", "", ""
        self._version = self._parameters.version
        self.files += 1
        for packet in packets:
            self._write(self._file, packet)

    def _room(self) -> bool:
        """Whether the disk has room; makes some where it has not."""
        if time.monotonic() < self._again:
            return False
        camera, settings, folder = self._origin.camera, self._settings, self._index.library
        if self._stale:
            recover_camera(self._index, camera, Recovered())
            self._stale = False
        retain_camera(self._index, camera, settings)
        if free_bytes(folder) < settings.keep_free and settings.when_full == "overwrite":
            # a little more than is needed, so that this does not come again at once
            make_room(self._index, camera, settings.keep_free + settings.memory // 4)
        if free_bytes(folder) < settings.keep_free:
            self._fail("disk full", f"less than {settings.keep_free} bytes are free")
            return False
        return True

    def _write(self, file: SegmentFile, packet: CodedPacket) -> None:
        if file.takes(packet):
            before = file.bytes
            file.write(packet)
            self.bytes += file.bytes - before
            self.written = max(self.written, file.end if file.bytes else 0)

    def _close(self, cause: str, until: int = 0) -> None:
        """End the file; ``cause``: why nothing is recorded after it, empty where it goes on at ``until``."""
        file, self._file = self._file, None
        if file is not None:
            self._cause = cause
            before = file.bytes
            try:
                file.close(until)
            finally:
                self.bytes += file.bytes - before
                self.written = max(self.written, file.end)
        elif not self.paused:
            self._cause = cause
        if cause:
            self._tell(self._cause)

    def _tell(self, reason: str) -> None:
        if reason and reason != self._told:
            self._told = reason
            self._index.idle(self._origin.camera, self.written, reason)

    def _fail(self, reason: str, message: str) -> None:
        if self.paused != reason:
            _LOG.warning("recording of %s pauses: %s (%s)", self._origin.camera, reason, message)
        self.paused, self.error, self._cause = reason, message, reason
        self._again = time.monotonic() + _RETRY
        file, self._file = self._file, None
        self._ring.clear()
        try:
            if file is not None:
                file.abandon()
            self._tell(reason)
        except (OSError, OnlookerError, apsw.Error) as error:
            # the index lies on the full disk too: it is mended before the next file
            self._stale = True
            self.error = f"{message}; {error}"
