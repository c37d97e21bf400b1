"""The audit log: who did what, when, from where, and whether it was allowed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from onlooker.api.database import ServerDatabase

__all__ = ["Audit"]

_KEPT: Final = 200_000


class Audit:
    """Entries are only ever added; the oldest go when there are more than 200,000.

    Args:
        database: where they are kept.
    """

    def __init__(self, database: ServerDatabase) -> None:
        self._database = database

    def note(self, *, actor: str, via: str, address: str, action: str, object: str = "", status: int = 200) -> None:
        """Add an entry; ``action`` is a route's method and path, or a word for what has none."""
        values = (time.time(), actor[:100], via, address, action, object[:300], status)
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO audit (at, actor, via, address, action, object, status) VALUES (?, ?, ?, ?, ?, ?, ?)",
                values,
            )
            number = connection.last_insert_rowid()
            if number % 1000 == 0:
                connection.execute("DELETE FROM audit WHERE number <= ?", (number - _KEPT,))

    def entries(self, *, before: int | None = None, limit: int = 100, actor: str | None = None) -> list[dict[str, Any]]:
        """Entries, the newest first, with a number smaller than ``before``."""
        names = ("number", "at", "actor", "via", "address", "action", "object", "status")
        rows = self._database.fetch(
            f"SELECT {', '.join(names)} FROM audit WHERE (?1 IS NULL OR number < ?1) AND (?2 IS NULL OR actor = ?2)"
            " ORDER BY number DESC LIMIT ?3",
            (before, actor, limit),
        )
        return [dict(zip(names, row, strict=True)) for row in rows]
