"""``server.sqlite`` beside the library: users, sessions, tokens, jobs and the audit log."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import apsw

from onlooker.core.errors import StoreBusy, StoreError, StoreTooNew

__all__ = ["FILE", "ServerDatabase"]

FILE: Final = "server.sqlite"
_BUSY_MS = 15_000

_MIGRATIONS: Final = (
    """
    CREATE TABLE user (
        number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE, password TEXT, created REAL NOT NULL
    ) STRICT;
    CREATE TABLE access (
        user INTEGER NOT NULL REFERENCES user ON DELETE CASCADE, camera TEXT NOT NULL, role TEXT NOT NULL,
        zones TEXT NOT NULL, PRIMARY KEY (user, camera)
    ) STRICT;
    CREATE TABLE link (
        hash TEXT PRIMARY KEY, user INTEGER NOT NULL REFERENCES user ON DELETE CASCADE, expires REAL NOT NULL
    ) STRICT;
    CREATE TABLE session (
        hash TEXT PRIMARY KEY, user INTEGER NOT NULL REFERENCES user ON DELETE CASCADE, created REAL NOT NULL,
        used REAL NOT NULL, address TEXT NOT NULL, agent TEXT NOT NULL
    ) STRICT;
    CREATE TABLE token (
        id TEXT PRIMARY KEY, user INTEGER NOT NULL REFERENCES user ON DELETE CASCADE, name TEXT NOT NULL,
        hash TEXT NOT NULL, role TEXT NOT NULL, cameras TEXT NOT NULL, created REAL NOT NULL, expires REAL,
        used REAL, revoked REAL
    ) STRICT;
    CREATE TABLE attempt (key TEXT NOT NULL, at REAL NOT NULL) STRICT;
    CREATE INDEX attempt_key ON attempt (key, at);
    CREATE TABLE audit (
        number INTEGER PRIMARY KEY, at REAL NOT NULL, actor TEXT NOT NULL, via TEXT NOT NULL, address TEXT NOT NULL,
        action TEXT NOT NULL, object TEXT NOT NULL, status INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE job (
        id TEXT PRIMARY KEY, owner TEXT NOT NULL, request TEXT NOT NULL, state TEXT NOT NULL, created REAL NOT NULL,
        started REAL, ended REAL, progress TEXT NOT NULL, result TEXT, error TEXT
    ) STRICT;
    CREATE TABLE camera (name TEXT PRIMARY KEY, settings TEXT NOT NULL) STRICT;
    """,
)


class ServerDatabase:
    """One connection that the threads of a process share; other processes may have the file open too.

    Args:
        folder: the library folder; made if there is none.

    Raises:
        StoreTooNew: a newer onlooker wrote the file.
        StoreError: it cannot be opened.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._lock = threading.RLock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # it holds password hashes and cameras' passwords: for nobody but its owner
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            self._connection = apsw.Connection(str(self.path))
        except (OSError, apsw.Error) as error:
            raise StoreError(f"{self.path} cannot be opened: {error}", hint="check the folder's permissions") from None
        self._connection.set_busy_timeout(_BUSY_MS)
        with self._translated():
            for pragma in ("journal_mode=WAL", "foreign_keys=ON", "synchronous=FULL", "secure_delete=ON"):
                list(self._connection.execute(f"PRAGMA {pragma}"))
        self._migrate()

    def _migrate(self) -> None:
        with self.transaction() as connection:
            ((version,),) = list(connection.execute("PRAGMA user_version"))
            if version > len(_MIGRATIONS):
                raise StoreTooNew(f"{self.path} was written by a newer onlooker", hint="update onlooker")
            for number, script in enumerate(_MIGRATIONS[version:], version + 1):
                connection.execute(script)
                connection.execute(f"PRAGMA user_version = {number}")

    @contextmanager
    def _translated(self) -> Generator[None]:
        try:
            yield
        except (apsw.BusyError, apsw.LockedError):
            raise StoreBusy(f"{self.path} is held by another process", hint="try again") from None
        except apsw.Error as error:
            raise StoreError(f"{self.path}: {type(error).__name__}: {error}", hint="check the disk") from error

    @contextmanager
    def transaction(self) -> Generator[Any]:
        """Write all or nothing; threads take turns."""
        with self._lock, self._translated():
            connection = self._connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def fetch(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of one statement that reads."""
        with self._lock, self._translated():
            return list(self._connection.execute(sql, tuple(values)))

    def write(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run one statement; returns how many rows it changed."""
        with self.transaction() as connection:
            connection.execute(sql, tuple(values))
            return connection.changes()

    def close(self) -> None:
        """Close; a second call does nothing."""
        with self._lock:
            self._connection.close()
