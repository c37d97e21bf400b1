"""Removing: runs, sources, what is too old or too much; in slices, so that others can write in between."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import apsw

from onlooker.core.errors import StoreBusy
from onlooker.timeline.media import delete_media, media_bytes, remove_media
from onlooker.timeline.stores.embedded.database import Connection, Database, rows, translated
from onlooker.timeline.stores.embedded.runs import kill_runs

__all__ = ["database_bytes", "kill_source", "optimize", "purge", "retain", "shrink"]

SLICE = 1000
"""Rows deleted in one transaction: some 15 ms, in which other writers wait."""

_WEIGHTS = {"measurement": 20, "pack": 4, "observation": 1}
"""The tables of a run's rows, and how many rows of the last one of theirs is worth."""


def _media_of(connection: Connection, condition: str, value: int) -> set[str]:
    found = rows(connection, f"SELECT media FROM observation WHERE {condition} AND media IS NOT NULL", (value,))
    return {path for (media,) in found for path in json.loads(media)}


def _purge_run(database: Database, folder: Path, run: int) -> None:
    with database.snapshot() as connection:
        known = list(rows(connection, "SELECT source FROM run WHERE number = ?", (run,)))
        if not known:
            return  # another process was faster
        source = known[0][0]
        files = _media_of(connection, "run = ?", run)
        if files:
            files -= _media_of(connection, f"run <> {run:d} AND source = ?", source)
    for table, weight in _WEIGHTS.items():
        more = True
        while more:
            with database.transaction() as connection:
                connection.execute(
                    f"DELETE FROM {table} WHERE number IN (SELECT number FROM {table} WHERE run = ? LIMIT ?)",
                    (run, max(1, SLICE // weight)),
                )
                more = connection.changes() > 0
            if more:
                _checkpoint(database, "PASSIVE")
    # the files go before the run, so that a kill in between leaves the run to be purged again
    delete_media(folder, files)
    with database.transaction() as connection:
        connection.execute("DELETE FROM run WHERE number = ?", (run,))


def purge(database: Database, folder: Path) -> None:
    """Delete the rows and media of all that was given up, here or by a process that was killed at it."""
    with database.snapshot() as connection:
        runs = [n for (n,) in rows(connection, "SELECT number FROM run WHERE dead")]
        sources = list(rows(connection, "SELECT number, id FROM source WHERE dead"))
    # media first: they are most of the bytes, and a full disk needs some for the rest
    for _, identity in sources:
        if not database.fetch("SELECT 1 FROM source WHERE id = ? AND NOT dead", (identity,)):
            remove_media(folder, identity)
    for run in runs:
        _purge_run(database, folder, run)
    for number, _ in sources:
        with database.transaction() as connection:
            connection.execute("DELETE FROM source WHERE number = ?", (number,))


def _checkpoint(database: Database, mode: str) -> None:
    """Move the write-ahead log into the database as far as readers allow, so that deleting needs little space."""
    with database.lock, translated(database.path), contextlib.suppress(apsw.BusyError, apsw.LockedError):
        list(database.writer.execute(f"PRAGMA wal_checkpoint({mode})"))


def kill_source(connection: Connection, source: int) -> None:
    """From this transaction on the source is gone for every reader."""
    ((identity,),) = rows(connection, "SELECT id FROM source WHERE number = ?", (source,))
    kill_runs(connection, [n for (n,) in list(rows(connection, "SELECT number FROM run WHERE source = ?", (source,)))])
    connection.execute("UPDATE source SET dead = 1 WHERE number = ?", (source,))
    connection.execute("DELETE FROM failure WHERE source = ?", (identity,))
    connection.execute("DELETE FROM file_digest WHERE source = ?", (identity,))


def database_bytes(connection: Connection) -> int:
    """What the rows take, free pages not counted."""
    ((size,),) = rows(connection, "PRAGMA page_size")
    ((pages,),) = rows(connection, "PRAGMA page_count")
    ((free,),) = rows(connection, "PRAGMA freelist_count")
    return size * (pages - free)


def shrink(database: Database, least_bytes: int = 0) -> None:
    """Give free pages back to the disk, in slices, and empty the write-ahead log as far as readers allow.

    Args:
        database: the open database.
        least_bytes: do nothing where less than this is free.
    """
    with database.lock, translated(database.path):
        connection = database.writer
        ((size,),) = rows(connection, "PRAGMA page_size")
        ((pages,),) = rows(connection, "PRAGMA freelist_count")
        if size * pages < least_bytes:
            return
        left = -1
        while True:
            ((free,),) = rows(connection, "PRAGMA freelist_count")
            if not free or free == left:
                break
            left = free
            list(connection.execute("PRAGMA incremental_vacuum(2000)"))
    _checkpoint(database, "TRUNCATE")


def optimize(database: Database) -> None:
    """Merge the word indexes, which drops the marks that deleted words leave behind."""
    for table in ("words", "pack_words"):
        with database.transaction() as connection:
            connection.execute(f"INSERT INTO {table} ({table}) VALUES ('optimize')")


def _shares(connection: Connection) -> dict[int, int]:
    """About how the rows' bytes fall to the sources."""
    shares = {number: 1 for (number,) in rows(connection, "SELECT number FROM source WHERE NOT dead")}
    for sql in (
        "SELECT source, 250 * count(*) + sum(ifnull(length(text), 0) + ifnull(length(data), 0))"
        " FROM observation GROUP BY source",
        "SELECT source, sum(length(value)) FROM vector JOIN observation ON number = observation GROUP BY source",
        "SELECT source, sum(length(body) + length(marks)) + 200 * count(*) FROM pack GROUP BY source",
        "SELECT source, sum(length(body)) FROM measurement JOIN run ON run.number = run GROUP BY source",
    ):
        for source, size in rows(connection, sql):
            if source in shares:
                shares[source] += size
    return shares


def _too_much(database: Database, folder: Path, max_bytes: int) -> list[int]:
    """The oldest sources without which the rest probably fits."""
    with database.snapshot() as connection:
        used, shares = database_bytes(connection), _shares(connection)
        aged = list(rows(connection, "SELECT number, id FROM source WHERE NOT dead ORDER BY added_ns, number"))
    media = {number: media_bytes(folder, identity) for number, identity in aged}
    total, whole = used + sum(media.values()), max(1, sum(shares.values()))
    chosen: list[int] = []
    for number, _ in aged:
        if total <= max_bytes:
            break
        chosen.append(number)
        total -= media[number] + used * shares[number] // whole
    return chosen


def _remove(database: Database, folder: Path, sources: Iterable[int]) -> int:
    count = 0
    with database.transaction() as connection:
        for number in sources:
            kill_source(connection, number)
            count += 1
    purge(database, folder)
    return count


def retain(database: Database, folder: Path, older_than: Fraction | None, max_bytes: int | None) -> int:
    """Delete sources added longer ago than ``older_than`` seconds, then the oldest until the rest fits.

    A camera goes on for good: by age only what watches it deletes what it saw.
    """
    count = 0
    if older_than is not None:
        limit = time.time_ns() - int(older_than * 1_000_000_000)
        aged = "added_ns < ? AND json_extract(info, '$.container') <> 'live'"
        old = database.fetch(f"SELECT number FROM source WHERE NOT dead AND {aged}", (limit,))
        count += _remove(database, folder, [n for (n,) in old])
    while max_bytes is not None:
        chosen = _too_much(database, folder, max_bytes)
        if not chosen:
            break
        count += _remove(database, folder, chosen)
        optimize(database)
    if count:
        with contextlib.suppress(StoreBusy):
            shrink(database)
    return count
