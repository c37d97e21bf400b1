"""One sink's thread: tells it what waits, in order, and tries again what failed."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from onlooker.core.errors import OnlookerError, StoreError
from onlooker.events.config import Retry, SinkSection
from onlooker.events.failures import NotTaken, Refused, Unreachable
from onlooker.events.journal import Journal
from onlooker.events.outbox import Waiting
from onlooker.events.records import moment
from onlooker.events.rows import now
from onlooker.events.sink import Message, Sink

__all__ = ["Worker", "delay", "message_of"]

_LOG = logging.getLogger(__name__)
_SECOND = 1_000_000
_POLL_SECONDS = 1.0
_MOST_IN_A_DIGEST = 500
_AHEAD_SECONDS = 3600.0


def delay(failures: int, retry: Retry) -> float:
    """Seconds to wait after so many failures in a row: doubled with each, up to half of it taken off by chance.

    >>> 4 <= delay(4, Retry(first=1, most=60)) <= 8, delay(99, Retry(first=1, most=60)) <= 60
    (True, True)
    """
    return min(retry.most, retry.first * 2 ** min(failures - 1, 62)) * random.uniform(0.5, 1.0)


def message_of(journal: Journal, tried: Sequence[Waiting], sink: str, *, digest: bool) -> Message:
    """The message of one state, or of a digest's states."""
    states = [journal.outbox.states(w) for w in tried]
    first = tried[0]
    key = f"digest:{sink}:{first.batch}" if digest else f"{first.event}:{first.ordinal}"
    latest = {event.id: event for _, event in states}
    before = None if digest else states[0][0]
    taken = moment(min(w.made for w in tried))
    return Message(key, tuple(latest.values()), before, taken, max(w.attempts for w in tried) + 1, digest)


class Worker:
    """Delivers to one sink until it is stopped.

    A state that fails is put off, and with it the later ones of its event; other events go on. After each failure
    the sink is left alone for a while that grows with the failures in a row.

    Args:
        name: of the sink.
        section: its configuration.
        sink: the sink.
        journal: what waits.
    """

    def __init__(self, name: str, section: SinkSection, sink: Sink, journal: Journal) -> None:
        self.name = name
        self.section = section
        self._sink = sink
        self._journal = journal
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._opened = False
        self._failures = 0
        self._paused_until = 0.0
        self._told: Sequence[Waiting] = ()
        self._cameras: Mapping[str, Sequence[str]] = {}
        self._cameras_told = True
        self._thread = threading.Thread(target=self._run, name=f"sink-{name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._journal.outbox.known(self.name, self.section.kind)
        self._thread.start()

    def wake(self) -> None:
        """Something may wait."""
        self._wake.set()

    def know(self, cameras: Mapping[str, Sequence[str]]) -> None:
        """Tell the sink which cameras and rules there are."""
        self._cameras, self._cameras_told = cameras, False
        self._wake.set()

    def ask_to_stop(self) -> None:
        """End after the message under way."""
        self._stopping.set()
        self._wake.set()

    def join(self, timeout: float) -> bool:
        """Wait for the end; False where it did not come."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def working(self) -> bool:
        """Whether it runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                pause = self._step()
            except StoreError as error:
                _LOG.warning("the sink %s waits for the journal: %s", self.name, error)
                pause = _POLL_SECONDS
            except Exception:
                _LOG.exception("the delivery to the sink %s failed, and goes on", self.name)
                pause = _POLL_SECONDS
            if pause > 0:
                self._wake.wait(min(pause, _POLL_SECONDS))
                self._wake.clear()
        self._close()

    def _step(self) -> float:
        """Do one thing; gives the seconds until the next one can be done."""
        left = self._paused_until - time.monotonic()
        if left > 0:
            return left
        self._settle()
        if not self._opened:
            if not self._try(self._sink.open, ()):
                return 0.0
            self._opened, self._cameras_told = True, not self._cameras
        if not self._cameras_told:
            cameras = self._cameras
            if not self._try(lambda: self._sink.know(cameras), ()):
                return 0.0
            self._cameras_told = cameras is self._cameras
        tried = self._next()
        if not tried:
            due = self._journal.outbox.next_due(self.name, now())
            return _POLL_SECONDS if due is None else (due - now()) / _SECOND
        if self._try(lambda: self._sink.deliver(self._message(tried)), tried):
            self._told = tried
            self._settle()
        return 0.0

    def _settle(self) -> None:
        """Note what was told; where the disk is full that is tried again, and the sink not told again meanwhile."""
        if self._told:
            self._journal.outbox.delivered(self.name, self._told, now())
            self._told = ()

    def _message(self, tried: Sequence[Waiting]) -> Message:
        return message_of(self._journal, tried, self.name, digest=self.section.digest is not None)

    def _next(self) -> Sequence[Waiting]:
        at = now()
        if self.section.digest is not None:
            every = int(self.section.digest * _SECOND)
            return self._journal.outbox.digest(self.name, at, every, _MOST_IN_A_DIGEST)
        horizon = at + int(2 * max(self.section.retry.most, _AHEAD_SECONDS) * _SECOND)
        found = self._journal.outbox.next(self.name, at, horizon)
        return () if found is None else (found,)

    def _try(self, action: Callable[[], None], tried: Sequence[Waiting]) -> bool:
        try:
            action()
        except StoreError:
            raise
        except Exception as error:
            self._failed(error, tried)
            return False
        if self._failures:
            _LOG.info("the sink %s works again", self.name)
        self._failures = 0
        return True

    def _failed(self, error: Exception, tried: Sequence[Waiting]) -> None:
        # what an unforeseen error says may hold secrets
        text = str(error) if isinstance(error, OnlookerError) else f"unexpected {type(error).__name__}"
        _LOG.log(logging.DEBUG if self._failures else logging.WARNING, "the sink %s failed: %s", self.name, text)
        outbox, retry, at = self._journal.outbox, self.section.retry, now()
        if isinstance(error, Refused) and tried:
            outbox.give_up(self.name, tried, at, text)
            return
        self._failures += 1
        pause = delay(self._failures, retry)
        self._paused_until = time.monotonic() + pause
        if isinstance(error, Unreachable):
            self._close()
        if not tried:
            outbox.unreachable(self.name, at, text)
        else:
            self._put_off(error, tried, at, text)
        age = int(retry.age * _SECOND)
        outbox.expire(self.name, at - age, at, f"given up after {retry.age:g} s: {text}")

    def _put_off(self, error: Exception, tried: Sequence[Waiting], at: int, text: str) -> None:
        outbox, retry = self._journal.outbox, self.section.retry
        attempts = max(w.attempts for w in tried) + 1
        counts = not isinstance(error, Unreachable)
        if counts and attempts >= retry.attempts:
            outbox.give_up(self.name, tried, at, f"given up after {attempts} attempts: {text}")
            return
        wait = delay(attempts, retry) if counts else 0.0
        if isinstance(error, NotTaken) and error.after is not None:
            wait = max(wait, min(error.after, retry.age))
        outbox.put_off(self.name, tried, at, at + int(wait * _SECOND), text, counts=counts)

    def _close(self) -> None:
        self._opened = False
        try:
            self._sink.close()
        except Exception as error:
            _LOG.warning("the sink %s did not close: %s", self.name, type(error).__name__)
