"""Writing dense observations into their packs, and reading them out one by one, in order, filtered."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush, nsmallest
from typing import Any, TypeAlias

import numpy as np

from onlooker.core.observation import Observation, Producer
from onlooker.core.store import Query
from onlooker.timeline.stores.embedded.codec import clean, nanoseconds
from onlooker.timeline.stores.embedded.database import Connection, rows
from onlooker.timeline.stores.embedded.dense import WINDOW_NS, DenseRow, Pack, dense_row, pack_rows, unpack_rows
from onlooker.timeline.stores.embedded.filters import Conditions, pack_conditions
from onlooker.timeline.stores.embedded.runs import Makers
from onlooker.timeline.words import Phrase, matches, tokens

__all__ = [
    "PACK_COLUMNS",
    "Key",
    "OpenPack",
    "open_packs",
    "packed_by_score",
    "packed_in_order",
    "read_pack",
    "replace_pack",
    "write_packs",
]

Key: TypeAlias = tuple[int, int, int, str, int, int]
"""What the order ``time`` sorts by: source, start_ns, end_ns, kind, run, ordinal."""

PACK_COLUMNS = "o.number, o.run, o.source, o.kind, o.track, o.first_ns, o.marks, o.body"


# -- writing --


def write_packs(connection: Connection, run: int, source: int, observations: Iterable[Observation]) -> None:
    """Add dense observations of one run to their packs; those that are there already change nothing."""
    places: dict[tuple[str, str | None, int], list[DenseRow]] = {}
    for observation in observations:
        row = dense_row(observation)
        track = None if observation.track is None else clean(observation.track)
        places.setdefault((observation.kind, track, row.start_ns // WINDOW_NS), []).append(row)
    for (kind, track, slot), fresh in places.items():
        _merge(connection, run, source, (kind, track, slot), fresh)


def _identity(rows_of: Sequence[DenseRow]) -> Callable[[DenseRow], tuple[Any, ...]]:
    """What tells the observations of one pack apart: exact span and ordinal."""
    if len({b for row in rows_of for b in (row.start_base, row.end_base)}) == 1:
        return lambda row: (row.start, row.end, row.ordinal)
    return lambda row: (row.start * row.start_base, row.end * row.end_base, row.ordinal)


def _merge(
    connection: Connection, run: int, source: int, place: tuple[str, str | None, int], fresh: list[DenseRow]
) -> None:
    kind, track, slot = place
    known = list(
        rows(
            connection,
            "SELECT number, marks, body FROM pack WHERE run = ? AND kind = ? AND track IS ? AND slot = ?",
            (run, kind, track, slot),
        )
    )
    before = unpack_rows(known[0][2], known[0][1]).rows if known else []
    identity = _identity([*before, *fresh])
    # the first one written stays, as it does with rows
    merged = {identity(row): row for row in reversed([*before, *fresh])}
    if len(merged) == len(before):
        return
    kept = sorted(merged.values(), key=lambda row: (row.start_ns, row.end_ns, row.ordinal))
    if known:
        replace_pack(connection, known[0][0], before, kept)
        return
    words = _words(kept)
    connection.execute(
        "INSERT INTO pack (first_ns, last_ns, count, max_score, worded, marks, body,"
        " run, source, kind, track, slot) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*_columns(kept, words), run, source, kind, track, slot),
    )
    if words:
        number = connection.last_insert_rowid()
        connection.execute("INSERT INTO pack_words (rowid, tokens) VALUES (?, ?)", (number, words))


def replace_pack(connection: Connection, number: int, before: Sequence[DenseRow], kept: Sequence[DenseRow]) -> None:
    """Give a pack that held ``before`` other rows, in their order; without rows it is deleted."""
    if not kept:
        connection.execute("DELETE FROM pack WHERE number = ?", (number,))
        return
    old_words, words = _words(before), _words(kept)
    connection.execute(
        "UPDATE pack SET first_ns = ?, last_ns = ?, count = ?, max_score = ?, worded = ?, marks = ?, body = ?"
        " WHERE number = ?",
        (*_columns(kept, words), number),
    )
    if words == old_words:
        return
    if old_words:
        connection.execute("DELETE FROM pack_words WHERE rowid = ?", (number,))
    if words:
        connection.execute("INSERT INTO pack_words (rowid, tokens) VALUES (?, ?)", (number, words))


def _columns(kept: Sequence[DenseRow], words: str) -> tuple[Any, ...]:
    """What a pack's row in the table says of its observations."""
    return (
        kept[0].start_ns,
        max(row.end_ns for row in kept),
        len(kept),
        max((row.score for row in kept if row.score is not None), default=None),
        int(bool(words)),
        b"".join(row.mark for row in kept),
        pack_rows(kept),
    )


def _words(rows_of: Iterable[DenseRow]) -> str:
    texts = dict.fromkeys((row.text, row.label) for row in rows_of)
    return " ".join(token for text, label in texts for token in tokens("\n".join(p for p in (text, label) if p)))


# -- reading --


