"""Sources by their numbers, and by what users call them."""

from __future__ import annotations

import os

from onlooker.core.errors import UsageError
from onlooker.core.store import SourceStatus
from onlooker.timeline.stores.embedded.codec import clean, info_from_json
from onlooker.timeline.stores.embedded.database import Connection, rows
from onlooker.timeline.stores.embedded.runs import states_of

__all__ = ["source_called", "status_of"]


def status_of(connection: Connection, number: int) -> SourceStatus:
    """What is known of a source, by its number."""
    ((info,),) = rows(connection, "SELECT info FROM source WHERE number = ?", (number,))
    paths = rows(connection, "SELECT path FROM source_path WHERE source = ? ORDER BY number", (number,))
    return SourceStatus(info_from_json(info), tuple(p for (p,) in paths), tuple(states_of(connection, number)))


def source_called(connection: Connection, ref: str) -> SourceStatus:
    """The source whose id starts with ``ref``, or whose path or file name is ``ref``.

    Raises:
        UsageError: none is, or several are.
    """
    ref = clean(ref)
    for condition, values in (
        ("id = ?", [ref]),
        ("number IN (SELECT source FROM source_path WHERE path IN (?, ?))", [ref, os.path.abspath(ref)]),
        (
            "substr(id, 1, length(?1)) = ?1 OR number IN (SELECT source FROM source_path"
            " WHERE substr(path, -length(?1) - 1) IN ('/' || ?1, '\\' || ?1))",
            [ref],
        ),
    ):
        if not ref:
            break
        sql = f"SELECT number, id FROM source WHERE NOT dead AND ({condition}) ORDER BY number"
        found = list(rows(connection, sql, values))
        if len(found) == 1:
            return status_of(connection, found[0][0])
        if found:
            several = ", ".join(identity[:12] for _, identity in found[:5])
            raise UsageError(f"{ref!r} means several sources: {several}", hint="give more of the id or path")
    raise UsageError(f"no source is called {ref!r}", hint="see: onlooker library list")
