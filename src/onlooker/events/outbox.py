"""The outbox: which sink has yet to be told which state, when it is tried next, and what was given up."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from onlooker.core.event import Event
from onlooker.events.database import Connection, Database
from onlooker.events.records import DeadLetter, SinkStatus, event_of, moment

__all__ = ["Outbox", "Waiting"]

_COLUMNS = "m.number, m.event, m.ordinal, m.state, m.made, m.attempts, m.batch"
# a state is told only when no earlier one of its event waits
_HEAD = (
    "NOT EXISTS (SELECT 1 FROM message AS f WHERE f.sink = m.sink AND f.event = m.event AND f.ordinal < m.ordinal"
    " AND f.dead IS NULL)"
)
# an update says nothing any more once a later state waits
_STALE = (
    "m.state = 'update' AND m.batch IS NULL AND EXISTS (SELECT 1 FROM message AS l WHERE l.sink = m.sink"
    " AND l.event = m.event AND l.ordinal > m.ordinal AND l.dead IS NULL)"
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """One state that a sink has yet to be told.

    Args:
        number: of the message.
        event: id of the event.
        ordinal: number of the state in its event.
        state: ``new``, ``update`` or ``end``.
        made: microseconds since 1970 at which the state was taken.
        attempts: how often telling it failed.
        batch: the digest that it goes with, or None.
    """

    number: int
    event: str
    ordinal: int
    state: str
    made: int
    attempts: int
    batch: int | None


class Outbox:
    """What `Delivery` and people see of the messages; times are microseconds since 1970.

    Args:
        database: of the journal.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- choosing --

    def next(self, sink: str, now: int, horizon: int) -> Waiting | None:
        """What the sink is to be told now, the longest due first; states of one event in their order.

        Args:
            sink: its name.
            now: the time.
            horizon: what is due later than this was put off by a clock that ran ahead, and is due now.
        """
        sql = (
            f"SELECT {_COLUMNS}, {_STALE} FROM message AS m WHERE m.sink = ? AND m.dead IS NULL"
            f" AND (m.due <= ? OR m.due > ?) AND {_HEAD} ORDER BY m.due, m.number LIMIT 1"
        )
        while found := self._database.fetch(sql, (sink, now, horizon)):
            *row, stale = found[0]
            if not stale:
                return Waiting(*row)
            self._coalesce(sink)
        return None

    def _coalesce(self, sink: str) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM message WHERE number IN (SELECT m.number FROM message AS m WHERE m.sink = ?"
                f" AND m.dead IS NULL AND {_STALE})",
                (sink,),
            )
            left_out = connection.changes()
            connection.execute("UPDATE sink SET coalesced = coalesced + ? WHERE name = ?", (left_out, sink))

    def next_due(self, sink: str, now: int) -> int | None:
        """When something may be due next."""
        found = self._database.fetch(
            "SELECT min(due) FROM message WHERE sink = ? AND dead IS NULL AND due > ?", (sink, now)
        )
        return found[0][0]

    def digest(self, sink: str, now: int, every: int, most: int) -> list[Waiting]:
        """The states of the digest that is due: one that was tried before, or all that wait once the oldest is old.

        Args:
            sink: its name.
            now: the time.
            every: microseconds between digests.
            most: states in one digest.
        """
        with self._database.transaction() as connection:
            known = list(
                connection.execute(
                    "SELECT batch, min(due) FROM message WHERE sink = ? AND dead IS NULL AND batch IS NOT NULL"
                    " GROUP BY batch ORDER BY batch LIMIT 1",
                    (sink,),
                )
            )
            if not known:
                ((oldest,),) = connection.execute(
                    "SELECT min(made) FROM message WHERE sink = ? AND dead IS NULL", (sink,)
                )
                if oldest is None or oldest + every > now:
                    return []
                connection.execute(
                    "UPDATE message SET batch = (SELECT min(number) FROM message WHERE sink = ?1 AND dead IS NULL)"
                    " WHERE number IN (SELECT number FROM message WHERE sink = ?1 AND dead IS NULL"
                    " ORDER BY number LIMIT ?2)",
                    (sink, most),
                )
            elif known[0][1] > now:
                return []
            found = connection.execute(
                f"SELECT {_COLUMNS} FROM message AS m WHERE m.sink = ?1 AND m.dead IS NULL AND m.batch ="
                " (SELECT min(batch) FROM message WHERE sink = ?1 AND dead IS NULL) ORDER BY m.number",
                (sink,),
            )
            return [Waiting(*row) for row in found]

    def states(self, waiting: Waiting) -> tuple[Event | None, Event]:
        """The state before, if there is one, and the state to tell, with the evidence that is there by now."""
        found = self._database.fetch(
            "SELECT s.body, e.evidence FROM state AS s JOIN event AS e ON e.id = s.event WHERE s.event = ?"
            " AND s.number <= ? ORDER BY s.number DESC LIMIT 2",
            (waiting.event, waiting.ordinal),
        )
        body, evidence = found[0]
        before = event_of(found[1][0]) if len(found) > 1 else None
        return before, event_of(body, json.loads(evidence))

    # -- outcomes --

    def known(self, sink: str, kind: str) -> None:
        """A sink is configured."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO sink(name, kind) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET kind = excluded.kind",
                (sink, kind),
            )

    def delivered(self, sink: str, told: Sequence[Waiting], now: int) -> None:
        """The sink has taken them."""
        with self._database.transaction() as connection:
            for one in told:
                connection.execute("DELETE FROM message WHERE number = ?", (one.number,))
            connection.execute(
                "UPDATE sink SET delivered = delivered + 1, last_success = ? WHERE name = ?", (now, sink)
            )

    def put_off(self, sink: str, tried: Sequence[Waiting], now: int, due: int, error: str, *, counts: bool) -> None:
        """Telling failed; it is tried again when due.

        Args:
            sink: its name.
            tried: what it was to be told.
            now: the time.
            due: when to try again.
            error: what went wrong.
            counts: whether it is one of the attempts after which a state is given up.
        """
        with self._database.transaction() as connection:
            for one in tried:
                connection.execute(
                    "UPDATE message SET due = ?, attempts = attempts + ?, error = ? WHERE number = ?",
                    (due, counts, error, one.number),
                )
            _note(connection, sink, now, error)

    def give_up(self, sink: str, tried: Sequence[Waiting], now: int, error: str) -> None:
        """Telling failed for good: they become dead letters."""
        with self._database.transaction() as connection:
            for one in tried:
                connection.execute(
                    "UPDATE message SET dead = ?, attempts = attempts + 1, error = ?, batch = NULL WHERE number = ?",
                    (now, error, one.number),
                )
            _note(connection, sink, now, error)

    def unreachable(self, sink: str, now: int, error: str) -> None:
        """The sink cannot be reached at all."""
        with self._database.transaction() as connection:
            _note(connection, sink, now, error)

    def expire(self, sink: str, before: int, now: int, error: str) -> int:
        """What was taken before a time, and still waits, becomes dead letters; gives how many."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE message SET dead = ?, error = ?, batch = NULL WHERE sink = ? AND dead IS NULL AND made < ?",
                (now, error, sink, before),
            )
            return connection.changes()

    # -- what people see --

    def dead(self, sink: str | None = None) -> list[DeadLetter]:
        """The states that were given up, oldest first."""
        found = self._database.fetch(
            "SELECT m.number, m.sink, m.attempts, m.error, m.dead, s.body, e.evidence FROM message AS m"
            " JOIN state AS s ON s.event = m.event AND s.number = m.ordinal JOIN event AS e ON e.id = m.event"
            " WHERE m.dead IS NOT NULL AND (?1 IS NULL OR m.sink = ?1) ORDER BY m.number",
            (sink,),
        )
        return [
            DeadLetter(number, name, event_of(body, json.loads(evidence)), attempts, error or "", moment(died))
            for number, name, attempts, error, died, body, evidence in found
        ]

    def replay(self, numbers: Sequence[int] | None, sink: str | None, now: int) -> int:
        """Dead letters wait again, as if they were taken now; gives how many."""
        parts, values = ["dead IS NOT NULL"], list[Any]([now, now])
        if numbers is not None:
            parts.append(f"number IN ({','.join(str(int(n)) for n in numbers)})")
        if sink is not None:
            parts.append("sink = ?")
            values.append(sink)
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE message SET made = ?, due = ?, dead = NULL, attempts = 0, error = NULL WHERE "
                + " AND ".join(parts),
                values,
            )
            return connection.changes()

    def status(self) -> list[SinkStatus]:
        """All sinks, by name."""
        found = self._database.fetch(
            "WITH parts AS (SELECT sink, count(*) AS waiting, 0 AS dead FROM message WHERE dead IS NULL GROUP BY sink"
            " UNION ALL SELECT sink, 0, count(*) FROM message INDEXED BY message_dead WHERE dead IS NOT NULL"
            " GROUP BY sink),"
            " counts AS (SELECT sink, sum(waiting) AS waiting, sum(dead) AS dead FROM parts GROUP BY sink)"
            " SELECT n.name, coalesce(s.kind, ''), coalesce(c.waiting, 0), coalesce(c.dead, 0),"
            " coalesce(s.delivered, 0), coalesce(s.coalesced, 0), s.last_error, s.last_failure, s.last_success"
            " FROM (SELECT name FROM sink UNION SELECT sink FROM counts) AS n LEFT JOIN sink AS s ON s.name = n.name"
            " LEFT JOIN counts AS c ON c.sink = n.name ORDER BY n.name"
        )
        return [
            SinkStatus(
                *counts,
                last_error=error,
                last_failure=None if failure is None else moment(failure),
                last_success=None if success is None else moment(success),
            )
            for *counts, error, failure, success in found
        ]


def _note(connection: Connection, sink: str, now: int, error: str) -> None:
    connection.execute("UPDATE sink SET last_error = ?, last_failure = ? WHERE name = ?", (error, now, sink))
