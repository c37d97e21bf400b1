"""Reading back: queries, single observations, counts, measurements."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice
from typing import Any, TypeAlias

from onlooker.core.errors import UsageError
from onlooker.core.observation import Observation
from onlooker.core.store import Query
from onlooker.timeline.stores.embedded.codec import COLUMNS, observation_from_row
from onlooker.timeline.stores.embedded.database import Connection, rows
from onlooker.timeline.stores.embedded.dense import DENSE_KINDS
from onlooker.timeline.stores.embedded.filters import ORDERS, conditions, last_row, pack_conditions, wanted_phrases
from onlooker.timeline.stores.embedded.packing import (
    PACK_COLUMNS,
    Key,
    packed_by_score,
    packed_in_order,
    read_pack,
)
from onlooker.timeline.stores.embedded.runs import Makers
from onlooker.timeline.words import Phrase

__all__ = ["FROM", "SELECT", "count_kinds", "find", "get", "read_row"]

_Rank: TypeAlias = tuple[float, Key]

SELECT = ", ".join(f"o.{c.strip()}" for c in COLUMNS.split(",")) + ", o.run, space.name, vector.value"
"""What `read_row` reads, of `FROM`."""

FROM = (
    "observation AS o LEFT JOIN vector ON vector.observation = o.number LEFT JOIN space ON space.number = vector.space"
)


def read_row(row: tuple[Any, ...], makers: Makers) -> Observation:
    """The observation of a row of `SELECT`."""
    *columns, run, space, vector = row
    return observation_from_row(columns, *makers.of(run), space, vector)


def _rows_in_order(
    connection: Connection, query: Query, phrases: Sequence[Phrase], makers: Makers
) -> Iterator[tuple[_Rank, Observation]]:
    where = conditions(query, phrases)
    sql = f"SELECT {SELECT}, o.source FROM {FROM} WHERE {where.sql} ORDER BY {ORDERS[query.order]} LIMIT ?"
    for row in rows(connection, sql, [*where.values, last_row(query)]):
        observation = read_row(row[:-1], makers)
        if query.span is None or query.span.overlaps(observation.span):
            key: Key = (row[-1], row[1], row[2], row[5], row[16], row[4])
            yield (_rank(query, observation.score), key), observation


def _rank(query: Query, score: float | None) -> float:
    if query.order == "time":
        return 0.0
    return math.inf if score is None else -score


def _packed(
    connection: Connection, query: Query, phrases: Sequence[Phrase], makers: Makers
) -> Iterator[tuple[_Rank, Observation]]:
    if query.kinds and not DENSE_KINDS.intersection(query.kinds):
        return
    if query.order == "time":
        for key, pack, row in packed_in_order(connection, query, phrases, makers):
            yield (0.0, key), pack.observation(row)
        return
    for rank, key, pack, row in packed_by_score(connection, query, phrases, makers):
        yield (rank, key), pack.observation(row)


def find(connection: Connection, query: Query) -> Iterator[Observation]:
    """The visible observations that fit, in order."""
    phrases = wanted_phrases(query.text)
    if phrases is None or query.limit == 0:
        return
    makers = Makers(connection)
    found = merge(
        _rows_in_order(connection, query, phrases, makers),
        _packed(connection, query, phrases, makers),
        key=lambda entry: entry[0],
    )
    stop = None if query.limit is None else query.offset + query.limit
    for _, observation in islice(found, query.offset, stop):
        yield observation


def get(connection: Connection, observation_id: str) -> Observation:
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
    makers = Makers(connection)
    made = [read_row(row, makers) for row in found]
    for row in rows(
        connection,
        f"SELECT {PACK_COLUMNS} FROM pack AS o WHERE instr(o.marks, ?)"
        " AND (SELECT visible FROM run WHERE run.number = o.run)",
        (low[:4],),
    ):
        pack = read_pack(row, makers)
        candidates = (pack.observation(r) for r in pack.pack.rows if r.mark == low[:4])
        made += [o for o in candidates if o.id.startswith(wanted)]
    if len(made) == 1:
        return made[0]
    if not made:
        raise UsageError(f"no observation has the id {observation_id!r}", hint="ids are shown by: onlooker search")
    raise UsageError(f"several observations' ids begin with {observation_id!r}", hint="give more digits")


def count_kinds(connection: Connection, source: str | None) -> Mapping[str, int]:
    """How many visible observations there are of each kind, most frequent first."""
    query = Query(sources=() if source is None else (source,))
    counts: dict[str, int] = {}
    for table, where in (("observation", conditions(query)), ("pack", pack_conditions(query))):
        amount = "sum(o.count)" if table == "pack" else "count(*)"
        sql = f"SELECT o.kind, {amount} FROM {table} AS o WHERE {where.sql} GROUP BY o.kind"
        for kind, count in rows(connection, sql, where.values):
            counts[kind] = counts.get(kind, 0) + count
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
