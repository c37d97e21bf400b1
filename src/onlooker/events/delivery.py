"""Delivery: every sink of a configuration is told what waits for it, each by a thread of its own."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from onlooker.core.errors import StoreBusy, StoreError, UsageError
from onlooker.core.event import Event
from onlooker.events.addresses import EVERYWHERE, Addresses
from onlooker.events.config import Sinks, SinkSection, sink_kinds
from onlooker.events.journal import Journal
from onlooker.events.records import SinkStatus
from onlooker.events.rows import now
from onlooker.events.sink import SinkContext
from onlooker.events.worker import Worker

__all__ = ["Delivery"]

_LOCK = "delivery.lock"


class Delivery:
    """Tells the sinks what the journal's outbox holds: at least once, the states of one event in order.

    Whoever takes events never waits for a sink, and no sink waits for another. After a restart it goes on where it
    was. One process at a time delivers the events of a library.

    Args:
        journal: whose outbox.
        sinks: the configuration.
        folder: the library.
        addresses: which addresses sinks may reach.
    """

    def __init__(self, journal: Journal, sinks: Sinks, folder: Path, *, addresses: Addresses = EVERYWHERE) -> None:
        self._journal = journal
        self._folder = folder
        self._addresses = addresses
        self._sinks = sinks
        self._workers = {name: self._made(name, section) for name, section in sinks.sections.items()}
        self._cameras: Mapping[str, Sequence[str]] = {}
        self._changing = threading.RLock()
        self._lock: int | None = None
        self._started = False
        self._unlisten = lambda: None

    def start(self) -> None:
        """Begin to deliver. What waits for sinks that are not configured any more becomes dead letters.

        Raises:
            StoreBusy: another process delivers the events of this library.
            UsageError: it was started already.
        """
        with self._changing:
            if self._started:
                raise UsageError("the delivery was started already", hint="make another one")
            self._lock = _locked(self._folder / _LOCK)
            self._started = True
            self._give_up_unknown()
            self._unlisten = self._journal.listen(self._wake)
            for worker in self._workers.values():
                worker.start()

    def stop(self, timeout: float = 10.0) -> bool:
        """End after the messages under way; the rest waits in the journal.

        Args:
            timeout: seconds to wait at most.

        Returns:
            Whether all sinks ended in time; a thread that did not ends with the process.
        """
        with self._changing:
            self._unlisten()
            ended = _stopped([*self._workers.values()], timeout) if self._lock is not None else True
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None
            return ended

    def reload(self, sinks: Sinks, timeout: float = 10.0) -> list[str]:
        """Go on with another configuration; sinks that it leaves as they are go on undisturbed.

        Returns:
            Names of the sinks that were added, changed or removed.
        """
        with self._changing:
            old, new = self._sinks.sections, sinks.sections
            changed = [n for n in {**old, **new} if n not in old or n not in new or old[n] != new[n]]
            made = {n: self._made(n, new[n]) for n in changed if n in new}
            _stopped([self._workers.pop(n) for n in changed if n in self._workers], timeout)
            self._workers.update(made)
            self._sinks = sinks
            for worker in made.values():
                worker.know(self._cameras)
                if self._lock is not None:
                    worker.start()
            self._give_up_unknown()
            return changed

    def know(self, cameras: Mapping[str, Sequence[str]]) -> None:
        """Say which cameras are watched, and the ids of the rules that look at each; sinks may show them."""
        with self._changing:
            self._cameras = {camera: tuple(rules) for camera, rules in cameras.items()}
            for worker in self._workers.values():
                worker.know(self._cameras)

    def status(self) -> list[SinkStatus]:
        """How each sink of the configuration is doing, by name."""
        known = {s.name: s for s in self._journal.sinks()}
        workers = dict(self._workers)  # without the lock: a change may wait for a sink
        return [
            replace(known.get(name, SinkStatus(name, "")), kind=w.section.kind, working=w.working)
            for name, w in sorted(workers.items())
        ]

    def _wake(self) -> None:
        for worker in [*self._workers.values()]:
            worker.wake()

    def _made(self, name: str, section: SinkSection) -> Worker:
        def open_events() -> Sequence[Event]:
            return [r.event for r in self._journal.open_events() if not r.muted and section.covers(r.event)]

        context = SinkContext(name, self._folder, self._addresses, open_events)
        return Worker(name, section, sink_kinds()[section.kind](section.details, context), self._journal)

    def _give_up_unknown(self) -> None:
        at = now()
        for status in self._journal.sinks():
            if status.waiting and status.name not in self._sinks.sections:
                self._journal.outbox.expire(status.name, at + 1, at, f"no sink is called {status.name} any more")


def _stopped(workers: Sequence[Worker], timeout: float) -> bool:
    for worker in workers:
        worker.ask_to_stop()
    limit = time.monotonic() + timeout
    return all(worker.join(max(0.0, limit - time.monotonic())) for worker in workers)


def _locked(path: Path) -> int:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise StoreError(f"{path} cannot be opened: {error}", hint="check the folder's permissions") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise StoreBusy(
            f"another process delivers the events of {path.parent}", hint="stop it, or choose another --library"
        ) from None
    return handle
