"""What the journal gives and is asked, and how events become text without losing anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from onlooker.core.errors import UsageError
from onlooker.core.event import Event, State
from onlooker.core.observation import Box, Json, finite
from onlooker.core.time import Span

__all__ = [
    "SEVERITIES",
    "Acknowledgement",
    "DeadLetter",
    "EventQuery",
    "EventRecord",
    "Feedback",
    "Mute",
    "SinkStatus",
    "Verdict",
    "event_of",
    "microseconds",
    "moment",
    "rank",
    "text_of",
    "wall_end",
]

SEVERITIES = ("info", "low", "medium", "high", "critical")
"""From least to most."""

Verdict = Literal["right", "wrong"]


def rank(severity: str) -> int:
    """How severe, from 0.

    Raises:
        UsageError: there is no such severity.

    >>> rank("high") > rank("low")
    True
    """
    if severity not in SEVERITIES:
        raise UsageError(f"no severity is called {severity!r}", hint=f"one of {', '.join(SEVERITIES)}")
    return SEVERITIES.index(severity)


def microseconds(at: datetime) -> int:
    """Microseconds since 1970, exactly; a time without zone is UTC.

    >>> moment(microseconds(datetime(2026, 5, 1, 8, 0, 0, 1, UTC))).isoformat()
    '2026-05-01T08:00:00.000001+00:00'
    """
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def moment(at: int) -> datetime:
    """The wall time of microseconds since 1970, in UTC."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)


