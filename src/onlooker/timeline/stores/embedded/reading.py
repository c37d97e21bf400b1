"""Reading back: queries, single observations, counts, measurements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import apsw

from onlooker.core.errors import UsageError
from onlooker.core.observation import Observation, Producer
from onlooker.core.store import Query
from onlooker.timeline.stores.embedded.codec import COLUMNS, observation_from_row
from onlooker.timeline.stores.embedded.database import rows
from onlooker.timeline.stores.embedded.filters import ORDERS, conditions, wanted_phrases

__all__ = ["SELECT", "Makers", "count_kinds", "find", "get", "read_row"]

SELECT = ", ".join(f"o.{c.strip()}" for c in COLUMNS.split(",")) + ", o.run, space.name, vector.value"
"""What `read_row` reads, of `FROM`."""

FROM = (
    "observation AS o LEFT JOIN vector ON vector.observation = o.number LEFT JOIN space ON space.number = vector.space"
)


class Makers:
    """The source and producer of each run, looked up once per query."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._known: dict[int, tuple[str, Producer]] = {}

    def of(self, run: int) -> tuple[str, Producer]:
        """Source id and producer of a run."""
        if run not in self._known:
            ((source, *producer),) = rows(
                self._connection,
                "SELECT source.id, analyzer, version, config, bundle FROM run"
                " JOIN source ON source.number = run.source JOIN producer ON producer.number = run.producer"
                " WHERE run.number = ?",
                (run,),
            )
            self._known[run] = (source, Producer(*producer))
        return self._known[run]


def read_row(row: tuple[Any, ...], makers: Makers) -> Observation:
    """The observation of a row of `SELECT`."""
    *columns, run, space, vector = row
    return observation_from_row(columns, *makers.of(run), space, vector)


def within(found: Iterable[Observation], query: Query) -> Iterator[Observation]:
    """Those that overlap the query's span exactly, from its offset, up to its limit."""
    span = query.span
    fitting = found if span is None else (o for o in found if span.overlaps(o.span))
    stop = None if query.limit is None else query.offset + query.limit
    return islice(iter(fitting), query.offset, stop)


def find(connection: apsw.Connection, query: Query) -> Iterator[Observation]:
    """The visible observations that fit, in order."""
    phrases = wanted_phrases(query.text)
    if phrases is None or query.limit == 0:
        return
    where, makers = conditions(query, phrases), Makers(connection)
    sql = f"SELECT {SELECT} FROM {FROM} WHERE {where.sql} ORDER BY {ORDERS[query.order]}"
    yield from within((read_row(r, makers) for r in rows(connection, sql, where.values)), query)


def get(connection: apsw.Connection, observation_id: str) -> Observation:
    """One observation by (the beginning of) its id.

    Raises:
        UsageError: too short, none, or several.
    """
    wanted = observation_id.strip().lower()
    if not 8 <= len(wanted) <= 32 or any(c not in "0123456789abcdef" for c in wanted):
        raise UsageError(f"not an observation's id: {observation_id!r}", hint="8 to 32 hexadecimal digits")
    low, high = bytes.fromhex(wanted.ljust(32, "0")), bytes.fromhex(wanted.ljust(32, "f"))
    found = rows(
        connection,
        f"SELECT {SELECT} FROM {FROM} WHERE o.id BETWEEN ? AND ?"
        " AND (SELECT visible FROM run WHERE run.number = o.run) LIMIT 3",
        (low, high),
    )
    made = [read_row(row, Makers(connection)) for row in found]
    if len(made) == 1:
        return made[0]
    if not made:
        raise UsageError(f"no observation has the id {observation_id!r}", hint="ids are shown by: onlooker search")
    raise UsageError(f"several observations' ids begin with {observation_id!r}", hint="give more digits")


def count_kinds(connection: apsw.Connection, source: str | None) -> Mapping[str, int]:
    """How many visible observations there are of each kind, most frequent first."""
    query = Query(sources=() if source is None else (source,))
    where = conditions(query)
    sql = f"SELECT o.kind, count(*) FROM observation AS o WHERE {where.sql} GROUP BY o.kind"
    counts = dict(rows(connection, sql, where.values))
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
