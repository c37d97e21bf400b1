"""Ranked search: words by BM25, vectors by cosine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from onlooker.core.errors import UsageError
from onlooker.core.store import Hit, Query
from onlooker.timeline.stores.embedded.database import Connection, rows
from onlooker.timeline.stores.embedded.filters import TIME_ORDER, conditions, last_row, pack_conditions, wanted_phrases
from onlooker.timeline.stores.embedded.packing import PACK_COLUMNS, read_pack
from onlooker.timeline.stores.embedded.reading import FROM, SELECT, read_row
from onlooker.timeline.stores.embedded.runs import Makers
from onlooker.timeline.words import Phrase, match_expression

__all__ = ["search_text", "search_vector"]


def _page(hits: list[Hit], query: Query) -> list[Hit]:
    return hits[query.offset : None if query.limit is None else query.offset + query.limit]


def search_text(connection: Connection, text: str, query: Query) -> list[Hit]:
    """Observations that hold all words of ``text``, best first by BM25 (Robertson and Zaragoza 2009, in FTS5)."""
    phrases = wanted_phrases(text, query.text)
    if not phrases:
        return []
    makers = Makers(connection)
    hits = merge(
        _rows(connection, phrases, query, makers), _packed(connection, phrases, query, makers), key=lambda h: -h.score
    )
    stop = None if query.limit is None else query.offset + query.limit
    return list(islice(hits, query.offset, stop))


def _rows(connection: Connection, phrases: Sequence[Phrase], query: Query, makers: Makers) -> Iterator[Hit]:
    where = conditions(query)
    sql = (
        f"SELECT {SELECT}, bm25(words) AS rank FROM words CROSS JOIN {FROM}"
        f" WHERE words MATCH ? AND o.number = words.rowid AND {where.sql} ORDER BY rank, {TIME_ORDER} LIMIT ?"
    )
    for row in rows(connection, sql, [match_expression(phrases), *where.values, last_row(query)]):
        observation = read_row(row[:-1], makers)
        if query.span is None or query.span.overlaps(observation.span):
            yield Hit(observation, -row[-1])


def _packed(connection: Connection, phrases: Sequence[Phrase], query: Query, makers: Makers) -> Iterator[Hit]:
    """All that fit in one pack have the pack's score, so that only the packs needed are opened."""
    where = pack_conditions(query)
    sql = (
        f"SELECT {PACK_COLUMNS}, bm25(pack_words) AS rank FROM pack_words CROSS JOIN pack AS o"
        f" WHERE pack_words MATCH ? AND o.number = pack_words.rowid AND {where.sql}"
        " ORDER BY rank, o.source, o.first_ns, o.number"
    )
    for row in rows(connection, sql, [match_expression(phrases), *where.values]):
        pack = read_pack(row[:-1], makers)
        for dense in pack.fitting(query, phrases):
            yield Hit(pack.observation(dense), -row[-1])


def search_vector(connection: Connection, space: str, vector: NDArray[np.float32], query: Query) -> list[Hit]:
    """Nearest vectors by cosine; every vector that passes the filters is compared, so nothing is missed.

    Raises:
        UsageError: the vector does not fit the space.
    """
    wanted = np.asarray(vector, "<f4")
    found = list(rows(connection, "SELECT number, size FROM space WHERE name = ?", (space,)))
    if wanted.ndim != 1 or (found and found[0][1] != len(wanted)):
        expected = found[0][1] if found else "d"
        raise UsageError(f"vector of space {space!r}: expected ({expected},), got {wanted.shape}")
    if not np.isfinite(wanted).all():
        raise UsageError(f"vector of space {space!r}: expected finite values")
    phrases = wanted_phrases(query.text)
    if not found or phrases is None or not wanted.any():
        return []
    where, makers = conditions(query, phrases), Makers(connection)
    # the distances alone are sorted; whole rows are read of the best only
    sql = (
        "SELECT o.number, vec_distance_cosine(vector.value, ?) AS distance"
        " FROM vector CROSS JOIN observation AS o ON o.number = vector.observation"
        f" WHERE vector.space = ? AND {where.sql} ORDER BY distance NULLS LAST, {TIME_ORDER} LIMIT ?"
    )
    hits: list[Hit] = []
    for number, distance in rows(connection, sql, [wanted.tobytes(), found[0][0], *where.values, last_row(query)]):
        if distance is None:  # a vector of zeros is like nothing
            break
        (row,) = rows(connection, f"SELECT {SELECT} FROM {FROM} WHERE o.number = ?", (number,))
        observation = read_row(row, makers)
        if query.span is None or query.span.overlaps(observation.span):
            hits.append(Hit(observation, 1.0 - distance))
            if query.limit is not None and len(hits) >= query.offset + query.limit:
                break
    return _page(hits, query)
