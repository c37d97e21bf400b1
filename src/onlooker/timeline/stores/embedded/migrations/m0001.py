"""Schema 1: sources, producers' runs, observations, words, vectors, measurements, failures."""

from __future__ import annotations

from onlooker.timeline.stores.embedded.database import Connection

__all__ = ["apply"]

_TABLES = """
CREATE TABLE source (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT NOT NULL,
    info     TEXT NOT NULL,               -- JSON, see codec
    added_ns INTEGER NOT NULL,            -- wall clock
    dead     INTEGER NOT NULL DEFAULT 0   -- removed; its rows are being deleted in slices
);
CREATE UNIQUE INDEX source_id ON source (id) WHERE NOT dead;

CREATE TABLE source_path (
    number INTEGER PRIMARY KEY,
    source INTEGER NOT NULL REFERENCES source ON DELETE CASCADE,
    path   TEXT NOT NULL,
    UNIQUE (source, path)
);

CREATE TABLE file_digest (
    path        TEXT PRIMARY KEY,
    size        INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL,
    source      TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE producer (
    number   INTEGER PRIMARY KEY,
    analyzer TEXT NOT NULL,
    version  TEXT NOT NULL,
    config   TEXT NOT NULL,
    bundle   TEXT
);
CREATE UNIQUE INDEX producer_key ON producer (analyzer, version, config, ifnull(bundle, ''), bundle IS NULL);

-- one producer on one source
CREATE TABLE run (
    number    INTEGER PRIMARY KEY AUTOINCREMENT,
    source    INTEGER NOT NULL REFERENCES source ON DELETE CASCADE,
    producer  INTEGER NOT NULL REFERENCES producer,
    position  TEXT,                        -- exact time, see codec
    complete  INTEGER NOT NULL DEFAULT 0,
    frames    INTEGER NOT NULL DEFAULT 0,
    seconds   REAL NOT NULL DEFAULT 0,
    begun     INTEGER NOT NULL,            -- the three: counts of commits, to tell older from newer
    touched   INTEGER NOT NULL,
    completed INTEGER,
    visible   INTEGER NOT NULL DEFAULT 0,
    dead      INTEGER NOT NULL DEFAULT 0   -- discarded or superseded; its rows are being deleted in slices
);
CREATE UNIQUE INDEX run_key ON run (source, producer) WHERE NOT dead;
CREATE INDEX run_dead ON run (dead) WHERE dead;

CREATE TABLE clock (only INTEGER PRIMARY KEY CHECK (only = 1), commits INTEGER NOT NULL);
INSERT INTO clock VALUES (1, 0);

CREATE TABLE observation (
    number   INTEGER PRIMARY KEY,
    id       BLOB NOT NULL,
    run      INTEGER NOT NULL REFERENCES run,
    source   INTEGER NOT NULL,
    start_ns INTEGER NOT NULL,             -- rounded down, for the indexes; `exact` has the truth
    end_ns   INTEGER NOT NULL,
    exact    TEXT NOT NULL,
    ordinal  INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    label    TEXT,
    track    TEXT,
    score    REAL,
    box_left REAL, box_top REAL, box_right REAL, box_bottom REAL,
    text     TEXT,
    data     TEXT,                         -- JSON object, NULL if empty
    media    TEXT,                         -- JSON list, NULL if empty
    worded   INTEGER NOT NULL              -- whether `words` has a row
);
CREATE UNIQUE INDEX observation_id ON observation (id, run);
CREATE INDEX observation_run ON observation (run);
CREATE INDEX observation_time ON observation (source, start_ns);
CREATE INDEX observation_kind ON observation (kind, source, start_ns);
CREATE INDEX observation_label ON observation (label, source, start_ns) WHERE label IS NOT NULL;
CREATE INDEX observation_track ON observation (track, source, start_ns) WHERE track IS NOT NULL;

-- tokens made by onlooker.timeline.words, parted by blanks; `ascii` leaves them as they are
CREATE VIRTUAL TABLE words USING fts5 (tokens, content='', contentless_delete=1, tokenize='ascii');
CREATE TRIGGER observation_words AFTER DELETE ON observation WHEN old.worded BEGIN
    DELETE FROM words WHERE rowid = old.number;
END;

CREATE TABLE space (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, size INTEGER NOT NULL);
CREATE TABLE vector (
    observation INTEGER PRIMARY KEY REFERENCES observation ON DELETE CASCADE,
    space       INTEGER NOT NULL REFERENCES space,
    value       BLOB NOT NULL              -- float32, little endian
);
CREATE INDEX vector_space ON vector (space);

CREATE TABLE measurement (
    number   INTEGER PRIMARY KEY,
    run      INTEGER NOT NULL REFERENCES run,
    keep     TEXT NOT NULL,
    first_ns INTEGER NOT NULL,
    last_ns  INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    body     BLOB NOT NULL
);
CREATE INDEX measurement_time ON measurement (run, first_ns);

CREATE TABLE failure (
    number    INTEGER PRIMARY KEY,
    digest    BLOB NOT NULL UNIQUE,
    source    TEXT NOT NULL,
    stage     TEXT NOT NULL,
    message   TEXT NOT NULL,
    exact     TEXT,
    analyzer  TEXT,
    retryable INTEGER NOT NULL
);
CREATE INDEX failure_source ON failure (source);
"""


def apply(connection: Connection) -> None:
    """Make the tables."""
    connection.execute(_TABLES)
