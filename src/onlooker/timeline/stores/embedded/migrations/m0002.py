"""Schema 2: dense observations (a box in every frame) are packed; see docs/decisions/0002-dense-observations.md."""

from __future__ import annotations

from onlooker.core.observation import Observation
from onlooker.timeline.stores.embedded.codec import COLUMNS, observation_from_row
from onlooker.timeline.stores.embedded.database import Connection, rows
from onlooker.timeline.stores.embedded.dense import is_dense
from onlooker.timeline.stores.embedded.packing import write_packs
from onlooker.timeline.stores.embedded.runs import Makers

__all__ = ["apply"]

_TABLES = """
CREATE TABLE pack (
    number    INTEGER PRIMARY KEY,
    run       INTEGER NOT NULL REFERENCES run,
    source    INTEGER NOT NULL,
    kind      TEXT NOT NULL,
    track     TEXT,
    slot      INTEGER NOT NULL,            -- which stretch of time
    first_ns  INTEGER NOT NULL,            -- earliest start and latest end in it
    last_ns   INTEGER NOT NULL,
    count     INTEGER NOT NULL,
    max_score REAL,
    worded    INTEGER NOT NULL,            -- whether `pack_words` has a row
    marks     BLOB NOT NULL,               -- first four bytes of each observation's id
    body      BLOB NOT NULL                -- see dense
);
CREATE UNIQUE INDEX pack_key ON pack (run, kind, slot, ifnull(track, ''), track IS NULL);
CREATE INDEX pack_time ON pack (source, first_ns);
CREATE INDEX pack_kind ON pack (kind, source, first_ns);
CREATE INDEX pack_track ON pack (track, source, first_ns) WHERE track IS NOT NULL;

-- the tokens of all texts and labels in a pack
CREATE VIRTUAL TABLE pack_words USING fts5 (tokens, content='', contentless_delete=1, tokenize='ascii');
CREATE TRIGGER pack_words_gone AFTER DELETE ON pack WHEN old.worded BEGIN
    DELETE FROM pack_words WHERE rowid = old.number;
END;
"""

_SLICE = 20_000
_DENSE = ("motion", "object")
"""The kinds that were dense at the time; a library of schema 1 holds no later ones."""


def apply(connection: Connection) -> None:
    """Make the tables and move dense rows into packs."""
    connection.execute(_TABLES)
    kinds = ", ".join(f"'{kind}'" for kind in _DENSE)
    makers, after = Makers(connection), 0
    while True:
        found = list(
            rows(
                connection,
                f"SELECT {COLUMNS}, run, source, number FROM observation"
                f" WHERE kind IN ({kinds}) AND media IS NULL AND number > ?"
                " AND number NOT IN (SELECT observation FROM vector) ORDER BY number LIMIT ?",
                (after, _SLICE),
            )
        )
        if not found:
            return
        moved: dict[tuple[int, int], list[Observation]] = {}
        gone: list[tuple[int]] = []
        for *columns, run, source, number in found:
            after = number
            observation = observation_from_row(columns, *makers.of(run))
            if is_dense(observation):
                moved.setdefault((run, source), []).append(observation)
                gone.append((number,))
        for (run, source), observations in moved.items():
            write_packs(connection, run, source, observations)
        connection.executemany("DELETE FROM observation WHERE number = ?", gone)
