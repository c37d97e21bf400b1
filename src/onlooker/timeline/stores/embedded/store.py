"""The embedded store behind the protocol of ``onlooker.core.store``."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from onlooker.core.errors import StoreError
from onlooker.core.measurement import Measurement
from onlooker.core.media import SourceInfo
from onlooker.core.observation import Attachment, Json, Observation, Producer
from onlooker.core.store import Batch, Failure, Hit, Query, RunState, SourceStatus
from onlooker.core.time import Span
from onlooker.timeline.media import delete_media, media_bytes, media_folder, store_attachment
from onlooker.timeline.stores.embedded import checking, erasing, keeping, migrations, reading, searching
from onlooker.timeline.stores.embedded.codec import clean, info_to_json, span_from_text
from onlooker.timeline.stores.embedded.database import BUSY_SECONDS, Database, rows, translated
from onlooker.timeline.stores.embedded.erasing import erase_of, unnamed
from onlooker.timeline.stores.embedded.filters import check_query
from onlooker.timeline.stores.embedded.measured import stored_measurements
from onlooker.timeline.stores.embedded.naming import source_called, status_of
from onlooker.timeline.stores.embedded.records import get_records, put_records
from onlooker.timeline.stores.embedded.runs import find_run, kill_runs, settle, source_number, states_of
from onlooker.timeline.stores.embedded.writing import prepare_batch, write_batch

__all__ = ["EmbeddedStore"]

FILE = "library.sqlite"
_AHEAD = 256
"""Observations that are read before the first is given out."""
_WORTH_SHRINKING = 32 * 2**20
"""Free bytes from which the file is made smaller when a run has ended."""


class EmbeddedStore:
    """A library in a folder; see `onlooker.core.store.Store` for what each method promises.

    It may be used from several threads, and opened by several processes at once.

    Args:
        folder: the library folder.
        create: make a library where there is none.
        read_only: write nothing, not even a migration.
        busy_seconds: how long to wait for other processes' locks.

    Raises:
        StoreError: no library there, damaged, not readable.
        StoreTooNew: written by a newer onlooker; nothing was touched.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        create: bool = True,
        read_only: bool = False,
        busy_seconds: float = BUSY_SECONDS,
    ) -> None:
        self._folder = Path(folder)
        self.migrated_copy: Path | None = None
        """The copy made of an older library on opening, or None."""
        path = self._folder / FILE
        if not path.exists():
            self._make_folder(create and not read_only)
        self.database = Database(path, read_only=read_only, busy_seconds=busy_seconds)
        try:
            self._open(read_only)
        except BaseException:
            self.database.close()
            raise

    def _make_folder(self, create: bool) -> None:
        if self._folder.exists() and not self._folder.is_dir():
            raise StoreError(f"{self._folder} is a file, not a library folder", hint="choose another --library")
        if not create:
            raise StoreError(
                f"there is no library in {self._folder}", hint="check --library, or make one with: onlooker analyze"
            )
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot make the library folder {self._folder}: {error.strerror}") from error

    def _open(self, read_only: bool) -> None:
        path = self.database.path
        if not os.access(path if path.exists() else self._folder, os.R_OK):
            raise StoreError(f"{path} cannot be read", hint="check its permissions")
        _check_header(path)
        if read_only:
            with self.database.snapshot() as connection:
                version = migrations.version_of(connection, path)
            if version != migrations.CURRENT:
                raise StoreError(
                    f"{path} has the older schema {version} and was opened for reading only",
                    hint="bring it up to date with: onlooker library migrate",
                )
            return
        # looked at first without writing anything, so that a newer or foreign file stays as it is
        if path.exists() and path.stat().st_size:
            probe = Database(path, read_only=True, busy_seconds=self.database.busy_seconds)
            try:
                with probe.snapshot() as connection:
                    migrations.version_of(connection, path)
            finally:
                probe.close()
        self.migrated_copy = migrations.prepare(self.database)
        # a run given up by a process that was killed; it can wait where others are busy or the disk is full
        with contextlib.suppress(StoreError):
            self._purge_if_needed()

    def _purge_if_needed(self) -> None:
        dead = self.database.fetch("SELECT 1 FROM run WHERE dead UNION ALL SELECT 1 FROM source WHERE dead LIMIT 1")
        if dead:
            keeping.purge(self.database, self._folder)

    def __enter__(self) -> EmbeddedStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def folder(self) -> Path:
        """The library folder."""
        return self._folder

    # -- sources --

    def add_source(self, info: SourceInfo) -> None:
        """Make a source known, or add another path under which it is seen."""
        media_folder(self._folder, info.id)
        info = replace(info, path=clean(info.path))
        with self.database.transaction() as connection:
            connection.execute(
                "INSERT INTO source (id, info, added_ns) VALUES (?, ?, ?)"
                " ON CONFLICT (id) WHERE NOT dead DO UPDATE SET info = excluded.info",
                (info.id, info_to_json(info), time.time_ns()),
            )
            connection.execute(
                "INSERT OR IGNORE INTO source_path (source, path) VALUES (?, ?)",
                (source_number(connection, info.id), info.path),
            )

    def sources(self) -> list[SourceStatus]:
        """All sources, in the order in which they were added."""
        with self.database.snapshot() as connection:
            numbers = [n for (n,) in rows(connection, "SELECT number FROM source WHERE NOT dead ORDER BY number")]
            return [status_of(connection, number) for number in numbers]

    def source(self, ref: str) -> SourceStatus:
        """The source whose id starts with ``ref``, or whose path or file name is ``ref``."""
        with self.database.snapshot() as connection:
            return source_called(connection, ref)

    def remove_source(self, source: str) -> None:
        """Delete a source and all that is stored of it, media included."""
        with self.database.transaction() as connection:
            keeping.kill_source(connection, source_number(connection, source))
        keeping.purge(self.database, self._folder)

    def cached_id(self, path: str, size: int, modified_ns: int) -> str | None:
        """The content digest of a file that was seen before with this size and time, or None."""
        found = self.database.fetch(
            "SELECT source FROM file_digest WHERE path = ? AND size = ? AND modified_ns = ?",
            (clean(path), size, modified_ns),
        )
        return found[0][0] if found else None

    def cache_id(self, path: str, size: int, modified_ns: int, source: str) -> None:
        """Remember a file's content digest."""
        with self.database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO file_digest VALUES (?, ?, ?, ?)", (clean(path), size, modified_ns, source)
            )

    # -- writing --

    def commit(self, batch: Batch) -> None:
        """Write a batch in one transaction."""
        prepared = prepare_batch(self._with_media(batch))
        with self.database.transaction() as connection:
            files = erase_of(connection, batch.source, batch.erases)
            gone = write_batch(connection, prepared)
            unnamed_files = unnamed(connection, files)
        delete_media(self._folder, unnamed_files)
        if gone:
            # the batch is written and they are invisible already; whoever opens the library next goes on with it
            with contextlib.suppress(StoreError):
                keeping.purge(self.database, self._folder)
        if any(state.complete for state in batch.states):
            # what was kept for the run alone is deleted now, which can be most of the file
            with contextlib.suppress(StoreError):
                keeping.shrink(self.database, least_bytes=_WORTH_SHRINKING)

    def _with_media(self, batch: Batch) -> Batch:
        if not any(o.attachments for o in batch.observations):
            return batch
        kept: list[Observation] = []
        for observation in batch.observations:
            paths = (store_attachment(self._folder, batch.source, a) for a in observation.attachments)
            media = tuple(dict.fromkeys([*observation.media, *paths]))
            kept.append(replace(observation, attachments=(), media=media))
        return replace(batch, observations=kept)

    def put_media(self, source: str, attachment: Attachment) -> str:
        """Write a derived file beside the source."""
        if self.database.read_only:
            raise StoreError(f"{self._folder} was opened for reading only", hint="open it without read_only")
        return store_attachment(self._folder, source, attachment)

    def states(self, source: str) -> list[RunState]:
        """How far each producer got on ``source``, complete or under way."""
        with self.database.snapshot() as connection:
            return states_of(connection, source_number(connection, source))

    def discard(self, source: str, producer: Producer) -> None:
        """Delete all that one producer wrote about one source."""
        with self.database.transaction() as connection:
            run = find_run(connection, source, producer)
            if run is None:
                return
            kill_runs(connection, [run])
            settle(connection, source_number(connection, source), producer.analyzer, ())
        keeping.purge(self.database, self._folder)

    # -- reading --

    def query(self, query: Query) -> Iterator[Observation]:
        """The visible observations that fit, streamed."""
        check_query(query)
        return self._stream(query)

    def _stream(self, query: Query) -> Iterator[Observation]:
        with self.database.snapshot() as connection:
            found = reading.find(connection, query)
            head = list(islice(found, _AHEAD))
            if len(head) == _AHEAD:
                yield from head
                yield from found
                return
        # a short answer does not hold its snapshot, and with it the write-ahead log, while the caller thinks
        yield from head

    def get(self, observation_id: str) -> Observation:
        """One observation by its id or a unique beginning of it (8 digits or more)."""
        with self.database.snapshot() as connection:
            return reading.get(connection, observation_id)

    def counts(self, source: str | None = None) -> Mapping[str, int]:
        """How many visible observations there are of each kind."""
        with self.database.snapshot() as connection:
            return reading.count_kinds(connection, source)

    def search_text(self, text: str, query: Query) -> list[Hit]:
        """Full-text search, best first, within what ``query`` allows."""
        check_query(query)
        with self.database.snapshot() as connection:
            return searching.search_text(connection, text, query)

    def search_vector(self, space: str, vector: NDArray[np.float32], query: Query) -> list[Hit]:
        """Nearest vectors of one space by cosine, best first, within what ``query`` allows."""
        check_query(query)
        with self.database.snapshot() as connection:
            return searching.search_vector(connection, space, vector, query)

    def measurements(self, source: str, producer: Producer, span: Span | None = None) -> Iterator[Measurement]:
        """Stored measurements in order of time; of ``span``, those whose time lies in it."""
        return stored_measurements(self.database, source, producer, span)

    # -- erasing --

    def erase(self, query: Query) -> int:
        """Delete the visible observations that fit, with their vectors, words and media, for good."""
        return erasing.erase(self.database, self._folder, query)

    def erase_vectors(self, query: Query) -> int:
        """Delete the vectors of the visible observations that fit, for good, and leave the rest of them."""
        return erasing.erase_vectors(self.database, query)

    def edit_measurements(self, source: str, analyzer: str, change: Callable[[Measurement], Measurement]) -> int:
        """Replace an analyzer's stored measurements of a source by what ``change`` makes of each, for good."""
        return erasing.edit_measurements(self.database, source, analyzer, change)

    def scrub(self) -> None:
        """See to it that nothing deleted before is readable in the file or its log any more."""
        keeping.purge(self.database, self._folder)
        erasing.scrub(self.database)

    # -- failures --

    def failures(self, source: str | None = None) -> list[Failure]:
        """Recorded failures."""
        where, values = ("", ()) if source is None else ("WHERE source = ?", (clean(source),))
        found = self.database.fetch(
            f"SELECT source, stage, message, exact, analyzer, retryable FROM failure {where} ORDER BY number",
            values,
        )
        return [
            Failure(
                source=row[0],
                stage=row[1],
                message=row[2],
                span=None if row[3] is None else span_from_text(row[3]),
                analyzer=row[4],
                retryable=bool(row[5]),
            )
            for row in found
        ]

    def clear_failures(self, source: str, analyzers: Iterable[str | None]) -> None:
        """Forget the failures of these analyzers before they are tried again."""
        with self.database.transaction() as connection:
            connection.executemany(
                "DELETE FROM failure WHERE source = ? AND analyzer IS ?", [(clean(source), a) for a in analyzers]
            )

    # -- records --

    def records(self, collection: str) -> Mapping[str, Json]:
        """The library's own small documents of one collection, by key."""
        return get_records(self.database, collection)

    def put_records(self, collection: str, values: Mapping[str, Json]) -> None:
        """Replace records of a collection, all of them or none; None deletes one for good."""
        put_records(self.database, collection, values)

    # -- keeping --

    def retain(self, *, older_than_seconds: Fraction | None = None, max_bytes: int | None = None) -> int:
        """Delete sources added longer ago, then the oldest until the media and rows fit; returns how many."""
        return keeping.retain(self.database, self._folder, older_than_seconds, max_bytes)

    def check(self) -> checking.Findings:
        """Look for damage, reading everything once."""
        return checking.check(self.database, self._folder)

    def vacuum(self) -> dict[str, int]:
        """Finish deletions, delete media that nothing names, and give unused space back to the disk.

        Returns:
            ``bytes_freed`` of the database and ``media_deleted`` files.
        """
        before = self._file_bytes()
        keeping.purge(self.database, self._folder)
        deleted = checking.sweep(self.database, self._folder)
        keeping.optimize(self.database)
        keeping.shrink(self.database)
        return {"bytes_freed": max(0, before - self._file_bytes()), "media_deleted": deleted}

    def _file_bytes(self) -> int:
        path = self.database.path
        files = (path, path.with_name(path.name + "-wal"))
        return sum(f.stat().st_size for f in files if f.exists())

    def sizes(self) -> dict[str, int]:
        """Schema version and bytes: the database's file, the part of it in use, and the media."""
        with self.database.snapshot() as connection:
            used = keeping.database_bytes(connection)
        return {
            "schema": migrations.CURRENT,
            "database_bytes": self._file_bytes(),
            "used_bytes": used,
            "media_bytes": media_bytes(self._folder),
        }

    def close(self) -> None:
        """Close; a second call does nothing."""
        with translated(self.database.path):
            self.database.close()


def _check_header(path: Path) -> None:
    """Look at the file without SQLite, which would leave files beside a library that is only looked at, and takes
    any very short file for an empty database.
    """
    if not path.exists():
        return
    with path.open("rb") as stream:
        head = stream.read(100)
    if head and not head.startswith(b"SQLite format 3\0"):
        raise StoreError(f"{path} is damaged or not a library", hint="choose another --library, or restore a copy")
    if len(head) == 100:
        # https://www.sqlite.org/fileformat2.html, "The Database Header"; the write-ahead log may know better
        version, mark = int.from_bytes(head[60:64], "big"), int.from_bytes(head[68:72], "big")
        migrations.check_version(path, mark, version)
