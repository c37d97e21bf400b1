"""The journal: every state of every event, and what people said of them, in ``LIBRARY/events.sqlite``."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from onlooker.core.errors import StoreError, UsageError
from onlooker.core.event import Event
from onlooker.core.observation import Json, finite
from onlooker.events.database import BUSY_SECONDS, Connection, Database
from onlooker.events.migrations import CURRENT, prepare, version_of
from onlooker.events.outbox import Outbox
from onlooker.events.records import (
    DeadLetter,
    EventQuery,
    EventRecord,
    Mute,
    SinkStatus,
    Verdict,
    event_of,
    microseconds,
    text_of,
)
from onlooker.events.rows import mutes, now, put, records, under_mute

__all__ = ["FILE", "Journal", "Wants"]

FILE = "events.sqlite"
_LOG = logging.getLogger(__name__)
_PREFIX = 8
_POLL_SECONDS = 0.5


class Wants(Protocol):
    """What decides whether a sink is told; a `SinkRule` is one."""

    def wants(self, event: Event) -> bool:
        """Whether the sink is told of this state."""
        ...


class Journal:
    """Events and their outbox. Used by any number of threads, and opened by several processes at once.

    Open it with `Journal.open`, and close it, or use it in a ``with`` statement.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._changed = threading.Condition()
        self._listeners: list[Callable[[], None]] = []
        self.outbox = Outbox(database)

    @classmethod
    def open(
        cls, folder: Path, *, create: bool = True, read_only: bool = False, busy_seconds: float = BUSY_SECONDS
    ) -> Journal:
        """The journal of a library.

        Args:
            folder: the library folder.
            create: make a journal where there is none.
            read_only: write nothing.
            busy_seconds: how long to wait for other processes' locks.

        Raises:
            StoreError: none there, damaged, not readable.
            StoreTooNew: written by a newer onlooker; nothing was changed.
        """
        path = folder / FILE
        if not path.is_file():
            if read_only or not create:
                raise StoreError(f"{folder} holds no events", hint="onlooker watch makes them; check --library")
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(f"cannot make {folder}: {error}", hint="check the path") from None
        database = Database(path, read_only=read_only, busy_seconds=busy_seconds)
        try:
            if not read_only:
                prepare(database)
            else:
                with database.snapshot() as connection:
                    version = version_of(connection, path)
                if version != CURRENT:
                    raise StoreError(f"{path} has the older schema {version}", hint="open it once for writing")
        except BaseException:
            database.close()
            raise
        return cls(database)

    def close(self) -> None:
        """Close; what was taken is kept."""
        self._database.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # -- taking --

    def take(self, event: Event, sinks: Mapping[str, Wants] | Sequence[str] = ()) -> bool:
        """Keep a state and put it into the outbox of its sinks, both or none.

        Args:
            event: the state.
            sinks: names of the sinks to tell, or all sinks with their rules, of which those are told that want it.
                Where the event names ``channels``, only those are told. An event that begins under a mute is told to
                none, to its end.

        Returns:
            False where nothing was done: the state (``id``, ``number``) is known, or the event has ended already.

        Raises:
            StoreError, StoreBusy: it could not be written.
        """
        names = [n for n, rule in sinks.items() if rule.wants(event)] if isinstance(sinks, Mapping) else [*sinks]
        if event.channels:
            names = [n for n in names if n in event.channels]
        at = now()
        with self._database.transaction() as connection:
            known = list(connection.execute("SELECT state, number, muted FROM event WHERE id = ?", (event.id,)))
            if known and (known[0][0] == "end" or self._has(connection, event)):
                return False
            muted = bool(known[0][2]) if known else under_mute(connection, event, at)
            if not known or event.number > known[0][1]:
                put(connection, event, at, muted=muted)
            connection.execute(
                "INSERT INTO state(event, number, body) VALUES (?, ?, ?)", (event.id, event.number, text_of(event))
            )
            for name in [] if muted else names:
                connection.execute(
                    "INSERT INTO message(sink, event, ordinal, state, made, due) VALUES (?, ?, ?, ?, ?, ?)",
                    (name, event.id, event.number, event.state, at, at),
                )
        self._tell()
        return True

    @staticmethod
    def _has(connection: Connection, event: Event) -> bool:
        found = connection.execute("SELECT 1 FROM state WHERE event = ? AND number = ?", (event.id, event.number))
        return bool(list(found))

    def attach(self, id: str, evidence: Mapping[str, Json]) -> None:
        """Add to an event's evidence: a snapshot or clip is ready. It holds for states that are told from now on.

        Raises:
            UsageError: there is no such event.
        """
        with self._database.transaction() as connection:
            found = list(connection.execute("SELECT evidence FROM event WHERE id = ?", (id,)))
            if not found:
                raise _unknown(id)
            merged = {**json.loads(found[0][0]), **{k: finite(v) for k, v in evidence.items()}}
            connection.execute(
                "UPDATE event SET evidence = ?, updated = ? WHERE id = ?", (json.dumps(merged), now(), id)
            )
        self._tell()

    # -- reading --

    def get(self, id: str) -> EventRecord:
        """One event.

        Args:
            id: of the event, or the first 8 digits or more.

        Raises:
            UsageError: there is none, or several begin so.
        """
        if len(id) < _PREFIX:
            raise UsageError(f"{id!r} is too short for an event", hint=f"give {_PREFIX} digits of its id or more")
        with self._database.snapshot() as connection:
            where = "e.id >= ? AND e.id < ? ORDER BY e.id = ? DESC LIMIT 2"
            found = records(connection, where, [id, id + "\U0010ffff", id])
        if not found:
            raise _unknown(id)
        if len(found) > 1 and found[0].event.id != id:
            raise UsageError(f"several events begin with {id!r}", hint="give more digits")
        return found[0]

    def open_events(self, source: str | None = None) -> list[EventRecord]:
        """Events that have not ended, of one source or all, oldest first."""
        where, values = ("e.source = ? AND ", [source]) if source is not None else ("", [])
        with self._database.snapshot() as connection:
            return records(connection, f"{where}e.state != 'end' ORDER BY e.wall, e.rowid", values)

    def query(self, q: EventQuery | None = None) -> list[EventRecord]:
        """Events that fulfil all conditions, newest first unless the query says otherwise.

        Raises:
            UsageError: there is no such severity.
        """
        q = q or EventQuery()
        where, values = q.conditions()
        way = "" if q.oldest_first else " DESC"
        limit = -1 if q.limit is None else q.limit
        with self._database.snapshot() as connection:
            return records(
                connection, f"{where} ORDER BY e.wall{way}, e.rowid{way} LIMIT ? OFFSET ?", [*values, limit, q.offset]
            )

    def count(self, q: EventQuery) -> int:
        """How many events fulfil the conditions, whatever the limit."""
        where, values = q.conditions()
        ((found,),) = self._database.fetch(f"SELECT count(*) FROM event AS e WHERE {where}", values)
        return found

    def states(self, id: str) -> list[Event]:
        """All states of an event in order."""
        found = self._database.fetch("SELECT body FROM state WHERE event = ? ORDER BY number", (id,))
        return [event_of(body) for (body,) in found]

    def states_after(self, sequence: int, limit: int) -> list[tuple[int, Event]]:
        """States of all events in the order in which they were taken, after a place in it.

        Args:
            sequence: the last one that was seen; 0 for all. It grows over all processes and is never given twice.
            limit: at most so many.
        """
        found = self._database.fetch(
            "SELECT s.sequence, s.body, e.evidence FROM state AS s JOIN event AS e ON e.id = s.event"
            " WHERE s.sequence > ? ORDER BY s.sequence LIMIT ?",
            (sequence, limit),
        )
        return [(number, event_of(body, json.loads(evidence))) for number, body, evidence in found]

    def latest(self) -> int:
        """The sequence of the state that was taken last; 0 where there is none."""
        found = self._database.fetch("SELECT seq FROM sqlite_sequence WHERE name = 'state'")
        return found[0][0] if found else 0

    def wait(self, sequence: int, timeout: float) -> int:
        """Wait until a state after ``sequence`` is there, at most ``timeout`` seconds; gives `latest`."""
        limit = time.monotonic() + timeout
        while True:
            with self._changed:
                latest = self.latest()
                left = limit - time.monotonic()
                if latest > sequence or left <= 0:
                    return latest
                # what another process takes is seen at the next look
                self._changed.wait(min(left, _POLL_SECONDS))

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call ``listener`` after each change by this process; gives what ends that."""
        self._listeners.append(listener)

        def end() -> None:
            with contextlib.suppress(ValueError):
                self._listeners.remove(listener)

        return end

    # -- people --

    def acknowledge(self, id: str, by: str, note: str = "") -> None:
        """Say that somebody has seen an event.

        Raises:
            UsageError: there is no such event.
        """
        value = json.dumps({"by": by, "at": now(), "note": note})
        self._change("UPDATE event SET acknowledged = ? WHERE id = ?", (value, self.get(id).event.id))

    def feedback(self, id: str, verdict: Verdict, by: str, note: str = "") -> None:
        """Keep what somebody says of an event: ``right``, or ``wrong`` for a false alarm.

        Raises:
            UsageError: there is no such event or verdict.
        """
        if verdict not in ("right", "wrong"):
            raise UsageError(f"no verdict is called {verdict!r}", hint="right or wrong")
        self._change(
            "INSERT INTO feedback(event, verdict, by, note, at) VALUES (?, ?, ?, ?, ?)",
            (self.get(id).event.id, verdict, by, note, now()),
        )

    def mute(
        self,
        rule: str | None = None,
        camera: str | None = None,
        until: datetime | None = None,
        *,
        by: str,
        note: str = "",
    ) -> Mute:
        """Tell no sink of events of this rule and camera (None: any) that begin before ``until`` (None: for good)."""
        end = None if until is None else microseconds(until)
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO mute(rule, camera, until, made, by, note) VALUES (?, ?, ?, ?, ?, ?)",
                (rule, camera, end, now(), by, note),
            )
            number = connection.last_insert_rowid()
        return next(m for m in self.mutes(past=True) if m.number == number)

    def unmute(self, number: int) -> None:
        """End a mute.

        Raises:
            UsageError: there is none of this number.
        """
        if not self._change("DELETE FROM mute WHERE number = ?", (number,)):
            raise UsageError(f"no mute has the number {number}", hint="onlooker events mutes shows them")

    def mutes(self, *, past: bool = False) -> list[Mute]:
        """The mutes in force, oldest first, or also those that are ``past``."""
        with self._database.snapshot() as connection:
            return mutes(connection, now(), past=past)

    def _change(self, sql: str, values: Sequence[Any]) -> int:
        with self._database.transaction() as connection:
            connection.execute(sql, values)
            changed = connection.changes()
        self._tell()
        return changed

    # -- the outbox, for people --

    def dead(self, sink: str | None = None) -> list[DeadLetter]:
        """The states that were given up, of one sink or all, oldest first."""
        return self.outbox.dead(sink)

    def replay(self, numbers: Sequence[int] | None = None, sink: str | None = None) -> int:
        """Put dead letters back into the outbox: these, those of one sink, or all; gives how many."""
        count = self.outbox.replay(numbers, sink, now())
        self._tell()
        return count

    def sinks(self) -> list[SinkStatus]:
        """All sinks that were told something, or are to be."""
        return self.outbox.status()

    def retain(self, older_than: datetime | None) -> int:
        """Delete events that ended before a time, with all that was said of them; None: nothing.

        Events of which a sink has yet to be told are kept. Gives how many were deleted.
        """
        if older_than is None:
            return 0
        return self._change(
            "DELETE FROM event WHERE state = 'end' AND coalesce(wall_end, updated) < ? AND NOT EXISTS"
            " (SELECT 1 FROM message AS m WHERE m.event = event.id AND m.dead IS NULL)",
            (microseconds(older_than),),
        )

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()
        for listener in [*self._listeners]:
            try:
                listener()
            except Exception:
                # what was taken is taken, whatever becomes of those who wait for it
                _LOG.exception("a listener of the journal failed")


def _unknown(id: str) -> UsageError:
    return UsageError(f"no event has the id {id}", hint="onlooker events list shows them")
