"""The rules of one camera at work: from what is stored to events in the journal."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from onlooker.core.errors import StoreError
from onlooker.core.event import Event
from onlooker.core.media import SourceInfo
from onlooker.core.observation import Json, Observation
from onlooker.core.store import Query, Store
from onlooker.core.time import NANOSECONDS, Span, Timestamp
from onlooker.events import Journal
from onlooker.events.config import Sinks
from onlooker.rules import Engine, RuleFile

__all__ = ["Evidence", "Teller"]

_log = logging.getLogger("onlooker.station")
_RECORDS = "watch"
_CHUNK = 2000
_SHAPELESS = 5_000_000_000
"""After this time without a picture rules work without knowing its shape."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What keeps evidence of events.

    Args:
        begun: an event began; gives the path of its snapshot, relative to the library, or None.
        ended: an event has ended.
    """

    begun: Callable[[Event], str | None]
    ended: Callable[[Event], None]


class Teller:
    """Gives observations to the rules as they are stored, and takes the events into the journal. Thread-safe.

    Args:
        store: the library's store.
        journal: where events go, with the outbox of the sinks.
        source: id of the camera's source.
        info: the source as it is known now.
        rules: what looks at it; None: nothing does.
        sinks: who is told.
        evidence: keeps snapshots and clips.
    """

    def __init__(
        self,
        store: Store,
        journal: Journal,
        source: str,
        info: Callable[[], SourceInfo],
        rules: RuleFile | None,
        sinks: Sinks,
        evidence: Evidence,
    ) -> None:
        self._store, self._journal, self._source, self._info = store, journal, source, info
        self.rules, self.sinks, self._evidence = rules, sinks, evidence
        self._lock = threading.RLock()
        self._engine: Engine | None = None
        self._recovery: threading.Thread | None = None
        self._begin = self._until = self._blind = 0
        self._early: list[Observation] = []
        self._untold: list[Event] = []
        self._snapshots: dict[str, str] = {}
        self.count = 0
        """Events that began since the start."""
        self.trouble = ""
        """What went wrong last, or empty."""

    # -- an earlier run --

    def _recover(self, end: int) -> None:
        """Tell what an earlier run did not come to tell, and end what it left open, at ``end`` nanoseconds.

        Rules are evaluated again over what it stored; states that it told have the same ids and numbers, so the journal
        takes only the others. With other rules than it had, its open events are only ended. The record of it stays
        until all is done.
        """
        known = self._store.records(_RECORDS).get(self._source)
        if isinstance(known, dict) and known.get("rules") == _digest(self.rules) and self.rules is not None:
            begin = known.get("begin")
            if isinstance(begin, int) and not known.get("ended"):
                for event in self._again(self.rules, begin, end):
                    self._take(event)
        for record in self._journal.open_events(self._source):
            event = record.event
            if event.start < self._begin:
                self._take(replace(event, state="end", end=max(end, event.start), number=event.number + 1))

    def _again(self, rules: RuleFile, begin: int, end: int) -> Sequence[Event]:
        engine = Engine(rules, self._info(), start=begin)
        span = Span(Timestamp(begin, NANOSECONDS), Timestamp(max(begin, end), NANOSECONDS))
        query = Query(sources=(self._source,), kinds=tuple(sorted(engine.kinds)), span=span)
        made: list[Event] = []
        chunk: list[Observation] = []
        for o in self._store.query(query) if engine.kinds else ():
            if not begin <= o.span.start.nanoseconds < end:
                continue
            chunk.append(o)
            if len(chunk) >= _CHUNK:
                made += engine.take(chunk, dict.fromkeys(engine.kinds, o.span.start.nanoseconds))
                chunk = []
        made += engine.take(chunk, dict.fromkeys(engine.kinds, end))
        return made + engine.finish(end)

    # -- this run --

    def begin(self, at: int, earlier: int | None = None) -> None:
        """Watching begins at ``at`` nanoseconds.

        Args:
            at: nanoseconds.
            earlier: where an earlier run ended; what it left is told beside, since that may take a while.
        """
        with self._lock:
            self._engine, self._begin, self._until, self._blind, self._early = None, at, at, at, []
        if earlier is None:
            self._remember(ended=False)
            return
        self._recovery = threading.Thread(target=self._recover_beside, args=(earlier,), name="onlooker-recovery")
        self._recovery.start()

    def _recover_beside(self, end: int) -> None:
        try:
            self._recover(end)
            self._remember(ended=False)
        except Exception as error:
            _log.exception("what an earlier run left of %s was not told", self._source)
            self.trouble = f"what an earlier run left was not told: {error}"

    def take(self, made: Sequence[Observation], until: int, marks: Mapping[str, int]) -> None:
        """What was stored.

        Args:
            made: the observations.
            until: the watermark of kinds that are not in ``marks``.
            marks: watermarks in nanoseconds by kind.
        """
        with self._lock:
            self._until = max(self._until, until)
            self._early += made
            self._advance(marks)

    def unseen(self, reason: str, start: int, end: int) -> None:
        """Nothing was seen from ``start`` to ``end`` nanoseconds, and maybe on."""
        with self._lock:
            if end > start >= self._blind:
                span = Span(Timestamp(start, NANOSECONDS), Timestamp(end, NANOSECONDS))
                self._early.append(Observation(span, "blind", label=reason))
            self.seen(end)

    def seen(self, until: int) -> None:
        """No blind stretch that is not known begins before ``until``."""
        with self._lock:
            self._blind = max(self._blind, until)

    def finish(self, at: int) -> None:
        """Watching ends: so do all events."""
        if self._recovery is not None:
            self._recovery.join()
            self._recovery = None
        with self._lock:
            self._until = self._blind = max(self._until, self._blind, at)
            self._advance({}, build=True)
            if self._engine is not None:
                self._tell(self._engine.finish(at))
            self._engine = None
            self._retry()
            self._remember(ended=not self._untold)

    def reload(self, rules: RuleFile | None, at: int) -> None:
        """Other rules from ``at`` nanoseconds on; events of the old ones end."""
        with self._lock:
            if _digest(rules) == _digest(self.rules):
                return
            self.finish(at)
            self.rules = rules
            self.begin(at)

    def tick(self) -> None:
        """Call it about once a second."""
        with self._lock:
            self._retry()

    # -- inside --

    def _advance(self, marks: Mapping[str, int], *, build: bool = False) -> None:
        engine = self._engine or self._built(build)
        if engine is None:
            return
        early, self._early = self._early, []
        ends = {kind: marks.get(kind, self._until) for kind in engine.kinds} | {"blind": self._blind}
        try:
            self._tell(engine.take(early, ends))
        except Exception:
            _log.exception("rules failed on %s", self._source)
            self.trouble = "a rule failed; see the log"

    def _built(self, force: bool) -> Engine | None:
        """The engine, once the picture's shape is known, which zones and speeds depend on."""
        if self.rules is None:
            self._early = []
            return None
        info = self._info()
        if info.video is None and not force and self._until - self._begin < _SHAPELESS:
            return None
        self._engine = Engine(self.rules, info, start=self._begin)
        return self._engine

    def _tell(self, events: Sequence[Event]) -> None:
        for event in events:
            if event.state == "new":
                self.count += 1
                snapshot = self._evidence.begun(event)
                if snapshot is not None:
                    self._snapshots[event.id] = snapshot
            shown = replace(event, evidence=self._with_snapshot(event))
            self._untold.append(shown)
            if event.state == "end":
                self._snapshots.pop(event.id, None)
        self._retry()

    def _with_snapshot(self, event: Event) -> dict[str, Json]:
        return {**event.evidence, "snapshot": self._snapshots.get(event.id)}

    def _retry(self) -> None:
        """Take what waits into the journal, in order; what cannot be written now waits on."""
        while self._untold:
            event = self._untold[0]
            try:
                self._take(event)
            except StoreError as error:
                self.trouble = str(error)
                return
            self._untold.pop(0)
            self.trouble = ""

    def _take(self, event: Event) -> bool:
        taken = self._journal.take(event, self.sinks.sections)
        if event.state == "end":
            self._evidence.ended(event)
        return taken

    def _remember(self, *, ended: bool) -> None:
        record: dict[str, Any] = {"rules": _digest(self.rules), "begin": self._begin, "ended": ended}
        self._store.put_records(_RECORDS, {self._source: record})


def _digest(rules: RuleFile | None) -> str:
    text = "" if rules is None else rules.model_dump_json()
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
