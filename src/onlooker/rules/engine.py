"""Rules over the observations of one source, live or stored: the same observations give the same events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from onlooker.core.errors import ConfigError
from onlooker.core.event import Event
from onlooker.core.media import SourceInfo
from onlooker.core.observation import Observation
from onlooker.core.store import Query, Store
from onlooker.core.time import Span
from onlooker.rules.gathering import Gathering
from onlooker.rules.language import RuleFile
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


class Engine:
    """All rules of a file that look at one source.

    Each rule has a watermark of its own, the least of those of its kinds: one on objects does not wait for sentences.

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
        clock = Clock(begin or begin_of(info), (camera.time_zone if camera else None) or rules.time_zone)
        chosen = rules.rules_for(info)
        timed = [r.id for r in chosen if r.schedule is not None]
        if timed and not clock.known:
            raise ConfigError(
                f"the rule {timed[0]} has a schedule, but nothing says at what time {info.path} begins",
                hint="give the time with --clock, such as 2026-05-01T08:00:00+02:00",
            )
        places = rules.places(info)
        self.runs = [RuleRun(r, Subject(info.id, name, clock), places, rules.lost) for r in chosen]
        alike: dict[frozenset[str], list[RuleRun]] = {}
        for run in self.runs:
            alike.setdefault(frozenset() if together else run.kinds, []).append(run)
        self.gatherings = [Gathering(runs, places, rules.lost, start) for runs in alike.values()]

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of observation that the rules look at."""
        return frozenset().union(*(r.kinds for r in self.runs))

    def take(self, observations: Iterable[Observation], ends: Mapping[str, int]) -> list[Event]:
        """Take what arrived.

        Args:
            observations: in any order.
            ends: by kind, the watermark in nanoseconds: no observation of the kind that begins before it will come.
                A kind that is left out waits.
        """
        for o in observations:
            for gathering in self.gatherings:
                if o.kind in gathering.kinds:
                    gathering.add(o)
        made: list[Event] = []
        for gathering in self.gatherings:
            if all(kind in ends for kind in gathering.kinds):
                made += gathering.advance(min(ends[kind] for kind in gathering.kinds))
        return made

    def moment(self, now: int) -> list[Event]:
        """Evaluate a moment at which nothing arrives."""
        return [event for gathering in self.gatherings for event in gathering.moment(now)]

    def finish(self, end: int) -> list[Event]:
        """The source has ended."""
        return [event for gathering in self.gatherings for event in gathering.finish(end)]


_CHUNK = 2000


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
            if o.span.start.nanoseconds < start:
                continue
            chunk.append(o)
            last = max(last, o.span.end.nanoseconds)
            if len(chunk) >= _CHUNK:
                moment = chunk[-1].span.start.nanoseconds
                yield from engine.take(chunk, dict.fromkeys(kinds, moment))
                chunk = []
        yield from engine.take(chunk, dict.fromkeys(kinds, last))
        whole = 0 if info.duration is None else int(info.duration * 1_000_000_000)
        yield from engine.finish(max(last, whole) if span is None else min(max(last, whole), span.end.nanoseconds))
