"""The index of recordings: ``recordings.sqlite`` in the library folder, which several processes may use."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from onlooker.core.errors import StoreBusy, StoreError, StoreTooNew
from onlooker.core.observation import Json

__all__ = ["Gap", "Hold", "Index", "IndexFull", "Segment", "goes_on"]

_VERSION = 1
_CLOSE, _SHORT = 250_000_000, 50_000_000
_SCHEMA = """
create table cameras(camera text primary key, source text not null, zero real not null, settings text not null);
create table segments(
    id integer primary key, camera text not null, source text not null, path text not null unique, zero real not null,
    start integer not null, end integer not null, bytes integer not null, open integer not null,
    cause text not null, left_out text not null, erasing integer not null default 0);
create index segments_of on segments(camera, start);
create table holds(event text not null, camera text not null, start integer not null, end integer,
    primary key(event, camera));
create table erased(camera text not null, start integer not null, end integer not null);
create table idle(camera text primary key, since integer not null, reason text not null);
"""
_COLUMNS = "id, camera, source, path, zero, start, end, bytes, open, cause, left_out"


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of a camera.

    Args:
        id: its number in the index.
        camera, source: name of the camera, id of its source.
        path: relative to the library folder.
        zero: wall time (Unix seconds) of the camera's zero.
        start, end: nanoseconds since the zero; the end of what is written so far.
        bytes: length of the file.
        open: whether it is being written.
        cause: why nothing was recorded right before it; empty where it goes on from another file.
        left_out: streams that could not be recorded.
    """

    id: int
    camera: str
    source: str
    path: str
    zero: float
    start: int
    end: int
    bytes: int
    open: bool
    cause: str
    left_out: str

    def as_dict(self) -> dict[str, Json]:
        """The public JSON form; times in seconds of the camera."""
        return {
            "camera": self.camera,
            "source": self.source,
            "path": self.path,
            "start": round(self.start / 1e9, 6),
            "end": round(self.end / 1e9, 6),
            "wall_start": round(self.zero + self.start / 1e9, 6),
            "wall_end": round(self.zero + self.end / 1e9, 6),
            "bytes": self.bytes,
            "open": self.open,
            "left_out": self.left_out or None,
        }


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of a camera without recording.

    Args:
        start, end: nanoseconds since the camera's zero.
        reason: such as ``stalled``, ``no motion``, ``disk full``, ``erased``, ``not running``.
    """

    camera: str
    start: int
    end: int
    reason: str

    def as_dict(self) -> dict[str, Json]:
        """The public JSON form; times in seconds of the camera."""
        return {
            "camera": self.camera,
            "start": round(self.start / 1e9, 6),
            "end": round(self.end / 1e9, 6),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Hold:
    """A stretch of a camera that an event keeps; ``end`` is None while it lasts."""

    event: str
    camera: str
    start: int
    end: int | None


def goes_on(end: int, following: Segment) -> bool:
    """Whether nothing is missing between what ended at ``end`` and a file: files of one connection follow closely."""
    return following.start - end < (_SHORT if following.cause else _CLOSE)


def _segment(row: tuple[Any, ...]) -> Segment:
    id, camera, source, path, zero, start, end, bytes, open, cause, left_out = row
    return Segment(id, camera, source, path, zero, start, end, bytes, bool(open), cause, left_out)


class IndexFull(StoreError):
    """The disk takes no more of the index."""


class Index:
    """Tables of segments, of what events hold, of what was erased and of why nothing is recorded now. Thread-safe.

    Args:
        library: the library folder.

    Raises:
        StoreError: it cannot be opened.
    """

    def __init__(self, library: Path) -> None:
        self.library = library
        self._lock = threading.RLock()
        path = library / "recordings.sqlite"
        try:
            library.mkdir(parents=True, exist_ok=True)
            self._db = apsw.Connection(str(path))
            self._db.setbusytimeout(10_000)
            self._db.execute("pragma journal_mode=wal; pragma synchronous=normal; pragma wal_autocheckpoint=200")
            with self._writing():
                version: Any = self._db.pragma("user_version")
                if version == 0:
                    self._db.execute(_SCHEMA)
                    self._db.pragma("user_version", _VERSION)
        except (apsw.Error, OSError) as error:
            raise StoreError(f"cannot open {path}: {error}", hint="check the folder and its permissions") from None
        if version > _VERSION:
            self._db.close()
            raise StoreTooNew(f"{path} was written by a newer onlooker", hint="update onlooker")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        path = self.library / "recordings.sqlite"
        with self._lock:
            try:
                self._db.execute("begin immediate")
                yield
                self._db.execute("commit")
            except apsw.BusyError:
                raise StoreBusy(f"{path} was held too long", hint="another process writes; try again") from None
            except (apsw.FullError, apsw.IOError) as error:
                raise IndexFull(f"{path} cannot be written: {error}", hint="make room on the disk") from None
            finally:
                if self._db.in_transaction:
                    self._db.execute("rollback")

    def _rows(self, sql: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        with self._lock:
            return [tuple(row) for row in self._db.execute(sql, dict(values))]

    def _run(self, sql: str, values: Mapping[str, Any]) -> None:
        with self._writing():
            self._db.execute(sql, dict(values))

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()

    def put_camera(self, camera: str, source: str, zero: float, settings: str) -> None:
        """Say how a camera is recorded; ``settings`` is JSON of `RecordSettings`."""
        sql = "insert or replace into cameras values(:camera, :source, :zero, :settings)"
        self._run(sql, {"camera": camera, "source": source, "zero": zero, "settings": settings})

    def cameras(self) -> dict[str, tuple[str, float, str]]:
        """By name: source, zero, settings as JSON."""
        return {r[0]: (r[1], r[2], r[3]) for r in self._rows("select * from cameras order by camera", {})}

    def add(self, segment: Segment) -> int:
        """Add a file; returns its number. One of the same path is replaced."""
        columns = _COLUMNS.removeprefix("id, ")
        names = ", ".join(f":{c}" for c in columns.split(", "))
        values = {c: getattr(segment, c) for c in columns.split(", ")}
        with self._writing():
            self._db.execute(f"insert or replace into segments({columns}) values({names})", values)
            self._db.execute("delete from idle where camera = :camera", {"camera": segment.camera})
            return self._db.last_insert_rowid()

    def extend(self, id: int, end: int, bytes: int, *, open: bool = True) -> None:
        """A file has grown, or is complete."""
        sql = "update segments set end = :end, bytes = :bytes, open = :open where id = :id"
        self._run(sql, {"id": id, "end": end, "bytes": bytes, "open": open})

    def segments(self, camera: str | None = None, start: int | None = None, end: int | None = None) -> list[Segment]:
        """Files in order of time that overlap the stretch; those that are being erased are left out."""
        sql = f"select {_COLUMNS} from segments where erasing = 0"
        values: dict[str, Any] = {"camera": camera, "start": start, "end": end}
        sql += " and camera = :camera" if camera is not None else ""
        sql += " and end > :start" if start is not None else ""
        sql += " and start < :end" if end is not None else ""
        used = {k: v for k, v in values.items() if v is not None}
        return [_segment(r) for r in self._rows(f"{sql} order by camera, start", used)]

    def neighbours(self, camera: str, start: int, end: int) -> tuple[Segment | None, Segment | None]:
        """The file that ends last before a stretch, and the one that begins first after it."""
        base = f"select {_COLUMNS} from segments where erasing = 0 and camera = :camera"
        before = self._rows(f"{base} and end <= :t order by start desc limit 1", {"camera": camera, "t": start})
        after = self._rows(f"{base} and start >= :t order by start limit 1", {"camera": camera, "t": end})
        return _segment(before[0]) if before else None, _segment(after[0]) if after else None

    def erasing(self, segments: list[Segment]) -> None:
        """Files that are about to be deleted: from now on they are not there."""
        with self._writing():
            for segment in segments:
                self._db.execute("update segments set erasing = 1 where id = :id", {"id": segment.id})

    def doomed(self) -> list[Segment]:
        """Files whose deletion began and did not end."""
        rows = self._rows(f"select {_COLUMNS} from segments where erasing = 1", {})
        return [_segment(r) for r in rows]

    def forget(self, segments: list[Segment], *, erased: bool = True) -> None:
        """Files that are gone; ``erased``: remember the stretches."""
        with self._writing():
            for s in segments:
                self._db.execute("delete from segments where id = :id", {"id": s.id})
                if erased:
                    self._remember(s.camera, s.start, s.end)

    def _remember(self, camera: str, start: int, end: int) -> None:
        near = {"camera": camera, "start": start - 1_000_000_000, "end": end + 1_000_000_000}
        touching = "camera = :camera and end >= :start and start <= :end"
        first, last = self._db.execute(f"select min(start), max(end) from erased where {touching}", near).fetchall()[0]
        self._db.execute(f"delete from erased where {touching}", near)
        values = {
            "camera": camera,
            "start": start if first is None else min(first, start),
            "end": end if last is None else max(last, end),
        }
        self._db.execute("insert into erased values(:camera, :start, :end)", values)

    def erased(self, camera: str, start: int, end: int) -> list[tuple[int, int]]:
        """Stretches whose files were deleted."""
        sql = "select start, end from erased where camera = :camera and end > :start and start < :end order by start"
        return [(r[0], r[1]) for r in self._rows(sql, {"camera": camera, "start": start, "end": end})]

    def idle(self, camera: str, since: int, reason: str) -> None:
        """From now on nothing is recorded."""
        sql = "insert or replace into idle values(:camera, :since, :reason)"
        self._run(sql, {"camera": camera, "since": since, "reason": reason})

    def idle_reason(self, camera: str) -> str:
        """Why nothing is recorded since the last file; empty where something is, or nobody said."""
        rows = self._rows("select reason from idle where camera = :camera", {"camera": camera})
        return rows[0][0] if rows else ""

    def hold(self, event: str, camera: str, start: int, end: int | None) -> None:
        """An event keeps a stretch; called again, the stretch changes."""
        sql = "insert or replace into holds values(:event, :camera, :start, :end)"
        self._run(sql, {"event": event, "camera": camera, "start": start, "end": end})

    def release(self, event: str, camera: str, end: int) -> None:
        """An event's stretch has an end."""
        sql = "update holds set end = :end where event = :event and camera = :camera"
        self._run(sql, {"event": event, "camera": camera, "end": end})

    def holds(self, camera: str | None = None) -> list[Hold]:
        """What events keep."""
        sql = "select event, camera, start, end from holds"
        sql += " where camera = :camera" if camera is not None else ""
        used = {} if camera is None else {"camera": camera}
        return [Hold(*r) for r in self._rows(f"{sql} order by start", used)]

    def drop_holds(self, holds: list[Hold]) -> None:
        """What events kept long enough."""
        with self._writing():
            for h in holds:
                sql = "delete from holds where event = :event and camera = :camera"
                self._db.execute(sql, {"event": h.event, "camera": h.camera})
