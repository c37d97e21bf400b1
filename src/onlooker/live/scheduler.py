"""Who works next: cameras share a few workers fairly, by weight; a camera is in one worker at a time."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["FairQueue", "Scheduler"]

_log = logging.getLogger("onlooker.live")


@dataclass(slots=True)
class _Member:
    weight: float
    use: float
    ready: bool = False
    busy: bool = False
    gone: bool = False


class FairQueue:
    """Gives turns to who had least of them, by weight. Not thread-safe.

    Use is counted in seconds over the weight. Who comes back after a pause starts level with the others: nobody can
    save up turns and then hold the others up.

    >>> queue = FairQueue()
    >>> for name in ("a", "b"):
    ...     queue.add(name)
    ...     queue.ready(name)
    >>> queue.take()
    'a'
    >>> queue.done("a", 0.5, more=True)
    >>> queue.take()
    'b'
    """

    def __init__(self) -> None:
        self._members: dict[str, _Member] = {}
        self._level = 0.0

    def add(self, name: str, weight: float = 1.0) -> None:
        """A new member, level with the others; one that is there gets the weight."""
        if weight <= 0:
            raise ValueError(f"weight: expected more than 0, got {weight}")
        known = self._members.get(name)
        if known is None or known.gone:
            busy = known is not None and known.busy
            self._members[name] = _Member(weight, self._level, busy=busy)
        else:
            known.weight = weight

    def remove(self, name: str) -> None:
        """It gets no more turns; one under way goes on to its end."""
        member = self._members.get(name)
        if member is not None and member.busy:
            member.gone = True
        else:
            self._members.pop(name, None)

    def ready(self, name: str) -> None:
        """It has work."""
        member = self._members.get(name)
        if member is None or member.gone or member.ready:
            return
        member.ready = True
        if not member.busy:
            member.use = max(member.use, self._level)

    def take(self) -> str | None:
        """Who is to work now: least use first, then who was added first; None: nobody has work."""
        waiting = [(m.use, n) for n, m in self._members.items() if m.ready and not m.busy and not m.gone]
        if not waiting:
            return None
        use, name = min(waiting, key=lambda w: w[0])
        self._level = max(self._level, use)
        member = self._members[name]
        member.ready, member.busy = False, True
        return name

    def done(self, name: str, seconds: float, *, more: bool = False) -> None:
        """A turn ended after ``seconds``; ``more``: it has work left."""
        member = self._members[name]
        member.busy = False
        if member.gone:
            del self._members[name]
            return
        member.use += seconds / member.weight
        member.ready = member.ready or more

    def busy(self, name: str) -> bool:
        """Whether it is at work now."""
        member = self._members.get(name)
        return member is not None and member.busy


class Scheduler:
    """Worker threads over a `FairQueue`.

    Args:
        workers: how many; 0: one for each processor.
    """

    def __init__(self, workers: int = 0) -> None:
        self.workers = workers or os.cpu_count() or 1
        self._queue = FairQueue()
        self._work: dict[str, Callable[[], bool]] = {}
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._stopping = False
        self._busy: dict[str, float] = {}

    def start(self) -> None:
        """Begin to give turns."""
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._run, name=f"onlooker-worker-{i}", daemon=True) for i in range(self.workers)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """End after the turns under way."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        until = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        self._threads = []

    def add(self, name: str, work: Callable[[], bool], weight: float = 1.0) -> None:
        """A camera whose ``work`` does one turn and says whether there is more to do now."""
        with self._changed:
            self._queue.add(name, weight)
            self._work[name] = work
            self._busy.setdefault(name, 0.0)

    def remove(self, name: str, timeout: float = 10.0) -> bool:
        """Take a camera out, after its turn under way. Returns False if that did not end in time."""
        with self._changed:
            self._work.pop(name, None)
            self._busy.pop(name, None)
            self._queue.remove(name)
            return self._changed.wait_for(lambda: not self._queue.busy(name), timeout)

    def wake(self, name: str) -> None:
        """A camera has work."""
        with self._changed:
            self._queue.ready(name)
            self._changed.notify()

    def busy(self) -> dict[str, float]:
        """Seconds of turns of each camera so far."""
        with self._changed:
            return dict(self._busy)

    def _run(self) -> None:
        while True:
            with self._changed:
                while (name := None if self._stopping else self._queue.take()) is None:
                    if self._stopping:
                        return
                    self._changed.wait()
                work = self._work[name]
            begun, more = time.monotonic(), False
            try:
                more = work()
            except Exception:
                _log.exception("a turn of the camera %s failed", name)
            seconds = time.monotonic() - begun
            with self._changed:
                if name in self._busy:
                    self._busy[name] += seconds
                self._queue.done(name, seconds, more=more)
                # another may be waiting for this camera to be free, or for its next turn
                self._changed.notify_all()
