"""Who wrote what on which source, how far they got, and which of them readers see."""

from __future__ import annotations

from collections.abc import Iterable

from onlooker.core.errors import UsageError
from onlooker.core.observation import Producer
from onlooker.core.store import RunState
from onlooker.timeline.stores.embedded.codec import instant, instant_text
from onlooker.timeline.stores.embedded.database import Connection, rows

__all__ = ["Makers", "find_run", "kill_runs", "open_run", "set_state", "settle", "source_number", "states_of", "tick"]


class Makers:
    """The source and producer of each run, looked up once per query."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[int, tuple[str, Producer]] = {}

    def of(self, run: int) -> tuple[str, Producer]:
        """Source id and producer of a run."""
        if run not in self._known:
            ((source, *producer),) = rows(
                self._connection,
                "SELECT source.id, analyzer, version, config, bundle FROM run"
                " JOIN source ON source.number = run.source JOIN producer ON producer.number = run.producer"
                " WHERE run.number = ?",
                (run,),
            )
            self._known[run] = (source, Producer(*producer))
        return self._known[run]


def source_number(connection: Connection, source: str) -> int:
    """The number of a known source.

    Raises:
        UsageError: it was never added, or was removed.
    """
    for (number,) in rows(connection, "SELECT number FROM source WHERE id = ? AND NOT dead", (source,)):
        return number
    raise UsageError(f"the library does not know the source {source!r}", hint="add it before writing about it")


def tick(connection: Connection) -> int:
    """Count one more commit; tells older from newer without trusting the wall clock."""
    ((count,),) = rows(connection, "UPDATE clock SET commits = commits + 1 RETURNING commits")
    return count


def _producer_number(connection: Connection, producer: Producer) -> int:
    key = (producer.analyzer, producer.version, producer.config, producer.bundle)
    found = rows(
        connection,
        "SELECT number FROM producer WHERE analyzer = ? AND version = ? AND config = ? AND bundle IS ?",
        key,
    )
    for (number,) in found:
        return number
    connection.execute("INSERT INTO producer (analyzer, version, config, bundle) VALUES (?, ?, ?, ?)", key)
    return connection.last_insert_rowid()


def find_run(connection: Connection, source: str, producer: Producer) -> int | None:
    """The number of the run of ``producer`` on ``source``, if there is one."""
    found = rows(
        connection,
        "SELECT run.number FROM run JOIN source ON source.number = run.source"
        " JOIN producer ON producer.number = run.producer"
        " WHERE source.id = ? AND NOT source.dead AND NOT run.dead"
        " AND analyzer = ? AND version = ? AND config = ? AND bundle IS ?",
        (source, producer.analyzer, producer.version, producer.config, producer.bundle),
    )
    return next((number for (number,) in found), None)


def open_run(connection: Connection, source: int, producer: Producer, now: int) -> int:
    """The run to write to, begun if need be, marked as touched at commit ``now``."""
    maker = _producer_number(connection, producer)
    connection.execute(
        "INSERT INTO run (source, producer, begun, touched) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (source, producer) WHERE NOT dead DO UPDATE SET touched = excluded.touched",
        (source, maker, now, now),
    )
    ((number,),) = rows(
        connection, "SELECT number FROM run WHERE source = ? AND producer = ? AND NOT dead", (source, maker)
    )
    return number


def set_state(connection: Connection, run: int, state: RunState, now: int) -> bool:
    """Replace the stored state; returns whether the run became complete by it."""
    ((before,),) = rows(connection, "SELECT complete FROM run WHERE number = ?", (run,))
    connection.execute(
        "UPDATE run SET position = ?, complete = ?, frames = ?, seconds = ?,"
        " completed = CASE WHEN ? THEN ifnull(completed, ?) END WHERE number = ?",
        (
            None if state.position is None else instant_text(state.position),
            int(state.complete),
            state.frames,
            float(state.seconds),
            int(state.complete),
            now,
            run,
        ),
    )
    return state.complete and not before


def settle(connection: Connection, source: int, analyzer: str, completed: Iterable[int]) -> list[int]:
    """Give up what the runs in ``completed`` supersede, and choose the run that readers see; of a live source all.

    A completed run replaces all other complete ones of its analyzer, and those under way that nobody wrote to since
    it began. One that another process is writing to at this time is left to go on, unseen.

    Returns:
        The runs given up.
    """
    same = "source = ? AND NOT dead AND producer IN (SELECT number FROM producer WHERE analyzer = ?)"
    gone: list[int] = []
    for run in completed:
        ((begun,),) = rows(connection, "SELECT begun FROM run WHERE number = ?", (run,))
        gone += [
            number
            for (number,) in rows(
                connection,
                f"SELECT number FROM run WHERE {same} AND number <> ? AND (complete OR touched < ?)",
                (source, analyzer, run, begun),
            )
        ]
        kill_runs(connection, gone)
    chosen = rows(
        connection,
        f"SELECT number, visible, complete FROM run WHERE {same}"
        " ORDER BY complete DESC, completed DESC, touched DESC, number DESC LIMIT 1",
        (source, analyzer),
    )
    for number, visible, complete in list(chosen):
        live = _is_live(connection, source)
        if live and not complete:
            connection.execute(f"UPDATE run SET visible = 1 WHERE {same} AND NOT visible", (source, analyzer))
        elif live or not visible:
            connection.execute(f"UPDATE run SET visible = (number = ?) WHERE {same}", (number, source, analyzer))
    return gone


def _is_live(connection: Connection, source: int) -> bool:
    """Whether a source is seen but once: then each run tells of another stretch of it."""
    ((live,),) = rows(connection, "SELECT json_extract(info, '$.live') FROM source WHERE number = ?", (source,))
    return bool(live)


def kill_runs(connection: Connection, numbers: Iterable[int]) -> None:
    """From this transaction on the runs are gone for every reader; their rows are deleted in slices later."""
    connection.executemany("UPDATE run SET dead = 1, visible = 0 WHERE number = ?", ((n,) for n in numbers))


def states_of(connection: Connection, source: int) -> list[RunState]:
    """The states of all runs on one source, in the order in which they began."""
    found = rows(
        connection,
        "SELECT analyzer, version, config, bundle, position, complete, frames, seconds"
        " FROM run JOIN producer ON producer.number = run.producer"
        " WHERE source = ? AND NOT dead ORDER BY run.number",
        (source,),
    )
    return [
        RunState(Producer(*row[:4]), None if row[4] is None else instant(row[4]), bool(row[5]), row[6], row[7])
        for row in found
    ]
