"""What is deleted when: by age, by bytes, and when the disk is full."""

from __future__ import annotations

import contextlib
import os
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from onlooker.core.observation import Json
from onlooker.recording.config import RecordSettings
from onlooker.recording.index import Hold, Index, IndexFull, Segment
from onlooker.recording.places import event_folder

__all__ = ["Retained", "erase", "free_bytes", "make_room", "retain_camera"]

_DAY = 86_400.0


@dataclass(slots=True)
class Retained:
    """What a retention run deleted."""

    files: int = 0
    bytes: int = 0
    clips: int = 0

    def add(self, other: Retained) -> None:
        """Count it in."""
        self.files += other.files
        self.bytes += other.bytes
        self.clips += other.clips

    def as_dict(self) -> dict[str, Json]:
        """The public JSON form."""
        return {"files": self.files, "bytes": self.bytes, "clips": self.clips}


def free_bytes(library: Path) -> int:
    """Bytes that may still be written to the disk of a library."""
    state = os.statvfs(library)
    return state.f_bavail * state.f_frsize


def erase(index: Index, segments: list[Segment]) -> Retained:
    """Delete files so that a kill at any moment leaves nothing that the index does not know to finish."""
    if not segments:
        return Retained()
    try:
        index.erasing(segments)
    except IndexFull:
        # no room to note it first: the file goes, which a kill right after it only shows as a file that is missing
        _unlink(index.library / segments[0].path)
        index.erasing(segments)
    for segment in segments:
        _unlink(index.library / segment.path)
    index.forget(segments)
    return Retained(files=len(segments), bytes=sum(s.bytes for s in segments))


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        path.parent.rmdir()


def retain_camera(index: Index, camera: str, settings: RecordSettings, now: float | None = None) -> Retained:
    """Delete what a camera's settings do not keep. The open file and what events hold stay.

    Args:
        index: of the library.
        camera: its name.
        settings: how long, and how much.
        now: wall time (Unix seconds); the clock's by default.
    """
    now = time.time() if now is None else now
    done = Retained(clips=_expire(index, camera, settings, now))
    held = _Held(index.holds(camera))
    segments = index.segments(camera)
    loose = [s for s in segments if not s.open and s not in held]
    gone: list[Segment] = []
    if settings.days is not None:
        edge = now - settings.days * _DAY
        gone = [s for s in loose if s.zero + s.end / 1e9 < edge]
    if settings.bytes is not None:
        over = sum(s.bytes for s in segments) - sum(s.bytes for s in gone) - settings.bytes
        for segment in loose[len(gone) :]:
            if over <= 0:
                break
            gone.append(segment)
            over -= segment.bytes
    done.add(erase(index, gone))
    return done


def make_room(index: Index, camera: str, wanted: int) -> Retained:
    """Delete a camera's oldest files that no event holds, until ``wanted`` bytes of the disk are free."""
    done = Retained()
    held = _Held(index.holds(camera))
    for segment in index.segments(camera):
        if free_bytes(index.library) >= wanted:
            break
        if not segment.open and segment not in held:
            done.add(erase(index, [segment]))
    return done


class _Held:
    """What events hold, as stretches that do not overlap."""

    def __init__(self, holds: Sequence[Hold]) -> None:
        self._starts: list[int] = []
        self._ends: list[float] = []
        for hold in sorted(holds, key=lambda h: h.start):
            end = float("inf") if hold.end is None else hold.end
            if self._ends and hold.start <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._starts.append(hold.start)
                self._ends.append(end)

    def __contains__(self, segment: Segment) -> bool:
        place = bisect_left(self._starts, segment.end) - 1
        return place >= 0 and self._ends[place] > segment.start


def _expire(index: Index, camera: str, settings: RecordSettings, now: float) -> int:
    """End the holds of events that were kept long enough, and delete their clips; returns the number of clips."""
    if settings.event_days is None:
        return 0
    known = index.cameras().get(camera)
    if known is None:
        return 0
    edge = (now - settings.event_days * _DAY - known[1]) * 1e9
    old = [h for h in index.holds(camera) if h.end is not None and h.end < edge]
    clips = 0
    for hold in old:
        folder = event_folder(index.library, hold.event)
        with contextlib.suppress(OSError):
            (folder / "clip.mp4").unlink()
            clips += 1
        with contextlib.suppress(OSError):
            folder.rmdir()
    index.drop_holds(old)
    return clips
