"""The ledger of one camera: when it was watched and when not, and why; together all of the wall time.

Blind spans are observations of kind ``blind`` whose label is the reason. What is not blind, from the camera's zero to
the ledger's position, was watched. The position is stored with them, so that after a kill the time since then is known
to be blind too (``not_running``).
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from onlooker.core.observation import Observation, Producer
from onlooker.core.store import Batch, Query, RunState, Store
from onlooker.core.time import NANOSECONDS, Span, Timestamp

__all__ = ["NOT_RUNNING", "WATCH", "Ledger", "LedgerReport", "LedgerSpan", "ledger_report"]

WATCH = Producer("watch", "1", hashlib.blake2b(b"blind", digest_size=16).hexdigest())
"""What makes the observations ``blind``."""
NOT_RUNNING = "not_running"
_KIND = "blind"
_SECOND = 1_000_000_000
_OFTEN, _SELDOM = 60 * _SECOND, 10 * _SECOND


def _moment(nanoseconds: int) -> Timestamp:
    return Timestamp(nanoseconds, NANOSECONDS)


def _position(store: Store, source: str) -> int | None:
    states = [s.position for s in store.states(source) if s.producer == WATCH and s.position is not None]
    return states[0].nanoseconds if states else None


class Ledger:
    """Keeps the ledger of one camera; thread-safe. Times are nanoseconds since the camera's zero.

    Times that go back are taken as the latest moment that is possible: spans never overlap.

    Args:
        store: where to write; knows the source already.
        source: id of the camera's source.
        zero: wall time of the camera's zero in Unix seconds.

    Raises (all methods that write):
        StoreError: nothing changed; the same call may be made again.
    """

    def __init__(self, store: Store, source: str, zero: float) -> None:
        self._store, self._source, self._zero = store, source, zero
        self._lock = threading.RLock()
        self._position = _position(store, source)
        self._reason: str | None = None
        self._since = self._position or 0
        self._written: int | None = None
        self._watched = 0
        self._blind: Counter[str] = Counter()

    @property
    def position(self) -> int:
        """Up to where the ledger is durable; 0 for a camera that was never watched."""
        return self._position or 0

    def begin(self, at: int | None = None) -> int:
        """Watching starts: blind as ``not_running`` since an earlier run ended, ``connecting`` from now on.

        Args:
            at: now; None: by this machine's clock.

        Returns:
            The moment at which it starts: ``at``, or where the earlier run ended if the clock was set back since.
        """
        with self._lock:
            now = int((time.time() - self._zero) * _SECOND) if at is None else at
            now = max(now, self.position)
            gap = [] if now == self.position else [self._span(self.position, now, NOT_RUNNING)]
            self._commit(now, gap)
            self._reason, self._since, self._written = "connecting", now, None
            return now

    def watching(self, at: int) -> None:
        """Pictures come, from ``at`` on."""
        with self._lock:
            if self._reason is not None:
                self._turn(at, None)

    def blind(self, at: int, reason: str) -> None:
        """No pictures since ``at``, which may lie before the last heartbeat, for ``reason``."""
        with self._lock:
            if self._reason != reason:
                self._turn(at, reason)

    def heartbeat(self, at: int) -> None:
        """Up to ``at`` nothing has changed. Call it about once a second; while watching, with the newest frame's time.

        What is killed later leaves the time since the last heartbeat as ``not_running``. A blind span that lasts is
        written anew each second in its first minute, then each 10 seconds.
        """
        with self._lock:
            if at <= self.position:
                return
            if self._reason is not None:
                pace = _SECOND if at - self._since < _OFTEN else _SELDOM
                if self._written is not None and at - self._written < pace:
                    return
                self._commit(at, [self._span(self._since, at, self._reason)], replace=True)
                self._written = at
            else:
                self._commit(at, [])

    def end(self, at: int) -> None:
        """Watching ends in order: everything up to ``at`` is written."""
        with self._lock:
            self._turn(at, NOT_RUNNING)

    def totals(self, at: int) -> tuple[float, Mapping[str, float]]:
        """Seconds since `begin` that were watched, and blind by reason, up to ``at``."""
        with self._lock:
            watched, blind = self._watched, self._blind.copy()
            open_for = max(0, at - self._since)
            if self._reason is None:
                watched += open_for
            elif open_for:
                blind[self._reason] += open_for
            return watched / _SECOND, {reason: span / _SECOND for reason, span in blind.items()}

    def _turn(self, at: int, reason: str | None) -> None:
        """Close the span that is open at ``at`` and begin another."""
        at = max(at, self._since)
        position = max(at, self.position)
        spans = [] if self._reason is None or at == self._since else [self._span(self._since, at, self._reason)]
        if reason is not None and at < position:
            spans.append(self._span(at, position, reason))  # heartbeats went on before it was known
        self._commit(position, spans, replace=self._reason is not None)
        if self._reason is None:
            self._watched += at - self._since
        else:
            self._blind[self._reason] += at - self._since
        self._reason, self._since, self._written = reason, at, position if at < position else None

    def _span(self, start: int, end: int, reason: str) -> Observation:
        return Observation(Span(_moment(start), _moment(end)), _KIND, label=reason).of(self._source, WATCH, 0)

    def _commit(self, position: int, observations: list[Observation], *, replace: bool = False) -> None:
        moment = _moment(self._since)
        erases = Query(kinds=(_KIND,), analyzers=(WATCH.analyzer,), span=Span(moment, moment)) if replace else None
        state = RunState(WATCH, _moment(position))
        self._store.commit(Batch(self._source, observations, states=(state,), erases=erases))
        self._position = position


@dataclass(frozen=True, slots=True)
class LedgerSpan:
    """A stretch of a camera's time in nanoseconds since its zero; ``reason`` is None where it was watched."""

    start: int
    end: int
    reason: str | None


@dataclass(frozen=True, slots=True)
class LedgerReport:
    """All of a camera's time.

    Args:
        spans: in order, without gaps, from 0 to the ledger's position.
        watched: nanoseconds that were watched.
        blind: nanoseconds that were not, by reason.
    """

    spans: tuple[LedgerSpan, ...]
    watched: int
    blind: Mapping[str, int]


def ledger_report(store: Store, source: str, until: int | None = None) -> LedgerReport:
    """When a camera was watched and when it was blind, from its zero on; the spans add up to all of the time.

    Args:
        store: the library's.
        source: id of the camera's source.
        until: nanoseconds since the camera's zero, for a camera that is not being watched: what lies after the
            ledger's position is ``not_running``. None: up to the position.
    """
    position = _position(store, source) or 0
    spans: list[LedgerSpan] = []
    at = 0
    for found in store.query(Query(sources=(source,), kinds=(_KIND,), analyzers=(WATCH.analyzer,))):
        start, end = max(at, found.span.start.nanoseconds), min(position, found.span.end.nanoseconds)
        if end <= start:
            continue
        if start > at:
            spans.append(LedgerSpan(at, start, None))
        spans.append(LedgerSpan(start, end, found.label or "unknown"))
        at = end
    if position > at:
        spans.append(LedgerSpan(at, position, None))
    if until is not None and until > position:
        spans.append(LedgerSpan(position, until, NOT_RUNNING))
    blind: Counter[str] = Counter()
    for span in spans:
        if span.reason is not None:
            blind[span.reason] += span.end - span.start
    return LedgerReport(tuple(spans), sum(s.end - s.start for s in spans if s.reason is None), dict(blind))
