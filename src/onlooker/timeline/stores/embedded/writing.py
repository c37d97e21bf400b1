"""Committing a batch: observations, measurements, failures and states, all or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from onlooker.core.errors import UsageError
from onlooker.core.measurement import Measurement, pack_measurements, unpack_measurements
from onlooker.core.observation import Observation, Producer
from onlooker.core.store import Batch, Failure
from onlooker.timeline.stores.embedded.codec import (
    COLUMNS,
    clean,
    failure_digest,
    nanoseconds,
    observation_to_row,
    span_text,
)
from onlooker.timeline.stores.embedded.database import Connection, rows
from onlooker.timeline.stores.embedded.dense import is_dense
from onlooker.timeline.stores.embedded.packing import write_packs
from onlooker.timeline.stores.embedded.runs import open_run, set_state, settle, source_number, tick
from onlooker.timeline.words import tokens

__all__ = ["Prepared", "prepare_batch", "write_batch", "write_failures"]

_INSERT = (
    f"INSERT OR IGNORE INTO observation ({COLUMNS}, run, source, worded)"
    f" VALUES ({', '.join('?' * (COLUMNS.count(',') + 4))})"
)


@dataclass(frozen=True, slots=True)
class _Row:
    columns: tuple[Any, ...]
    words: str
    space: str | None
    vector: bytes | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch turned into columns, which is done before the library is locked."""

    batch: Batch
    rows: dict[Producer, list[_Row]]
    dense: dict[Producer, list[Observation]]


def prepare_batch(batch: Batch) -> Prepared:
    """Check and convert.

    Raises:
        UsageError: an observation is of another source, or incomplete.
    """
    made: dict[Producer, list[_Row]] = {}
    dense: dict[Producer, list[Observation]] = {}
    for observation in batch.observations:
        producer = observation.producer
        if producer is None or observation.source != batch.source:
            raise UsageError(
                f"an observation of kind {observation.kind!r} says source {observation.source!r} and producer"
                f" {producer}; expected source {batch.source!r} and a producer",
                hint="fill them in with Observation.of()",
            )
        if is_dense(observation):
            dense.setdefault(producer, []).append(observation)
        else:
            made.setdefault(producer, []).append(_row(observation))
    return Prepared(batch, made, dense)


def _row(observation: Observation) -> _Row:
    found = tokens("\n".join(part for part in (observation.text, observation.label) if part))
    vector: bytes | None = None
    if observation.vector is not None:
        values = np.asarray(observation.vector, "<f4")
        if values.ndim != 1 or not len(values):
            raise UsageError(f"vector: expected (d,) with d >= 1, got {values.shape}")
        vector = values.tobytes()
    return _Row(observation_to_row(observation), " ".join(found), observation.vector_space, vector)


def write_batch(connection: Connection, prepared: Prepared) -> list[int]:
    """Write within the caller's transaction; returns the runs that were superseded."""
    batch = prepared.batch
    write_failures(connection, batch.failures)
    states = {state.producer: state for state in batch.states}
    producers = list(dict.fromkeys([*prepared.rows, *prepared.dense, *(p for p, _, _ in batch.measurements), *states]))
    if not producers:
        return []
    source, now = source_number(connection, batch.source), tick(connection)
    runs = {producer: open_run(connection, source, producer, now) for producer in producers}
    for producer, made in prepared.rows.items():
        _write_rows(connection, source, runs[producer], made)
    for producer, observations in prepared.dense.items():
        write_packs(connection, runs[producer], source, observations)
    for producer, measurements, keep in batch.measurements:
        _write_measurements(connection, runs[producer], measurements, keep)
    completed: dict[str, list[int]] = {producer.analyzer: [] for producer in producers}
    for producer, state in states.items():
        if set_state(connection, runs[producer], state, now):
            completed[producer.analyzer].append(runs[producer])
    connection.executemany(
        "DELETE FROM measurement WHERE run = ? AND keep = 'run'"
        " AND (SELECT complete FROM run WHERE number = measurement.run)",
        [(run,) for run in runs.values()],
    )
    _drop_blobs(connection, runs.values())
    gone: list[int] = []
    for analyzer, finished in completed.items():
        gone += settle(connection, source, analyzer, finished)
    return gone


def _write_rows(connection: Connection, source: int, run: int, made: Sequence[_Row]) -> None:
    for row in made:
        connection.execute(_INSERT, (*row.columns, run, source, int(bool(row.words))))
        if not connection.changes():
            continue
        number = connection.last_insert_rowid()
        if row.words:
            connection.execute("INSERT INTO words (rowid, tokens) VALUES (?, ?)", (number, row.words))
        if row.vector is not None and row.space is not None:
            space = _space_number(connection, row.space, len(row.vector) // 4)
            connection.execute("INSERT INTO vector VALUES (?, ?, ?)", (number, space, row.vector))


def _space_number(connection: Connection, name: str, size: int) -> int:
    connection.execute("INSERT OR IGNORE INTO space (name, size) VALUES (?, ?)", (name, size))
    ((number, known),) = rows(connection, "SELECT number, size FROM space WHERE name = ?", (name,))
    if known != size:
        raise UsageError(
            f"vector of space {name!r}: expected ({known},), got ({size},)",
            hint="give the space another name when the embedding changes",
        )
    return number


def _write_measurements(connection: Connection, run: int, measurements: Iterable[Measurement], keep: str) -> None:
    """Append one chunk, leaving out the moments that are there already."""
    fresh = {m.time: m for m in measurements}
    if not fresh:
        return
    times = [nanoseconds(time) for time in fresh]
    first, last = min(times), max(times)
    overlapping = rows(
        connection,
        "SELECT body FROM measurement WHERE run = ? AND first_ns <= ? AND last_ns >= ?",
        (run, last, first),
    )
    for (body,) in list(overlapping):
        for known in unpack_measurements(body):
            fresh.pop(known.time, None)
    if not fresh:
        return
    kept = sorted(fresh.values(), key=lambda m: m.time)
    connection.execute(
        "INSERT INTO measurement (run, keep, first_ns, last_ns, count, body) VALUES (?, ?, ?, ?, ?, ?)",
        (
            run,
            keep,
            nanoseconds(kept[0].time),
            nanoseconds(kept[-1].time),
            len(kept),
            pack_measurements(kept),
        ),
    )


def _drop_blobs(connection: Connection, runs: Iterable[int]) -> None:
    """Of finished runs, keep only the values of the measurements that asked for it."""
    for run in runs:
        chunks = rows(
            connection,
            "SELECT rowid, body FROM measurement WHERE run = ? AND keep = 'values'"
            " AND (SELECT complete FROM run WHERE number = measurement.run)",
            (run,),
        )
        for number, body in list(chunks):
            bare = pack_measurements([replace(m, blob=None) for m in unpack_measurements(body)])
            connection.execute("UPDATE measurement SET body = ?, keep = 'always' WHERE rowid = ?", (bare, number))


def write_failures(connection: Connection, failures: Iterable[Failure]) -> None:
    """Record failures; the same one twice is one."""
    for failure in failures:
        safe = replace(failure, source=clean(failure.source), message=clean(failure.message))
        connection.execute(
            "INSERT OR IGNORE INTO failure (digest, source, stage, message, exact, analyzer, retryable)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                failure_digest(safe),
                safe.source,
                safe.stage,
                safe.message,
                None if safe.span is None else span_text(safe.span),
                safe.analyzer,
                int(safe.retryable),
            ),
        )
