"""Connections to a library's SQLite file, transactions, and SQLite's errors in onlooker's words."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, cast

import apsw
import sqlite_vec  # pyright: ignore[reportMissingTypeStubs]

from onlooker.core.errors import StoreBusy, StoreError

__all__ = ["Connection", "Database", "rows", "translated"]

BUSY_SECONDS = 30.0
_WAL_LIMIT = 64 << 20
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

    def executemany(self, statements: str, bindings: Iterable[Sequence[Any]], /) -> Iterator[tuple[Any, ...]]:
        """Run a statement once for each sequence of values."""
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


def rows(connection: Connection, sql: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
    """Run a statement and give its rows."""
    return iter(connection.execute(sql, tuple(values)))


@contextmanager
def translated(path: Path) -> Generator[None]:
    """Turn SQLite's errors into onlooker's."""
    try:
        yield
    except (apsw.BusyError, apsw.LockedError) as error:
        raise StoreBusy(
            f"{path} is held by another process: {error}", hint="wait for the other run to end, or stop it"
        ) from error
    except apsw.FullError as error:
        raise StoreError(
            f"{path} cannot grow: the disk is full",
            hint="free some space on it; then onlooker library retain can free more",
        ) from error
    except apsw.ReadOnlyError as error:
        raise StoreError(f"{path} cannot be written: {error}", hint="check the folder's permissions") from error
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise StoreError(
            f"{path} is damaged or not a library: {error}",
            hint="restore a copy, or move the file away and analyse again; media are not touched",
        ) from error
    except apsw.IOError as error:
        raise StoreError(
            f"{path} cannot be read or written: {error}", hint="check the disk, its space and quotas"
        ) from error
    except apsw.CantOpenError as error:
        raise StoreError(f"{path} cannot be opened: {error}", hint="check the path and its permissions") from error
    except apsw.Error as error:
        raise StoreError(f"{path}: {type(error).__name__}: {error}") from error


class Database:
    """One writer connection and a pool of reader connections on one file.

    Readers work on a snapshot of their own (WAL), so neither this process's nor another's commits disturb a query
    under way. Connections do not survive a fork: a child process opens its own.

    ``synchronous=NORMAL``: a commit is in the operating system's hands when it returns, so a killed process loses
    nothing; a power cut can lose the last seconds but never leaves half a transaction. FULL would cost about three
    times the time in small commits, and what is lost is analysed again on resume.

    Args:
        path: the file.
        read_only: refuse to write.
        busy_seconds: how long to wait for other processes' locks.
    """

    def __init__(self, path: Path, *, read_only: bool = False, busy_seconds: float = BUSY_SECONDS) -> None:
        self.path = path
        self.read_only = read_only
        self.busy_seconds = busy_seconds
        self._lock = threading.RLock()
        self._pool_lock = threading.Lock()  # apart, so that a reader never waits for a writer
        self._pid = os.getpid()
        self._writer: Connection | None = None
        self._idle: list[Connection] = []
        self._closed = False

    # -- connections --

    def connect(self, *, writing: bool) -> Connection:
        """A new connection with all settings made."""
        if writing and self.read_only:
            raise StoreError(f"{self.path} was opened for reading only", hint="open it without read_only")
        if writing:
            connection = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
        else:
            connection = self._reader()
        connection.set_busy_timeout(int(self.busy_seconds * 1000))
        connection.enable_load_extension(True)
        connection.load_extension(sqlite_vec.loadable_path())
        connection.enable_load_extension(False)
        made = cast("Connection", connection)
        for pragma in ("foreign_keys=ON", "synchronous=NORMAL", "cache_size=-16000"):
            made.execute(f"PRAGMA {pragma}")
        if writing:
            made.execute(f"PRAGMA journal_size_limit={_WAL_LIMIT}")
        return made

    def _reader(self) -> apsw.Connection:
        flags = apsw.SQLITE_OPEN_READWRITE if not self.read_only else apsw.SQLITE_OPEN_READONLY
        connection = apsw.Connection(str(self.path), flags=flags)
        try:
            connection.set_busy_timeout(int(self.busy_seconds * 1000))
            list(rows(cast("Connection", connection), "PRAGMA schema_version"))
        except (apsw.CantOpenError, apsw.ReadOnlyError):
            connection.close()
            wal = self.path.with_name(self.path.name + "-wal")
            if not self.read_only or (wal.exists() and wal.stat().st_size):
                raise
            # WAL needs a writable folder for its shared memory; nobody can write here, so do without
            address = f"{self.path.resolve().as_uri()}?immutable=1"
            connection = apsw.Connection(address, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        return connection

    def _check(self) -> None:
        if self._pid != os.getpid():
            # after a fork: the parent's connections must be neither used nor closed here
            self._pid, self._writer, self._idle = os.getpid(), None, []
            self._lock, self._pool_lock = threading.RLock(), threading.Lock()
        if self._closed:
            raise StoreError(f"{self.path} was closed", hint="open the library again")

    @property
    def writer(self) -> Connection:
        """The connection that writes; hold `lock` while using it."""
        self._check()
        if self._writer is None:
            self._writer = self.connect(writing=True)
        return self._writer

    @property
    def lock(self) -> threading.RLock:
        """Serialises the threads that write."""
        self._check()
        return self._lock

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
        """Read from one state of the library, whatever is written meanwhile."""
        self._check()
        with translated(self.path):
            with self._pool_lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                connection = self.connect(writing=False)
            pid = self._pid
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                self._release(connection, pid)

    def _release(self, connection: Connection, pid: int) -> None:
        if pid != os.getpid():
            return
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except (apsw.Error, apsw.ThreadingViolationError):
            connection.close(True)
            return
        with self._pool_lock:
            if not self._closed and len(self._idle) < _IDLE_READERS:
                self._idle.append(connection)
                return
        connection.close()

    def fetch(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of one short reading statement."""
        with self.snapshot() as connection:
            return list(rows(connection, sql, values))

    def retry_busy(self, sql: str) -> None:
        """Run a statement on the writer that SQLite's own waiting does not cover (changing the journal's mode)."""
        limit = time.monotonic() + self.busy_seconds
        while True:
            try:
                list(self.writer.execute(sql))
                return
            except (apsw.BusyError, apsw.LockedError):
                if time.monotonic() > limit:
                    raise
                time.sleep(0.02)

    def drop_readers(self) -> None:
        """Close the connections that nobody reads with."""
        with self._pool_lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def close(self) -> None:
        """Close all idle connections; a query under way closes its own."""
        if self._closed:
            return
        self._closed = True
        if self._pid != os.getpid():
            return
        self.drop_readers()
        with self._lock:
            if self._writer is not None:
                # a courtesy to the query planner; a full or damaged disk was reported by what came before
                with contextlib.suppress(apsw.Error):
                    list(self._writer.execute("PRAGMA optimize"))
                self._writer.close()
                self._writer = None
