"""The schema, as the list of changes that lead to it.

``m0001``, ``m0002``, ... each define ``apply(connection)``. A new library goes through all of them, an old one
through those it lacks, in one transaction and after a copy was made.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path

from onlooker.core.errors import StoreError, StoreTooNew
from onlooker.timeline.stores.embedded.database import Connection, Database, rows, translated

__all__ = ["APPLICATION_ID", "CURRENT", "back_up", "check_version", "prepare", "version_of"]

APPLICATION_ID = 0x4F4E4C4B
"""``ONLK`` in the file's header: tells a library from any other SQLite file."""

CURRENT = 3
"""The schema version that this onlooker reads and writes."""


def version_of(connection: Connection, path: Path) -> int:
    """The schema version; 0 for an empty file.

    Raises:
        StoreError: a SQLite file of something else.
        StoreTooNew: made by a newer onlooker.
    """
    with translated(path):
        ((mark,),) = rows(connection, "PRAGMA application_id")
        ((version,),) = rows(connection, "PRAGMA user_version")
        ((tables,),) = rows(connection, "SELECT count(*) FROM sqlite_master")
    if mark == 0 and version == 0 and tables == 0:
        return 0
    if mark != APPLICATION_ID:
        raise StoreError(f"{path} is a database, but not a library of onlooker", hint="choose another --library")
    check_version(path, mark, version)
    return version


def check_version(path: Path, mark: int, version: int) -> None:
    """Refuse a library from the future.

    Raises:
        StoreTooNew: made by a newer onlooker.
    """
    if mark == APPLICATION_ID and version > CURRENT:
        raise StoreTooNew(
            f"{path} has schema {version}, this onlooker knows up to {CURRENT}; nothing was changed",
            hint="upgrade onlooker",
        )


def back_up(database: Database, version: int) -> Path:
    """Copy the library file, as of now, beside it; returns the copy."""
    base = database.path.with_name(f"{database.path.name}.backup-v{version}")
    target, number = base, 1
    while target.exists():
        number += 1
        target = base.with_name(f"{base.name}-{number}")
    unfinished = target.with_name(target.name + ".part")
    unfinished.unlink(missing_ok=True)
    try:
        with translated(database.path):
            source = database.connect(writing=True)
            try:
                source.execute("VACUUM INTO ?", (str(unfinished),))
            finally:
                source.close()
        os.replace(unfinished, target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    return target


def _steps(connection: Connection, version: int) -> None:
    for number in range(version + 1, CURRENT + 1):
        importlib.import_module(f"{__name__}.m{number:04d}").apply(connection)
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={CURRENT}")


def prepare(database: Database) -> Path | None:
    """Bring the file to the current schema; returns the copy made of an older one, or None.

    Safe against several processes doing so at once: one of them does it, the others wait and find it done.
    """
    path = database.path
    with database.lock, translated(path):
        version = version_of(database.writer, path)
        if version == CURRENT:
            return None
        if version == 0:
            # takes effect only before the first table is made
            database.retry_busy("PRAGMA auto_vacuum=INCREMENTAL")
        database.retry_busy("PRAGMA journal_mode=WAL")
    copy: Path | None = None
    try:
        with database.transaction() as connection:
            version = version_of(connection, path)
            if version == CURRENT:
                return None
            if version:
                # this transaction keeps other writers out while the copy is made
                copy = back_up(database, version)
            _steps(connection, version)
    except BaseException:
        # nothing was changed, so the library is its own copy
        if copy is not None:
            copy.unlink(missing_ok=True)
        raise
    return copy
