"""Deleting single observations, vectors and measurements for good: what is forgotten must not stay readable."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from onlooker.core.errors import StoreBusy, UsageError
from onlooker.core.measurement import Measurement, pack_measurements, unpack_measurements
from onlooker.core.store import Query
from onlooker.timeline.media import delete_media
from onlooker.timeline.stores.embedded.codec import nanoseconds, span_from_text
from onlooker.timeline.stores.embedded.database import Connection, Database, rows, translated
from onlooker.timeline.stores.embedded.dense import DENSE_KINDS
from onlooker.timeline.stores.embedded.filters import check_query, conditions, wanted_phrases
from onlooker.timeline.stores.embedded.packing import open_packs, replace_pack
from onlooker.timeline.stores.embedded.runs import Makers
from onlooker.timeline.words import Phrase

__all__ = ["edit_measurements", "erase", "erase_of", "erase_vectors", "scrub", "secure", "unnamed"]


@contextmanager
def secure(connection: Connection) -> Generator[None]:
    """Overwrite with zeros what is deleted meanwhile (https://www.sqlite.org/pragma.html#pragma_secure_delete)."""
    connection.execute("PRAGMA secure_delete=ON")
    try:
        yield
    finally:
        connection.execute("PRAGMA secure_delete=OFF")


def _checked(query: Query) -> list[Phrase] | None:
    check_query(query)
    if query.limit is not None or query.offset:
        raise UsageError("a query that erases takes no limit and no offset", hint="narrow it by span, kind or track")
    return wanted_phrases(query.text)


def erase(database: Database, folder: Path, query: Query) -> int:
    """Delete the visible observations that fit, with their vectors, words and media; returns how many."""
    phrases = _checked(query)
    with database.transaction() as connection, secure(connection):
        count, files = erase_rows(connection, query, phrases)
        if count:
            # deleted words are only marked as such until the index is merged
            for table in ("words", "pack_words"):
                connection.execute(f"INSERT INTO {table} ({table}) VALUES ('optimize')")
        kept = unnamed(connection, files)
    delete_media(folder, kept)
    return count


def erase_rows(
    connection: Connection, query: Query, phrases: Iterable[Phrase] | None = ()
) -> tuple[int, set[tuple[int, str]]]:
    """Delete within the caller's transaction; returns how many, and the files that they named with their sources."""
    if phrases is None:
        return 0, set()
    wanted = list(phrases)
    where, gone = conditions(query, wanted), list[tuple[int]]()
    files: set[tuple[int, str]] = set()
    sql = f"SELECT o.number, o.source, o.exact, o.media FROM observation AS o WHERE {where.sql}"
    for number, source, exact, media in rows(connection, sql, where.values):
        if query.span is None or query.span.overlaps(span_from_text(exact)):
            gone.append((number,))
            files.update((source, path) for path in (json.loads(media) if media else ()))
    connection.executemany("DELETE FROM vector WHERE observation = ?", gone)
    connection.executemany("DELETE FROM observation WHERE number = ?", gone)
    count = len(gone)
    if not query.kinds or DENSE_KINDS.intersection(query.kinds):
        for _, _, pack in list(open_packs(connection, query, wanted, Makers(connection))):
            fitting = set(pack.fitting(query, wanted))
            if fitting:
                before = pack.pack.rows
                replace_pack(connection, pack.number, before, [row for row in before if row not in fitting])
                count += len(fitting)
    return count, files


def erase_of(connection: Connection, source: str, query: Query | None) -> set[tuple[int, str]]:
    """Delete what fits of one source within the caller's transaction; returns the files that it named."""
    if query is None:
        return set()
    phrases = _checked(query)
    with secure(connection):
        _, files = erase_rows(connection, replace(query, sources=(source,)), phrases)
    return files


def unnamed(connection: Connection, files: Iterable[tuple[int, str]]) -> list[str]:
    """Those files that no observation of their source names any more."""
    named: dict[int, set[str]] = {}
    left: list[str] = []
    for source, path in files:
        if source not in named:
            found = rows(connection, "SELECT media FROM observation WHERE source = ? AND media IS NOT NULL", (source,))
            named[source] = {p for (media,) in found for p in json.loads(media)}
        if path not in named[source]:
            left.append(path)
    return left


def erase_vectors(database: Database, query: Query) -> int:
    """Delete the vectors of the visible observations that fit; returns how many."""
    phrases = _checked(query)
    if phrases is None:
        return 0
    where = conditions(query, phrases)
    sql = (
        "SELECT o.number, o.exact FROM vector CROSS JOIN observation AS o ON o.number = vector.observation"
        f" WHERE {where.sql}"
    )
    with database.transaction() as connection, secure(connection):
        gone = [
            (number,)
            for number, exact in rows(connection, sql, where.values)
            if query.span is None or query.span.overlaps(span_from_text(exact))
        ]
        connection.executemany("DELETE FROM vector WHERE observation = ?", gone)
    return len(gone)


def edit_measurements(
    database: Database, source: str, analyzer: str, change: Callable[[Measurement], Measurement]
) -> int:
    """Replace stored measurements by what ``change`` makes of them; returns how many became others."""
    count = 0
    with database.transaction() as connection, secure(connection):
        found = rows(
            connection,
            "SELECT measurement.number, body FROM measurement JOIN run ON run.number = run"
            " JOIN source ON source.number = run.source JOIN producer ON producer.number = run.producer"
            " WHERE source.id = ? AND NOT source.dead AND NOT run.dead AND analyzer = ?",
            (source, analyzer),
        )
        for number, body in list(found):
            before = list(unpack_measurements(body))
            after = [change(m) for m in before]
            changed = sum(a is not b for a, b in zip(before, after, strict=True))
            if not changed:
                continue
            if any(nanoseconds(a.time) != nanoseconds(b.time) for a, b in zip(before, after, strict=True)):
                raise UsageError("a measurement's time cannot be changed")
            connection.execute("UPDATE measurement SET body = ? WHERE number = ?", (pack_measurements(after), number))
            count += changed
    return count


def scrub(database: Database) -> None:
    """Rewrite the whole file, so that nothing deleted earlier stays in it or in its write-ahead log.

    Raises:
        StoreBusy: another process reads or writes the library.
    """
    for table in ("words", "pack_words"):
        with database.transaction() as connection, secure(connection):
            connection.execute(f"INSERT INTO {table} ({table}) VALUES ('optimize')")
    with database.lock, translated(database.path):
        database.drop_readers()
        list(database.writer.execute("VACUUM"))
        ((busy, _, _),) = rows(database.writer, "PRAGMA wal_checkpoint(TRUNCATE)")
    if busy:
        raise StoreBusy(
            f"{database.path} is being read by another process: what was deleted is still in its log",
            hint="close the other process and run the command again",
        )
