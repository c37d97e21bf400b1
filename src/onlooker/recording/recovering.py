"""Makes index and files agree again after a crash, at whatever moment it came."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.error import FFmpegError

from onlooker.core.errors import StoreBusy
from onlooker.core.observation import Json
from onlooker.recording.boxes import whole_length
from onlooker.recording.index import Index, Segment
from onlooker.recording.places import CameraLock, camera_folder, camera_of
from onlooker.recording.retention import erase

__all__ = ["Recovered", "recover", "recover_camera"]


@dataclass(slots=True)
class Recovered:
    """What had to be done.

    Args:
        mended: files whose end was cut to the last whole fragment, or read anew.
        found: files that the index did not know.
        removed: files of the index that held nothing that can be played.
        foreign: files that onlooker did not write; they are left as they are.
        missing: files that the index knew and that are gone.
        busy: cameras that are being recorded, and so were left alone.
    """

    mended: int = 0
    found: int = 0
    removed: int = 0
    foreign: int = 0
    missing: int = 0
    busy: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Json]:
        """The public JSON form."""
        return {
            "mended": self.mended,
            "found": self.found,
            "removed": self.removed,
            "foreign": self.foreign,
            "missing": self.missing,
            "busy": [*self.busy],
        }


def recover(index: Index) -> Recovered:
    """Mend all cameras that nobody records now."""
    done = Recovered()
    folders = [f for f in (index.library / "recordings").glob("*") if f.is_dir()]
    names = sorted({camera_of(f) for f in folders} | {s.camera for s in index.segments()})
    for camera in names:
        try:
            lock = CameraLock(index.library, camera)
        except StoreBusy:
            done.busy += (camera,)
            continue
        try:
            recover_camera(index, camera, done)
        finally:
            lock.release()
    return done


def recover_camera(index: Index, camera: str, done: Recovered) -> None:
    """Mend one camera; its lock is held by the caller."""
    folder = camera_folder(index.library, camera)
    erase(index, [s for s in index.doomed() if s.camera == camera])
    for part in folder.glob("*/*.part"):
        part.unlink()
    known = {s.path: s for s in index.segments(camera)}
    for path in sorted(folder.glob("*/*.mp4")):
        relative = path.relative_to(index.library).as_posix()
        segment = known.pop(relative, None)
        if segment is not None and not segment.open and segment.bytes == path.stat().st_size:
            continue
        _mend(index, path, relative, segment, done)
    gone = list(known.values())
    index.forget(gone, erased=False)
    done.missing += len(gone)


def _mend(index: Index, path: Path, relative: str, segment: Segment | None, done: Recovered) -> None:
    length = whole_length(path)
    note = _note(path) if length else None
    if note is None and segment is None:
        done.foreign += 1
        return
    if note is None:
        path.unlink()
        with contextlib.suppress(OSError):
            path.parent.rmdir()
        index.forget([s for s in (segment,) if s is not None], erased=False)
        done.removed += 1
        return
    if length < path.stat().st_size:
        os.truncate(path, length)
    duration = _duration(path)
    end = note["start"] + duration
    if segment is not None:
        index.extend(segment.id, end, length, open=False)
        done.mended += 1
        return
    index.add(
        Segment(
            id=0,
            camera=note["camera"],
            source=note["source"],
            path=relative,
            zero=note["zero"],
            start=note["start"],
            end=end,
            bytes=length,
            open=False,
            cause=note["cause"],
            left_out=note["left_out"],
        )
    )
    done.found += 1


def _note(path: Path) -> dict[str, Any] | None:
    """What a recording's file says of itself; None where it is none of ours."""
    try:
        with av.open(str(path)) as container:
            note = json.loads(container.metadata.get("comment", ""))
    except (FFmpegError, ValueError):
        return None
    return note if isinstance(note, dict) and _whole(note) else None


def _duration(path: Path) -> int:
    """Nanoseconds from the first picture to the end of the last one."""
    end = Fraction(0)
    with av.open(str(path)) as container:
        for packet in container.demux(container.streams.video[0]):
            if packet.pts is not None:
                end = max(end, (packet.pts + (packet.duration or 0)) * packet.time_base)
    return round(end * 1_000_000_000)


def _whole(note: dict[Any, Any]) -> bool:
    kinds: dict[str, type | tuple[type, ...]] = {
        "camera": str,
        "source": str,
        "zero": (int, float),
        "start": int,
        "cause": str,
        "left_out": str,
    }
    return all(isinstance(note.get(key), kind) for key, kind in kinds.items())