def wall_end(event: Event) -> datetime | None:
    """Wall time of the end, where both are known."""
    if event.wall is None or event.end is None:
        return None
    # over UTC: wall times of one zone are added to without their offsets
    return (event.wall.astimezone(UTC) + timedelta(microseconds=(event.end - event.start) // 1000)).astimezone(
        event.wall.tzinfo
    )


def text_of(event: Event) -> str:
    """The event as JSON, all of it: times in whole nanoseconds, the wall time's zone by name."""
    zone = event.wall.tzinfo if event.wall else None
    values: dict[str, Any] = {
        "id": event.id,
        "rule": event.rule,
        "source": event.source,
        "camera": event.camera,
        "state": event.state,
        "number": event.number,
        "start": event.start,
        "end": event.end,
        "severity": event.severity,
        "score": finite(event.score),
        "label": event.label,
        "box": None if event.box is None else [*event.box],
        "tracks": [*event.tracks],
        "data": finite(dict(event.data)),
        "observations": [*event.observations],
        "evidence": finite(dict(event.evidence)),
        "wall": None if event.wall is None else event.wall.isoformat(),
        "zone": zone.key if isinstance(zone, ZoneInfo) else None,
        "channels": [*event.channels],
    }
    return json.dumps(values, allow_nan=False)


def event_of(text: str, evidence: Mapping[str, Json] | None = None) -> Event:
    """The event that `text_of` wrote, with what was attached to its evidence since."""
    values: dict[str, Any] = json.loads(text)
    wall = None if values["wall"] is None else datetime.fromisoformat(values["wall"])
    zone = values.pop("zone")
    if wall is not None and zone is not None:
        wall = wall.astimezone(ZoneInfo(zone))
    return Event(
        **{
            **values,
            "wall": wall,
            "box": None if values["box"] is None else Box(*values["box"]),
            "tracks": tuple(values["tracks"]),
            "observations": tuple(values["observations"]),
            "channels": tuple(values["channels"]),
            "evidence": {**values["evidence"], **(evidence or {})},
        }
    )


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Who has seen an event, and when."""

    by: str
    at: datetime
    note: str = ""

    def as_dict(self) -> dict[str, Json]:
        """The JSON form."""
        return {"by": self.by, "at": self.at.isoformat(), "note": self.note}


@dataclass(frozen=True, slots=True)
class Feedback:
    """What somebody said of an event: that it is ``right``, or ``wrong`` (a false alarm)."""

    verdict: Verdict
    by: str
    at: datetime
    note: str = ""

    def as_dict(self) -> dict[str, Json]:
        """The JSON form."""
        return {"verdict": self.verdict, "by": self.by, "at": self.at.isoformat(), "note": self.note}


@dataclass(frozen=True, slots=True)
class EventRecord:
    """An event as the journal knows it.

    Args:
        event: its latest state, with all evidence that is there by now.
        first_seen: wall time at which its first state was taken.
        updated: wall time of the latest state or attachment.
        muted: whether it began under a mute: no sink is told of it.
        acknowledged: by whom, or None.
        feedback: what people said of it, in order.
    """

    event: Event
    first_seen: datetime
    updated: datetime
    muted: bool = False
    acknowledged: Acknowledgement | None = None
    feedback: tuple[Feedback, ...] = ()

    @property
    def evidence(self) -> Mapping[str, Json]:
        """The stretch to keep and the paths of what was kept, relative to the library's folder."""
        return self.event.evidence

    def as_dict(self) -> dict[str, Json]:
        """The public JSON form: the event's fields, times in seconds of the source, and what is known of it."""
        ended = wall_end(self.event)
        return {
            **self.event.as_dict(),
            "wall_end": None if ended is None else ended.isoformat(),
            "first_seen": self.first_seen.isoformat(),
            "updated": self.updated.isoformat(),
            "muted": self.muted,
            "acknowledged": None if self.acknowledged is None else self.acknowledged.as_dict(),
            "feedback": [f.as_dict() for f in self.feedback],
        }


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Which events to give; conditions left empty do not restrict.

    Args:
        rules, sources, cameras: names; any of them.
        states: of the latest state.
        severity: the least.
        since, until: wall time; events that overlap the span, half-open.
        span: time of the source; events that overlap it.
        acknowledged: whether somebody has acknowledged it.
        verdict: what was said of it last.
        limit: at most so many; None: all.
        offset: leave out so many.
        oldest_first: the other way round.
    """

    rules: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    states: tuple[State, ...] = ()
    severity: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    span: Span | None = None
    acknowledged: bool | None = None
    verdict: Verdict | None = None
    limit: int | None = 100
    offset: int = 0
    oldest_first: bool = False

    def conditions(self) -> tuple[str, list[Any]]:
        """The ``WHERE`` clause over table ``event AS e`` and its values."""
        parts: list[str] = ["1"]
        values: list[Any] = []
        for column, wanted in (
            ("rule", self.rules),
            ("source", self.sources),
            ("camera", self.cameras),
            ("state", self.states),
        ):
            if wanted:
                parts.append(f"e.{column} IN ({','.join('?' * len(wanted))})")
                values.extend(wanted)
        if self.severity is not None:
            parts.append("e.severity >= ?")
            values.append(rank(self.severity))
        if self.since is not None:
            parts.append("(e.wall >= ? OR e.wall_end IS NULL OR e.wall_end > ?)")
            values.extend([microseconds(self.since)] * 2)
        if self.until is not None:
            parts.append("e.wall < ?")
            values.append(microseconds(self.until))
        if self.span is not None:
            # a moment (start == end) lies in the span that holds it
            parts.append('e.start < ? AND (e."end" IS NULL OR e."end" > ? OR e.start >= ?)')
            start, end = self.span.start.nanoseconds, self.span.end.nanoseconds
            values.extend([max(end, start + 1), start, start])
        if self.acknowledged is not None:
            parts.append(f"e.acknowledged IS {'NOT ' if self.acknowledged else ''}NULL")
        if self.verdict is not None:
            parts.append("(SELECT verdict FROM feedback f WHERE f.event = e.id ORDER BY f.number DESC LIMIT 1) = ?")
            values.append(self.verdict)
        return " AND ".join(parts), values


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A state that a sink could not be told.

    Args:
        number: to replay it by.
        sink: its name.
        event: the state.
        attempts: how often it was tried.
        error: what went wrong last.
        died: wall time at which it was given up.
    """

    number: int
    sink: str
    event: Event
    attempts: int
    error: str
    died: datetime

    def as_dict(self) -> dict[str, Json]:
        """The JSON form."""
        return {
            "number": self.number,
            "sink": self.sink,
            "attempts": self.attempts,
            "error": self.error,
            "died": self.died.isoformat(),
            "event": self.event.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class Mute:
    """Events of ``rule`` on ``camera`` (None: any) that begin before ``until`` (None: for good) are told to no sink."""

    number: int
    rule: str | None
    camera: str | None
    until: datetime | None
    made: datetime
    by: str
    note: str = ""

    def as_dict(self) -> dict[str, Json]:
        """The JSON form."""
        return {
            "number": self.number,
            "rule": self.rule,
            "camera": self.camera,
            "until": None if self.until is None else self.until.isoformat(),
            "made": self.made.isoformat(),
            "by": self.by,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class SinkStatus:
    """How a sink is doing.

    Args:
        name, kind: as configured; the kind is empty where nothing has delivered to it yet.
        waiting: states yet to be told.
        dead: states given up.
        delivered: messages told since the journal began.
        coalesced: updates left out because a later state was waiting already.
        last_error, last_failure: what went wrong last, and when.
        last_success: wall time at which it was told something last.
        working: whether this process delivers to it; None where it is not the one that would.
    """

    name: str
    kind: str
    waiting: int = 0
    dead: int = 0
    delivered: int = 0
    coalesced: int = 0
    last_error: str | None = None
    last_failure: datetime | None = None
    last_success: datetime | None = None
    working: bool | None = None

    def as_dict(self) -> dict[str, Json]:
        """The JSON form."""
        return {
            "name": self.name,
            "kind": self.kind,
            "waiting": self.waiting,
            "dead": self.dead,
            "delivered": self.delivered,
            "coalesced": self.coalesced,
            "last_error": self.last_error,
            "last_failure": None if self.last_failure is None else self.last_failure.isoformat(),
            "last_success": None if self.last_success is None else self.last_success.isoformat(),
            "working": self.working,
        }
