"""Schema 1: events, their states, what waits to be told, and what people said of them.

Times of a source are nanoseconds, wall times microseconds since 1970 (UTC). ``state.body`` is the event as it was told;
``event.body`` the latest one. A row of ``message`` is one state that one sink has yet to be told.
"""

from __future__ import annotations

from onlooker.events.database import Connection

__all__ = ["apply"]

_TABLES = """
CREATE TABLE event (
    id TEXT PRIMARY KEY,
    rule TEXT NOT NULL, source TEXT NOT NULL, camera TEXT NOT NULL,
    state TEXT NOT NULL, severity INTEGER NOT NULL, number INTEGER NOT NULL,
    start INTEGER NOT NULL, "end" INTEGER,
    wall INTEGER NOT NULL, wall_end INTEGER,
    first_seen INTEGER NOT NULL, updated INTEGER NOT NULL,
    muted INTEGER NOT NULL,
    body TEXT NOT NULL, evidence TEXT NOT NULL,
    acknowledged TEXT);
CREATE INDEX event_wall ON event(wall);
CREATE INDEX event_open ON event(source) WHERE state != 'end';
CREATE TABLE state (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    event TEXT NOT NULL REFERENCES event(id) ON DELETE CASCADE,
    number INTEGER NOT NULL, body TEXT NOT NULL,
    UNIQUE (event, number));
CREATE TABLE message (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    sink TEXT NOT NULL,
    event TEXT NOT NULL REFERENCES event(id) ON DELETE CASCADE,
    ordinal INTEGER NOT NULL, state TEXT NOT NULL,
    made INTEGER NOT NULL, due INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, batch INTEGER,
    dead INTEGER, error TEXT,
    UNIQUE (sink, event, ordinal));
CREATE INDEX message_due ON message(sink, due) WHERE dead IS NULL;
CREATE INDEX message_event ON message(event);
CREATE INDEX message_dead ON message(dead) WHERE dead IS NOT NULL;
CREATE TABLE sink (
    name TEXT PRIMARY KEY, kind TEXT NOT NULL,
    delivered INTEGER NOT NULL DEFAULT 0, coalesced INTEGER NOT NULL DEFAULT 0,
    last_success INTEGER, last_error TEXT, last_failure INTEGER);
CREATE TABLE mute (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    rule TEXT, camera TEXT, until INTEGER, made INTEGER NOT NULL, by TEXT NOT NULL, note TEXT NOT NULL);
CREATE TABLE feedback (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    event TEXT NOT NULL REFERENCES event(id) ON DELETE CASCADE,
    verdict TEXT NOT NULL, by TEXT NOT NULL, note TEXT NOT NULL, at INTEGER NOT NULL);
CREATE INDEX feedback_event ON feedback(event);
"""


def apply(connection: Connection) -> None:
    """Make the tables."""
    list(connection.execute(_TABLES))
