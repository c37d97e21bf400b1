"""The schema of ``events.sqlite``, as the list of changes that lead to it.

``m0001``, ``m0002``, ... each define ``apply(connection)``. A new file goes through all of them, an old one through
those it lacks, in one transaction.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from onlooker.core.errors import StoreError, StoreTooNew
from onlooker.events.database import Connection, Database, translated

__all__ = ["APPLICATION_ID", "CURRENT", "prepare", "version_of"]

APPLICATION_ID = 0x4F4E4C45
"""``ONLE`` in the file's header: tells events from any other SQLite file."""

CURRENT = 1
"""The schema version that this onlooker reads and writes."""


def version_of(connection: Connection, path: Path) -> int:
    """The schema version; 0 for an empty file.

    Raises:
        StoreError: a SQLite file of something else.
        StoreTooNew: made by a newer onlooker.
    """
    with translated(path):
        ((mark,),) = connection.execute("PRAGMA application_id")
        ((version,),) = connection.execute("PRAGMA user_version")
        ((tables,),) = connection.execute("SELECT count(*) FROM sqlite_master")
    if mark == 0 and version == 0 and tables == 0:
        return 0
    if mark != APPLICATION_ID:
        raise StoreError(f"{path} is a database, but holds no events of onlooker", hint="move it away")
    if version > CURRENT:
        raise StoreTooNew(
            f"{path} has schema {version}, this onlooker knows up to {CURRENT}; nothing was changed",
            hint="upgrade onlooker",
        )
    return version


def prepare(database: Database) -> None:
    """Bring the file to the current schema; several processes may do so at once."""
    with database.lock, translated(database.path):
        if version_of(database.writer, database.path) == CURRENT:
            return
        database.use_wal()
        with database.transaction() as connection:
            for number in range(version_of(connection, database.path) + 1, CURRENT + 1):
                importlib.import_module(f"{__name__}.m{number:04d}").apply(connection)
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={CURRENT}")
