"""Connections to a library's ``events.sqlite``, transactions, and SQLite's errors in onlooker's words."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, cast

import apsw

from onlooker.core.errors import StoreBusy, StoreError

__all__ = ["Connection", "Database", "translated"]

BUSY_SECONDS = 30.0
_IDLE_READERS = 4


class Connection(Protocol):
    """What is used of ``apsw.Connection``, with types that are known throughout."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        ...

    def execute(self, statements: str, bindings: Sequence[Any] = ..., /) -> Iterator[tuple[Any, ...]]:
        """Run statements; the rows come as they are asked for."""
        ...

    def changes(self) -> int:
        """Rows that the last statement changed."""
        ...

    def last_insert_rowid(self) -> int:
        """Key of the row inserted last."""
        ...

    def close(self, force: bool = ..., /) -> None:
        """Close."""
        ...


@contextmanager
def translated(path: Path) -> Generator[None]:
    """Turn SQLite's errors into onlooker's."""
    try:
        yield
    except (apsw.BusyError, apsw.LockedError) as error:
        raise StoreBusy(f"{path} is held by another process: {error}", hint="wait for it to end, or stop it") from error
    except apsw.FullError as error:
        raise StoreError(f"{path} cannot grow: the disk is full", hint="free some space on it") from error
    except (apsw.ReadOnlyError, apsw.CantOpenError) as error:
        raise StoreError(f"{path} cannot be opened or written: {error}", hint="check its permissions") from error
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise StoreError(
            f"{path} is damaged or holds no events: {error}",
            hint="restore a copy, or move the file away; observations, recordings and evidence are not touched",
        ) from error
    except apsw.IOError as error:
        raise StoreError(f"{path} cannot be read or written: {error}", hint="check the disk") from error
    except apsw.Error as error:
        raise StoreError(f"{path}: {type(error).__name__}: {error}") from error


class Database:
    """One connection that writes and a few that read, on one file in WAL mode; used by any number of threads.

    ``synchronous=FULL``: an event that was taken is on the disk, so a power cut loses none; events are few, and what
    is lost is not made again.

    Args:
        path: the file.
        read_only: refuse to write.
        busy_seconds: how long to wait for other processes' locks.
    """

    def __init__(self, path: Path, *, read_only: bool = False, busy_seconds: float = BUSY_SECONDS) -> None:
        self.path = path
        self.read_only = read_only
        self.busy_seconds = busy_seconds
        self.lock = threading.RLock()
        self._pool_lock = threading.Lock()  # apart, so that a reader never waits for a writer
        self._writer: Connection | None = None
        self._idle: list[Connection] = []
        self._closed = False

    def _connect(self, *, writing: bool) -> Connection:
        if self._closed:
            raise StoreError(f"{self.path} was closed", hint="open the journal again")
        if writing and self.read_only:
            raise StoreError(f"{self.path} was opened for reading only", hint="open it without read_only")
        if writing:
            connection = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
            connection.set_busy_timeout(int(self.busy_seconds * 1000))
        else:
            connection = self._reader()
        made = cast("Connection", connection)
        for pragma in ("foreign_keys=ON", "synchronous=FULL", "journal_size_limit=16777216"):
            list(made.execute(f"PRAGMA {pragma}"))
        return made

    def _reader(self) -> apsw.Connection:
        flags = apsw.SQLITE_OPEN_READONLY if self.read_only else apsw.SQLITE_OPEN_READWRITE
        connection = apsw.Connection(str(self.path), flags=flags)
        try:
            connection.set_busy_timeout(int(self.busy_seconds * 1000))
            list(connection.execute("PRAGMA schema_version"))
        except (apsw.CantOpenError, apsw.ReadOnlyError):
            connection.close()
            wal = self.path.with_name(self.path.name + "-wal")
            if not self.read_only or (wal.exists() and wal.stat().st_size):
                raise
            # WAL needs a writable folder for its shared memory; nobody can write here, so do without
            address = f"{self.path.resolve().as_uri()}?immutable=1"
            connection = apsw.Connection(address, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        return connection

    @property
    def writer(self) -> Connection:
        """The connection that writes; hold `lock` while using it."""
        if self._writer is None:
            self._writer = self._connect(writing=True)
        return self._writer

    @contextmanager
    def transaction(self) -> Generator[Connection]:
        """Write all or nothing.

        Raises:
            StoreError: disk full, read-only, damaged.
            StoreBusy: others wrote for too long.
        """
        with self.lock, translated(self.path):
            connection = self.writer
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # a full disk may have rolled back already
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def snapshot(self) -> Generator[Connection]:
        """Read from one state of the file, whatever is written meanwhile."""
        with translated(self.path):
            with self._pool_lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                connection = self._connect(writing=False)
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                self._release(connection)

    def _release(self, connection: Connection) -> None:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except apsw.Error:
            connection.close(True)
            return
        with self._pool_lock:
            if not self._closed and len(self._idle) < _IDLE_READERS:
                self._idle.append(connection)
                return
        connection.close()

    def fetch(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of one reading statement."""
        with self.snapshot() as connection:
            return list(connection.execute(sql, tuple(values)))

    def use_wal(self) -> None:
        """Set the journal's mode; SQLite's own waiting does not cover that."""
        limit = time.monotonic() + self.busy_seconds
        while True:
            try:
                list(self.writer.execute("PRAGMA journal_mode=WAL"))
                return
            except (apsw.BusyError, apsw.LockedError):
                if time.monotonic() > limit:
                    raise
                time.sleep(0.02)

    def close(self) -> None:
        """Close all idle connections; a query under way closes its own."""
        with self._pool_lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        with self.lock:
            if self._writer is not None:
                with contextlib.suppress(apsw.Error):
                    self._writer.close()
                self._writer = None
