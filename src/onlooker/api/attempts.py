"""Limits on guessing passwords and one-time links."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from onlooker.api.database import ServerDatabase

__all__ = ["Attempts"]

_WINDOW: Final = 900.0
_BY_BOTH, _BY_ADDRESS, _BY_NAME = 5, 30, 50
"""Failures within the window: of a name from an address, of an address, of a name from anywhere."""


class Attempts:
    """Failures lately, kept in the database so that a restart does not forgive them.

    A name can be locked only for addresses that guess it, until very many of them do: nobody can lock others out
    by guessing a few times.

    Args:
        database: where failures are kept.
    """

    def __init__(self, database: ServerDatabase) -> None:
        self._database = database

    def enter(self, name: str, address: str) -> float:
        """Begin an attempt, which counts as failed until `succeeded`: many at once do not get past the limit.

        Returns:
            0, or the seconds until an attempt is allowed again; then nothing was counted.
        """
        now, longest = time.time(), 0.0
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM attempt WHERE at < ?", (now - _WINDOW,))
            for key, most in self._keys(name, address):
                sql = "SELECT at FROM attempt WHERE key = ? ORDER BY at DESC LIMIT 1 OFFSET ?"
                for (at,) in connection.execute(sql, (key, most - 1)):
                    longest = max(longest, at + _WINDOW - now)
            if not longest:
                keys = [(key, now) for key, _ in self._keys(name, address)]
                connection.executemany("INSERT INTO attempt VALUES (?, ?)", keys)
        return longest

    def succeeded(self, name: str, address: str) -> None:
        """It was no failure; the name's failures from this address are forgotten."""
        own, *others = [key for key, _ in self._keys(name, address)]
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM attempt WHERE key = ?", (own,))
            for key in others:
                sql = "SELECT rowid FROM attempt WHERE key = ? ORDER BY at DESC LIMIT 1"
                connection.execute(f"DELETE FROM attempt WHERE rowid IN ({sql})", (key,))

    def _keys(self, name: str, address: str) -> tuple[tuple[str, int], ...]:
        folded = name.casefold()[:100]
        return (f"both {address} {folded}", _BY_BOTH), (f"address {address}", _BY_ADDRESS), (f"name {folded}", _BY_NAME)