@dataclass
class OpenPack:
    """A pack that was unpacked, and what all in it share."""

    number: int
    run: int
    source: int
    kind: str
    track: str | None
    pack: Pack
    maker: tuple[str, Producer]

    def key(self, row: DenseRow) -> Key:
        """The sort key of one of its rows."""
        return (self.source, row.start_ns, row.end_ns, self.kind, self.run, row.ordinal)

    def observation(self, row: DenseRow) -> Observation:
        """The observation of one of its rows."""
        return row.observation(*self.maker, self.kind, self.track)

    def fitting(self, query: Query, phrases: Sequence[Phrase]) -> Iterator[DenseRow]:
        """Its rows that fit the conditions that a pack as a whole cannot answer."""
        keep = np.ones(self.pack.count, bool)
        if query.labels:
            allowed = {clean(label) for label in query.labels}
            indexes = [i for i, label in enumerate(self.pack.labels) if label in allowed]
            keep &= np.isin(self.pack.label_index, indexes)
        # comparing with NaN is false, as it is with NULL
        if query.min_score is not None:
            keep &= self.pack.score >= query.min_score
        if query.max_score is not None:
            keep &= self.pack.score <= query.max_score
        if not keep.any():
            return
        said: dict[tuple[str | None, str | None], bool] = {}
        for index in np.flatnonzero(keep).tolist():
            row = self.pack.rows[index]
            if query.span is not None and not _overlaps(query, row):
                continue
            if phrases:
                key = (row.text, row.label)
                if key not in said:
                    said[key] = matches(phrases, tokens("\n".join(part for part in key if part)))
                if not said[key]:
                    continue
            yield row


def _overlaps(query: Query, row: DenseRow) -> bool:
    assert query.span is not None
    if row.start_ns > nanoseconds(query.span.end) or row.end_ns < nanoseconds(query.span.start):
        return False
    return query.span.overlaps(row.span)


def read_pack(row: Sequence[Any], makers: Makers) -> OpenPack:
    """The pack of a row of `PACK_COLUMNS`."""
    number, run, source, kind, track, _, marks, body = row
    return OpenPack(number, run, source, kind, track, unpack_rows(body, marks), makers.of(run))


def open_packs(
    connection: Connection, query: Query, phrases: Sequence[Phrase], makers: Makers
) -> Iterator[tuple[int, int, OpenPack]]:
    """Packs that may hold what fits, by source and earliest start, which come with them."""
    where: Conditions = pack_conditions(query, phrases)
    sql = f"SELECT {PACK_COLUMNS} FROM pack AS o WHERE {where.sql} ORDER BY o.source, o.first_ns, o.number"
    for row in rows(connection, sql, where.values):
        yield row[2], row[5], read_pack(row, makers)


def packed_by_score(
    connection: Connection, query: Query, phrases: Sequence[Phrase], makers: Makers
) -> list[tuple[float, Key, OpenPack, DenseRow]]:
    """What fits, best first, with the negated score (infinite for none); only what the limit needs."""
    where: Conditions = pack_conditions(query, phrases)
    sql = f"SELECT {PACK_COLUMNS}, o.max_score FROM pack AS o WHERE {where.sql} ORDER BY o.max_score DESC NULLS LAST"
    need = None if query.limit is None else query.offset + query.limit
    found: list[tuple[float, Key, OpenPack, DenseRow]] = []
    floor = query.min_score

    def place(entry: tuple[float, Key, OpenPack, DenseRow]) -> tuple[float, Key]:
        return entry[0], entry[1]

    for *row, best in rows(connection, sql, where.values):
        if floor is not None and (best is None or best < floor):
            break
        pack = read_pack(row, makers)
        for dense in pack.fitting(replace(query, min_score=floor), phrases):
            rank = math.inf if dense.score is None else -dense.score
            found.append((rank, pack.key(dense), pack, dense))
        if need and len(found) > 2 * need:
            found = nsmallest(need, found, key=place)
            if found[-1][0] != math.inf:
                floor = -found[-1][0]
    return sorted(found, key=place)


def packed_in_order(
    connection: Connection, query: Query, phrases: Sequence[Phrase], makers: Makers
) -> Iterator[tuple[Key, OpenPack, DenseRow]]:
    """What fits, in order of time, with no more packs open than overlap in time."""
    waiting: list[tuple[Key, int, DenseRow, OpenPack, Iterator[DenseRow]]] = []

    def push(pack: OpenPack, left: Iterator[DenseRow]) -> None:
        row = next(left, None)
        if row is not None:
            heappush(waiting, (pack.key(row), pack.number, row, pack, left))

    def pop() -> tuple[Key, OpenPack, DenseRow]:
        key, _, row, pack, left = heappop(waiting)
        push(pack, left)
        return key, pack, row

    for source, first, pack in open_packs(connection, query, phrases, makers):
        while waiting and waiting[0][0][:2] < (source, first):
            yield pop()
        push(pack, pack.fitting(query, phrases))
    while waiting:
        yield pop()
