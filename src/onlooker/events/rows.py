"""Rows of the journal's tables and what they stand for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from onlooker.core.event import Event
from onlooker.events.database import Connection
from onlooker.events.records import (
    Acknowledgement,
    EventRecord,
    Feedback,
    Mute,
    event_of,
    microseconds,
    moment,
    rank,
    text_of,
    wall_end,
)

__all__ = ["mutes", "now", "put", "records", "under_mute"]

_COLUMNS = "e.id, e.body, e.evidence, e.first_seen, e.updated, e.muted, e.acknowledged"
_AT_ONCE = 500


def now() -> int:
    """Microseconds since 1970."""
    return microseconds(datetime.now(UTC))


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def under_mute(connection: Connection, event: Event, at: int) -> bool:
    """Whether a mute is in force for the event."""
    found: Iterator[Any] = connection.execute(
        "SELECT 1 FROM mute WHERE (rule IS NULL OR rule = ?) AND (camera IS NULL OR camera = ?)"
        " AND (until IS NULL OR until > ?) LIMIT 1",
        (_plain(event.rule), _plain(event.camera), at),
    )
    return bool(list(found))


def mutes(connection: Connection, at: int, *, past: bool) -> list[Mute]:
    """The mutes in force, or all, oldest first."""
    found = connection.execute(
        "SELECT number, rule, camera, until, made, by, note FROM mute WHERE ? OR until IS NULL OR until > ?"
        " ORDER BY number",
        (past, at),
    )
    return [
        Mute(number, rule, camera, None if until is None else moment(until), moment(made), by, note)
        for number, rule, camera, until, made, by, note in found
    ]


def put(connection: Connection, event: Event, at: int, *, muted: bool) -> None:
    """Make this state the event's latest."""
    wall = at if event.wall is None else microseconds(event.wall)
    ended = wall_end(event)
    until = ended and microseconds(ended)
    if event.end is not None and until is None:
        until = at
    connection.execute(
        'INSERT INTO event(id, rule, source, camera, state, severity, number, start, "end", wall, wall_end, first_seen,'
        " updated, muted, body, evidence) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '{}')"
        " ON CONFLICT (id) DO UPDATE SET state = excluded.state, severity = excluded.severity,"
        ' number = excluded.number, start = excluded.start, "end" = excluded."end", wall_end = excluded.wall_end,'
        " updated = excluded.updated, body = excluded.body",
        (
            event.id,
            _plain(event.rule),
            event.source,
            _plain(event.camera),
            event.state,
            rank(event.severity),
            event.number,
            event.start,
            event.end,
            wall,
            until,
            at,
            at,
            muted,
            text_of(event),
        ),
    )


def records(connection: Connection, where: str, values: Sequence[Any]) -> list[EventRecord]:
    """The events of table ``event AS e`` that fulfil a condition, in its order."""
    found = list(connection.execute(f"SELECT {_COLUMNS} FROM event AS e WHERE {where}", tuple(values)))
    said: dict[str, list[Feedback]] = {}
    for start in range(0, len(found), _AT_ONCE):
        ids = [row[0] for row in found[start : start + _AT_ONCE]]
        marks = ",".join("?" * len(ids))
        sql = f"SELECT event, verdict, by, at, note FROM feedback WHERE event IN ({marks}) ORDER BY number"
        for event, verdict, by, at, note in connection.execute(sql, ids):
            said.setdefault(event, []).append(Feedback(verdict, by, moment(at), note))
    return [_record(row, said.get(row[0], [])) for row in found]


def _record(row: Sequence[Any], said: list[Feedback]) -> EventRecord:
    _, body, evidence, first, updated, muted, acknowledged = row
    seen = None
    if acknowledged is not None:
        values = json.loads(acknowledged)
        seen = Acknowledgement(values["by"], moment(values["at"]), values["note"])
    event = event_of(body, json.loads(evidence))
    return EventRecord(event, moment(first), moment(updated), bool(muted), seen, tuple(said))
