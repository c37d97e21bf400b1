"""Makes a library as onlooker's schema 1 did: every observation a row. Kept as it was; never change it."""

from __future__ import annotations

import json

import apsw

from onlooker.core.time import Span

SCHEMA_1 = """
CREATE TABLE source (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, info TEXT NOT NULL,
    added_ns INTEGER NOT NULL, dead INTEGER NOT NULL DEFAULT 0);
CREATE UNIQUE INDEX source_id ON source (id) WHERE NOT dead;
CREATE TABLE source_path (number INTEGER PRIMARY KEY,
    source INTEGER NOT NULL REFERENCES source ON DELETE CASCADE, path TEXT NOT NULL, UNIQUE (source, path));
CREATE TABLE file_digest (path TEXT PRIMARY KEY, size INTEGER NOT NULL, modified_ns INTEGER NOT NULL,
    source TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE producer (number INTEGER PRIMARY KEY, analyzer TEXT NOT NULL, version TEXT NOT NULL,
    config TEXT NOT NULL, bundle TEXT);
CREATE UNIQUE INDEX producer_key ON producer (analyzer, version, config, ifnull(bundle, ''), bundle IS NULL);
CREATE TABLE run (number INTEGER PRIMARY KEY AUTOINCREMENT,
    source INTEGER NOT NULL REFERENCES source ON DELETE CASCADE, producer INTEGER NOT NULL REFERENCES producer,
    position TEXT, complete INTEGER NOT NULL DEFAULT 0, frames INTEGER NOT NULL DEFAULT 0,
    seconds REAL NOT NULL DEFAULT 0, begun INTEGER NOT NULL, touched INTEGER NOT NULL, completed INTEGER,
    visible INTEGER NOT NULL DEFAULT 0, dead INTEGER NOT NULL DEFAULT 0);
CREATE UNIQUE INDEX run_key ON run (source, producer) WHERE NOT dead;
CREATE INDEX run_dead ON run (dead) WHERE dead;
CREATE TABLE clock (only INTEGER PRIMARY KEY CHECK (only = 1), commits INTEGER NOT NULL);
INSERT INTO clock VALUES (1, 0);
CREATE TABLE observation (number INTEGER PRIMARY KEY, id BLOB NOT NULL, run INTEGER NOT NULL REFERENCES run,
    source INTEGER NOT NULL, start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL, exact TEXT NOT NULL,
    ordinal INTEGER NOT NULL, kind TEXT NOT NULL, label TEXT, track TEXT, score REAL,
    box_left REAL, box_top REAL, box_right REAL, box_bottom REAL, text TEXT, data TEXT, media TEXT,
    worded INTEGER NOT NULL);
CREATE UNIQUE INDEX observation_id ON observation (id, run);
CREATE INDEX observation_run ON observation (run);
CREATE INDEX observation_time ON observation (source, start_ns);
CREATE INDEX observation_kind ON observation (kind, source, start_ns);
CREATE INDEX observation_label ON observation (label, source, start_ns) WHERE label IS NOT NULL;
CREATE INDEX observation_track ON observation (track, source, start_ns) WHERE track IS NOT NULL;
CREATE VIRTUAL TABLE words USING fts5 (tokens, content='', contentless_delete=1, tokenize='ascii');
CREATE TRIGGER observation_words AFTER DELETE ON observation WHEN old.worded BEGIN
    DELETE FROM words WHERE rowid = old.number;
END;
CREATE TABLE space (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, size INTEGER NOT NULL);
CREATE TABLE vector (observation INTEGER PRIMARY KEY REFERENCES observation ON DELETE CASCADE,
    space INTEGER NOT NULL REFERENCES space, value BLOB NOT NULL);
CREATE INDEX vector_space ON vector (space);
CREATE TABLE measurement (number INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES run, keep TEXT NOT NULL,
    first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL, count INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX measurement_time ON measurement (run, first_ns);
CREATE TABLE failure (number INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, source TEXT NOT NULL,
    stage TEXT NOT NULL, message TEXT NOT NULL, exact TEXT, analyzer TEXT, retryable INTEGER NOT NULL);
CREATE INDEX failure_source ON failure (source);
"""


def _exact(span: Span) -> str:
    (a, b), (c, d) = ((m.pts, m.time_base) for m in (span.start, span.end))
    first = f"{a} {b.numerator}/{b.denominator}"
    return f"{first} {c}" if b == d else f"{first} {c} {d.numerator}/{d.denominator}"


def make(folder, info_json, source, path, observations):
    """A library of one source and one complete producer."""
    folder.mkdir(parents=True)
    connection = apsw.Connection(str(folder / "library.sqlite"))
    connection.execute("PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL").fetchall()
    connection.execute("BEGIN")
    connection.execute(SCHEMA_1)
    connection.execute("INSERT INTO source (id, info, added_ns) VALUES (?, ?, 1)", (source, info_json))
    connection.execute("INSERT INTO source_path (source, path) VALUES (1, ?)", (path,))
    made_by = observations[0].producer
    connection.execute(
        "INSERT INTO producer (analyzer, version, config, bundle) VALUES (?, ?, ?, ?)",
        (made_by.analyzer, made_by.version, made_by.config, made_by.bundle),
    )
    connection.execute(
        "INSERT INTO run (source, producer, complete, begun, touched, completed, visible) VALUES (1, 1, 1, 1, 1, 1, 1)"
    )
    for o in observations:
        words = (o.label or "").lower()
        connection.execute(
            "INSERT INTO observation (id, run, source, start_ns, end_ns, exact, ordinal, kind, label, track, score,"
            " box_left, box_top, box_right, box_bottom, text, data, media, worded)"
            " VALUES (?, 1, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, ?)",
            (
                bytes.fromhex(o.id),
                o.span.start.nanoseconds,
                o.span.end.nanoseconds,
                _exact(o.span),
                o.ordinal,
                o.kind,
                o.label,
                o.track,
                o.score,
                *(o.box or (None,) * 4),
                o.text,
                json.dumps(dict(o.data)) if o.data else None,
                int(bool(words)),
            ),
        )
        if words:
            number = connection.last_insert_rowid()
            connection.execute("INSERT INTO words (rowid, tokens) VALUES (?, ?)", (number, words))
    connection.execute(f"PRAGMA application_id={0x4F4E4C4B}")
    connection.execute("PRAGMA user_version=1")
    connection.execute("COMMIT")
    connection.close()
