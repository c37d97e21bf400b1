"""What ``onlooker events`` is asked, and how it shows events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from onlooker.core.errors import UsageError
from onlooker.core.time import Timestamp, parse_age

if TYPE_CHECKING:
    from onlooker.events import EventQuery, EventRecord

__all__ = ["event_line", "events_query", "mute_line", "user_name", "wall_time"]


def events_query(
    rules: Sequence[str] | None,
    cameras: Sequence[str] | None,
    sources: Sequence[str] | None,
    states: Sequence[str] | None,
    severity: str | None,
    since: str | None,
    until: str | None,
    acknowledged: bool | None,
    verdict: str | None,
    limit: int | None,
    offset: int,
    oldest_first: bool,
) -> EventQuery:
    """The query of the options of ``onlooker events``.

    Raises:
        UsageError: an option has no such value.
    """
    from onlooker.events import EventQuery

    for given, known in ((states or (), ("new", "update", "end")), ([verdict] if verdict else (), ("right", "wrong"))):
        for one in given:
            if one not in known:
                raise UsageError(f"there is no {one!r} here", hint=f"one of {', '.join(known)}")
    return EventQuery(
        rules=tuple(rules or ()),
        cameras=tuple(cameras or ()),
        sources=tuple(sources or ()),
        states=tuple(states or ()),  # pyright: ignore[reportArgumentType]
        severity=severity,
        since=None if since is None else wall_time(since),
        until=None if until is None else wall_time(until),
        acknowledged=acknowledged,
        verdict=verdict,  # pyright: ignore[reportArgumentType]
        limit=limit,
        offset=offset,
        oldest_first=oldest_first,
    )


def wall_time(text: str) -> datetime:
    """A wall time, or so long ago; a time without zone is of this machine's zone.

    Raises:
        UsageError: it is neither.
    """
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        pass
    try:
        return datetime.now(UTC) - timedelta(seconds=float(parse_age(text)))
    except UsageError:
        raise UsageError(
            f"not a wall time: {text!r}", hint="write 2026-05-01T08:00+02:00, or 24h for a day ago"
        ) from None


def user_name() -> str:
    """Who is at the keyboard."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "somebody"


def event_line(record: EventRecord) -> str:
    """An event in one line."""
    event = record.event
    begin = str(Timestamp.of_seconds(event.start / 1e9))
    if event.wall is not None:
        begin = event.wall.astimezone().isoformat(sep=" ", timespec="seconds")
    length = "" if event.end is None else f" {(event.end - event.start) / 1e9:.1f} s"
    marks = [event.label or "", "muted" if record.muted else ""]
    if record.acknowledged is not None:
        marks.append(f"seen by {record.acknowledged.by}")
    if record.feedback:
        marks.append(record.feedback[-1].verdict)
    rest = ", ".join(m for m in marks if m)
    what = f"{event.camera}: {event.rule}{length} {rest}".rstrip()
    return f"{event.id[:8]} {begin} {event.state:6} {event.severity:8} {what}"


def mute_line(values: dict[str, Any]) -> str:
    """What is muted, in words."""
    what = " ".join(f"{name} {values[name]}" for name in ("rule", "camera") if values[name]) or "everything"
    until = "for good" if values["until"] is None else f"until {values['until']}"
    note = f" ({values['note']})" if values["note"] else ""
    return f"{what} {until}, by {values['by']}{note}"
