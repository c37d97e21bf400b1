"""Reading measurements back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import merge
from typing import Any

from onlooker.core.measurement import Measurement, unpack_measurements
from onlooker.core.observation import Producer
from onlooker.core.time import Span
from onlooker.timeline.stores.embedded.codec import nanoseconds
from onlooker.timeline.stores.embedded.database import Database, rows
from onlooker.timeline.stores.embedded.runs import find_run

__all__ = ["stored_measurements"]

_AHEAD_BYTES = 16 << 20
"""Bytes that are read before the first is given out."""


def stored_measurements(
    database: Database, source: str, producer: Producer, span: Span | None
) -> Iterator[Measurement]:
    """A producer's measurements of a source in order of time; of ``span``, those whose time lies in it."""
    with database.snapshot() as connection:
        run = find_run(connection, source, producer)
        if run is None:
            return
        where, values = "run = ?", list[Any]([run])
        if span is not None:
            where += " AND first_ns <= ? AND last_ns >= ?"
            values += [nanoseconds(span.end), nanoseconds(span.start)]
        ((size,),) = rows(connection, f"SELECT ifnull(sum(length(body)), 0) FROM measurement WHERE {where}", values)
        sql = f"SELECT first_ns, last_ns, body FROM measurement WHERE {where} ORDER BY first_ns, number"
        chunks = rows(connection, sql, values)
        if size > _AHEAD_BYTES:
            yield from _within(_in_order(chunks), span)
            return
        held = list(chunks)
    yield from _within(_in_order(held), span)


def _within(measurements: Iterable[Measurement], span: Span | None) -> Iterator[Measurement]:
    return (m for m in measurements if span is None or span.contains(m.time))


def _in_order(chunks: Iterable[tuple[Any, ...]]) -> Iterator[Measurement]:
    """The measurements of chunks that come by their first time, and may overlap."""
    together: list[Iterable[Measurement]] = []
    reach: int | None = None
    for first, last, body in chunks:
        if reach is not None and first > reach:
            yield from _merged(together)
            together, reach = [], None
        together.append(unpack_measurements(body))
        reach = last if reach is None else max(reach, last)
    yield from _merged(together)


def _merged(together: list[Iterable[Measurement]]) -> Iterator[Measurement]:
    return merge(*together, key=lambda m: m.time) if len(together) > 1 else iter(*together or [()])
