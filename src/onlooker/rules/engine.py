"""Rules over the observations of one source, live or stored: the same observations give the same events."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from onlooker.core.errors import ConfigError
from onlooker.core.event import Event
from onlooker.core.media import SourceInfo
from onlooker.core.observation import Observation
from onlooker.core.store import Query, Store
from onlooker.core.time import Span
from onlooker.rules.gathering import Gathering
from onlooker.rules.language import Rule, RuleFile
from onlooker.rules.run import RuleRun, Subject
from onlooker.rules.schedule import Clock

__all__ = ["Engine", "backtest", "begin_of"]


def begin_of(info: SourceInfo) -> datetime | None:
    """Wall time of a source's zero as its container tells, or None."""
    try:
        found = datetime.fromisoformat(info.tags["creation_time"])
    except (KeyError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


_PAUSE = "not_running"


def _is_pause(o: Observation) -> bool:
    return o.kind == "blind" and o.label == _PAUSE


class _Section:
    """Rules with a common watermark, begun anew after each time in which nobody watched."""

    def __init__(self, make: Callable[[int], Gathering], begin: int) -> None:
        self._make, self._begin = make, begin
        self.gathering = make(begin)
        self._pauses: deque[tuple[int, int]] = deque()
        self._later: list[Observation] = []

    def pause(self, start: int, end: int) -> None:
        """Nobody watched; all that begins later comes after this call."""
        self._pauses.append((start, end))

    def add(self, o: Observation) -> None:
        if self._pauses and o.span.start.nanoseconds >= self._pauses[0][0]:
            self._later.append(o)
        else:
            self.gathering.add(o)

    def advance(self, limit: int) -> Iterator[Event]:
        while self._pauses and limit >= self._pauses[0][0]:
            start, end = self._pauses.popleft()
            yield from self._ended(start)
            self._begin, self.gathering = max(end, self._begin), self._make(max(end, self._begin))
            later, self._later = self._later, []
            for o in later:
                if o.span.start.nanoseconds >= end:
                    self.add(o)
        yield from self.gathering.advance(limit)

    def finish(self, end: int) -> Iterator[Event]:
        yield from self.advance(end)
        yield from self._ended(end)

    def _ended(self, at: int) -> Iterator[Event]:
        if at > self._begin:
            yield from self.gathering.finish(at)


class Engine:
    """All rules of a file that look at one source.

    Each rule has a watermark of its own, the least of those of its kinds: one on objects does not wait for sentences.

    Of a live source, the time in which nobody watched (`blind` with the label ``not_running``) ends all events; rules
    begin anew after it. It must be given no later than what begins after it. An observation that came later than its
    kind's watermark says so in its field ``told_ns``, and is taken as if it began then.

    Args:
        rules: the file.
        info: the source.
        begin: wall time of the source's zero; needed by rules with a schedule.
        start: nanoseconds at which watching begins.
        together: all kinds have one watermark, as over what is stored: rules then wait for each other, which is faster.

    Raises:
        ConfigError: a rule has a schedule and wall time is not known.
    """

    def __init__(
        self,
        rules: RuleFile,
        info: SourceInfo,
        begin: datetime | None = None,
        start: int = 0,
        *,
        together: bool = False,
    ) -> None:
        name, camera = rules.camera_of(info)
        if info.live:
            name = info.path  # a camera that is watched has a name of its own
        clock = Clock(begin or begin_of(info), (camera.time_zone if camera else None) or rules.time_zone)
        chosen = rules.rules_for(info)
        timed = [r.id for r in chosen if r.schedule is not None]
        if timed and not clock.known:
            raise ConfigError(
                f"the rule {timed[0]} has a schedule, but nothing says at what time {info.path} begins",
                hint="give the time with --clock, such as 2026-05-01T08:00:00+02:00",
            )
        places = rules.places(info)
        subject = Subject(info.id, name, clock)
        self._order = [r.id for r in chosen]
        self._live = info.live

        def making(own: Sequence[Rule]) -> Callable[[int], Gathering]:
            return lambda begin: Gathering(
                [RuleRun(r, subject, places, rules.lost) for r in own], places, rules.lost, begin
            )

        alike: dict[frozenset[str], list[Rule]] = {}
        for rule in chosen:
            alike.setdefault(frozenset() if together else rule.when.condition.kinds(), []).append(rule)
        self._sections = [_Section(making(own), start) for own in alike.values()]

    @property
    def runs(self) -> list[RuleRun]:
        """The rules at work, in the file's order."""
        runs = [run for gathering in self.gatherings for run in gathering.runs]
        return sorted(runs, key=lambda run: self._order.index(run.rule.id))

    @property
    def gatherings(self) -> list[Gathering]:
        """The rules at work, by their watermark."""
        return [section.gathering for section in self._sections]

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of observation that the rules look at."""
        own = frozenset[str]().union(*(g.kinds for g in self.gatherings))
        return own | {"blind"} if self._live and own else own

    def take(self, observations: Iterable[Observation], ends: Mapping[str, int]) -> list[Event]:
        """Take what arrived.

        Args:
            observations: in any order.
            ends: by kind, the watermark in nanoseconds: no observation of the kind that begins before it will come.
                A kind that is left out waits.
        """
        found = [*observations]
        for o in filter(_is_pause, found):
            for section in self._sections:
                section.pause(o.span.start.nanoseconds, o.span.end.nanoseconds)
        for o in found:
            if o.kind == "blind" and o.label == _PAUSE:
                continue
            for section in self._sections:
                if o.kind in section.gathering.kinds:
                    # a blind stretch is written anew while it lasts: events cannot name it
                    section.add(o if o.kind != "blind" else replace(o, source=""))
        made: list[Event] = []
        for section in self._sections:
            kinds = section.gathering.kinds
            if all(kind in ends for kind in kinds):
                made += section.advance(min(ends[kind] for kind in kinds))
        return made

    def moment(self, now: int) -> list[Event]:
        """Evaluate a moment at which nothing arrives."""
        return [event for gathering in self.gatherings for event in gathering.moment(now)]

    def finish(self, end: int) -> list[Event]:
        """The source has ended."""
        return [event for section in self._sections for event in section.finish(end)]


_CHUNK = 2000


def _end_of(store: Store, info: SourceInfo) -> int:
    """Nanoseconds up to which a source is known to reach."""
    if info.duration is not None:
        return int(info.duration * 1_000_000_000)
    states = store.states(info.id) if info.live else []
    return max((s.position.nanoseconds for s in states if s.position is not None), default=0)


def backtest(
    store: Store,
    rules: RuleFile,
    sources: Sequence[SourceInfo],
    span: Span | None = None,
    begin: Mapping[str, datetime] | None = None,
) -> Iterator[Event]:
    """The events that the rules make of what is stored, source by source, each in order of its rules' decisions.

    Args:
        store: the library.
        rules: the file.
        sources: which sources.
        span: the stretch of each source, or all of it; watching begins at its start.
        begin: wall time of each source's zero, by id.
    """
    for info in sources:
        start = 0 if span is None else max(0, span.start.nanoseconds)
        engine = Engine(rules, info, (begin or {}).get(info.id), start, together=True)
        kinds = tuple(sorted(engine.kinds))
        if not engine.runs:
            continue
        last = start
        chunk: list[Observation] = []
        for o in store.query(Query(sources=(info.id,), kinds=kinds, span=span)):
            if o.span.start.nanoseconds < start and not _is_pause(o):
                continue
            chunk.append(o)
            last = max(last, o.span.end.nanoseconds)
            if len(chunk) >= _CHUNK:
                moment = chunk[-1].span.start.nanoseconds
                yield from engine.take(chunk, dict.fromkeys(kinds, moment))
                chunk = []
        yield from engine.take(chunk, dict.fromkeys(kinds, last))
        whole = _end_of(store, info)
        yield from engine.finish(max(last, whole) if span is None else min(max(last, whole), span.end.nanoseconds))
