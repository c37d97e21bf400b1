"""Rules with a common watermark: what arrives is put in order of time once for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from onlooker.core.event import Event
from onlooker.core.observation import Observation
from onlooker.rules.places import Places
from onlooker.rules.run import RuleRun
from onlooker.rules.units import nanoseconds
from onlooker.rules.world import World

__all__ = ["Gathering"]


def _order(o: Observation) -> tuple[int, str, int, int, str, str, str]:
    producer = o.producer
    analyzer = producer.analyzer if producer else ""
    return (
        o.span.start.nanoseconds,
        o.kind,
        o.span.end.nanoseconds,
        o.ordinal,
        analyzer,
        o.track or "",
        o.label or "",
    )


def _arrival(entry: tuple[int, Observation]) -> int:
    return entry[0]


class Gathering:
    """Takes observations in any order that their kinds' watermarks allow, and evaluates its rules in order of time.

    Args:
        runs: rules whose kinds have a common watermark.
        places: of the source.
        lost: seconds after which an unseen track is gone.
        begin: nanoseconds at which watching begins.
    """

    def __init__(self, runs: Sequence[RuleRun], places: Places, lost: float, begin: int = 0) -> None:
        self.runs = runs
        self.kinds = frozenset[str]().union(*(run.kinds for run in runs))
        self.world = World(places, nanoseconds(lost))
        self._waiting: list[tuple[int, Observation]] = []  # from the latest to the earliest
        self._fresh: list[tuple[int, Observation]] = []
        self._next: int | None = begin

    def add(self, observation: Observation) -> None:
        """Keep an observation of one of its kinds until its moment comes."""
        told = observation.data.get("told_ns")
        start = observation.span.start.nanoseconds
        self._fresh.append((max(start, told) if isinstance(told, int) else start, observation))

    def advance(self, limit: int | None) -> Iterator[Event]:
        """Evaluate all moments before ``limit`` nanoseconds (None: all that is there); yields what became of events."""
        waiting = self._waiting
        if self._fresh:
            waiting += self._fresh
            waiting.sort(key=_arrival, reverse=True)
            self._fresh = []
        while waiting or self._next is not None:
            now = waiting[-1][0] if waiting else self._next
            assert now is not None
            if self._next is not None and self._next < now:
                now = self._next
            now = max(now, self.world.now)
            if limit is not None and now >= limit:
                return
            arrived: list[Observation] = []
            while waiting and waiting[-1][0] <= now:
                arrived.append(waiting.pop()[1])
            if len(arrived) > 1:
                arrived.sort(key=_order)
            yield from self.moment(now, arrived)
            if limit is None and not waiting:
                return

    def moment(self, now: int, arrived: Sequence[Observation] = ()) -> list[Event]:
        """Evaluate one moment: all rules if anything arrived or went, else those that are due."""
        changed = self.world.step(now, arrived)
        made: list[Event] = []
        for run in self.runs:
            if changed or run.due is None or run.due <= now:
                made += run.moment(self.world)
        self._next = self.world.wake()
        for run in self.runs:
            if run.due is not None and (self._next is None or run.due < self._next):
                self._next = run.due
        return made

    def finish(self, end: int) -> Iterator[Event]:
        """The source has ended at ``end``: events that go on end with it."""
        yield from self.advance(end)
        yield from self.moment(max(end, self.world.now))
        for run in self.runs:
            yield from run.finish(self.world.now)
