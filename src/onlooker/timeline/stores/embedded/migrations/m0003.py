"""Schema 3: records, small JSON documents of the library itself (enrolled people, corrections, settings)."""

from __future__ import annotations

from onlooker.timeline.stores.embedded.database import Connection

__all__ = ["apply"]


def apply(connection: Connection) -> None:
    """Make the table."""
    connection.execute(
        "CREATE TABLE record (collection TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,"
        " PRIMARY KEY (collection, key)) WITHOUT ROWID"
    )
