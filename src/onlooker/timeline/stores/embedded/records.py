"""Records: JSON documents by collection and key."""

from __future__ import annotations

import json
from collections.abc import Mapping

from onlooker.core.observation import Json
from onlooker.timeline.stores.embedded.database import Database

__all__ = ["get_records", "put_records"]


def get_records(database: Database, collection: str) -> dict[str, Json]:
    """All records of a collection by key, in order of their keys."""
    found = database.fetch("SELECT key, value FROM record WHERE collection = ? ORDER BY key", (collection,))
    return {key: json.loads(value) for key, value in found}


def put_records(database: Database, collection: str, values: Mapping[str, Json]) -> None:
    """Replace records in one transaction; None deletes one."""
    gone = [(collection, key) for key, value in values.items() if value is None]
    kept = [(collection, k, json.dumps(v, ensure_ascii=False)) for k, v in values.items() if v is not None]
    with database.transaction() as connection:
        # what is forgotten must not stay readable in the file
        connection.execute("PRAGMA secure_delete=ON")
        connection.executemany("DELETE FROM record WHERE collection = ? AND key = ?", gone)
        connection.executemany("INSERT OR REPLACE INTO record VALUES (?, ?, ?)", kept)
        connection.execute("PRAGMA secure_delete=OFF")
