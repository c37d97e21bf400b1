"""One rule on one source: from moments to events."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from onlooker.core.event import Event, event_id
from onlooker.core.observation import Observation
from onlooker.rules.condition import Hit, Hits, merged
from onlooker.rules.language import Rule
from onlooker.rules.places import Places
from onlooker.rules.schedule import Clock
from onlooker.rules.units import nanoseconds
from onlooker.rules.world import World

__all__ = ["RuleRun", "Subject"]

_MOST = 16
_FAR = 2**62
_Order = tuple[int, str, int, int, str, str, str]


@dataclass(frozen=True, slots=True)
class Subject:
    """What events are about besides their rule: the source, its camera and its clock."""

    source: str
    camera: str
    clock: Clock


@dataclass(slots=True)
class _Open:
    event: Event
    hit: Hit
    told: int
    false_since: int | None = None
    news: bool = False


class RuleRun:
    """Takes observations in any order that their kinds' watermarks allow, and evaluates them in order of time.

    Args:
        rule: the rule.
        subject: what it looks at.
        places: of the source.
        lost: seconds after which an unseen track is gone.
        begin: nanoseconds at which watching began.
    """

    def __init__(self, rule: Rule, subject: Subject, places: Places, lost: float, begin: int = 0) -> None:
        self.rule, self.subject = rule, subject
        condition = rule.when.condition
        self.kinds = condition.kinds()
        self.node = condition.node(f"when.{rule.when.name}", places)
        self.world = World(places, nanoseconds(lost))
        self.suppressed = 0
        self._per = rule.per or condition.per
        self._waiting: list[tuple[_Order, int, Observation]] = []
        self._number = 0
        self._open: dict[str, _Open] = {}
        self._pending: dict[str, int] = {}
        self._quiet: dict[str, int] = {}
        self._next: int | None = begin
        self._lost = nanoseconds(lost)
        self._gap, self._lasts = nanoseconds(rule.gap), nanoseconds(rule.lasts)
        self.in_force = True
        self._edge: int | None = None

    def add(self, observation: Observation) -> None:
        """Keep an observation of one of its kinds until its moment comes."""
        o, producer = observation, observation.producer
        order = (
            o.span.start.nanoseconds,
            o.kind,
            o.span.end.nanoseconds,
            o.ordinal,
            producer.analyzer if producer else "",
            o.track or "",
            o.label or "",
        )
        self._number += 1
        heapq.heappush(self._waiting, (order, self._number, o))

    def advance(self, limit: int | None) -> Iterator[Event]:
        """Evaluate all moments before ``limit`` nanoseconds (None: all that is there); yields what became of events."""
        while True:
            arrival = self._waiting[0][0][0] if self._waiting else None
            times = [t for t in (arrival, self._next) if t is not None]
            if not times:
                return
            now = max(min(times), self.world.now)
            if limit is not None and now >= limit:
                return
            arrived: list[Observation] = []
            while self._waiting and self._waiting[0][0][0] <= now:
                arrived.append(heapq.heappop(self._waiting)[2])
            yield from self.moment(now, arrived)
            if limit is None and not self._waiting:
                return

    def moment(self, now: int, arrived: Iterable[Observation] = ()) -> Iterator[Event]:
        """Evaluate one moment. A further moment without arrivals changes nothing that would not have come by itself."""
        self.world.step(now, list(arrived))
        hits = self.node.step(self.world)
        yield from self._decide(now, hits if self._is_in_force(now) else {})
        times = [self.world.wake(), self.node.wake(), self._edge]
        times += [t + self._lasts for t in self._pending.values()]
        times += [self._left(o) + self._gap for o in self._open.values() if o.false_since is not None]
        self._next = min((t for t in times if t is not None and t > now), default=None)

    def finish(self, end: int) -> Iterator[Event]:
        """The source has ended at ``end``: events that go on end with it."""
        yield from self.advance(end)
        yield from self.moment(max(end, self.world.now))
        for key in sorted(self._open):
            yield self._end(key)

    # -- decisions --

    def _is_in_force(self, now: int) -> bool:
        schedule, clock = self.rule.schedule, self.subject.clock
        if schedule is not None and (self._edge is None or now >= self._edge):
            self.in_force, later = schedule.state(clock.at(now))
            self._edge = max(clock.nanoseconds(later), now + 1)
        return self.in_force

    def _decide(self, now: int, hits: Hits) -> Iterator[Event]:
        for key, hit in hits.items():
            if hit.moment:
                yield from self._instant(now, key, hit)
        lasting = {k: h for k, h in hits.items() if not h.moment}
        if self._per == "camera" and lasting:
            lasting = {"": merged(lasting.values())}
        for key in [k for k in self._pending if k not in lasting]:
            del self._pending[key]
        for key, hit in lasting.items():
            if key in self._open:
                yield from self._go_on(now, self._open[key], hit)
            else:
                yield from self._begin(now, key, hit)
        for key in [k for k in self._open if k not in lasting]:
            current = self._open[key]
            if current.false_since is None:
                current.false_since = now
            if now - self._left(current) >= self._gap:
                yield self._end(key)

    def _instant(self, now: int, key: str, hit: Hit) -> Iterator[Event]:
        if self._is_quiet(now, key):
            self.suppressed += 1
            return
        event = self._event(now, key, hit)
        yield event
        yield self._ended(event, now)
        self._be_quiet(now, key)

    def _begin(self, now: int, key: str, hit: Hit) -> Iterator[Event]:
        since = self._pending.setdefault(key, now)
        if now - since < self._lasts:
            return
        del self._pending[key]
        if self._is_quiet(now, key):
            self.suppressed += 1
            self._pending[key] = now
            return
        event = self._event(since, key, hit)
        self._open[key] = _Open(event, hit, now)
        yield event

    def _go_on(self, now: int, current: _Open, hit: Hit) -> Iterator[Event]:
        current.false_since = None
        before = current.event
        fresh = self._event(before.start, "", hit)
        tracks = tuple(dict.fromkeys((*before.tracks, *fresh.tracks)))
        current.news = current.news or tracks != before.tracks or fresh.data.get("count") != before.data.get("count")
        scores = [s for s in (before.score, fresh.score) if s is not None]
        current.hit = hit
        current.event = replace(
            before,
            state="update",
            tracks=tracks,
            data={**before.data, **fresh.data},
            score=max(scores) if scores else None,
            box=fresh.box,
            observations=tuple(dict.fromkeys((*before.observations, *fresh.observations)))[-_MOST:],
        )
        if current.news and now - current.told >= nanoseconds(self.rule.update):
            current.told, current.news = now, False
            current.event = replace(current.event, number=before.number + 1)
            yield current.event

    def _end(self, key: str) -> Event:
        current = self._open.pop(key)
        end = max(current.event.start, min(self._left(current), self.world.now))
        self._be_quiet(self.world.now, key)
        return self._ended(current.event, end)

    def _left(self, current: _Open) -> int:
        """When it stopped: the last sighting where a track was lost, else the moment at which it no longer held."""
        seen, false = current.hit.seen, current.false_since
        if seen is None or (false is not None and false - seen <= self._lost):
            return _FAR if false is None else false
        return seen

    # -- cool-down --

    def _is_quiet(self, now: int, key: str) -> bool:
        return now < self._quiet.get(key if self._per == "track" else "", -1)

    def _be_quiet(self, now: int, key: str) -> None:
        if self.rule.cooldown:
            self._quiet = {k: t for k, t in self._quiet.items() if t > now}
            self._quiet[key if self._per == "track" else ""] = now + nanoseconds(self.rule.cooldown)

    # -- events --

    def _event(self, start: int, key: str, hit: Hit) -> Event:
        rule, subject = self.rule, self.subject
        own = hit.data or {}
        listed = own.get("tracks")
        tracks = tuple(str(t) for t in listed) if isinstance(listed, list) else ((hit.track,) if hit.track else ())
        return Event(
            event_id(rule.id, subject.source, start, key),
            rule.id,
            subject.source,
            subject.camera,
            "new",
            start,
            None,
            rule.severity,
            hit.score,
            hit.label,
            hit.box,
            tracks,
            {k: v for k, v in own.items() if k != "tracks"},
            tuple(o.id for o in hit.rests_on if o.source)[-_MOST:],
            self._evidence(start, None),
            subject.clock.at(start) if subject.clock.known else None,
            rule.channels,
        )

    def _ended(self, event: Event, end: int) -> Event:
        return replace(event, state="end", end=end, number=event.number + 1, evidence=self._evidence(event.start, end))

    def _evidence(self, start: int, end: int | None) -> dict[str, float | None]:
        begin = max(0.0, start / 1e9 - self.rule.before)
        last = None if end is None else round(end / 1e9 + self.rule.after, 3)
        return {"from_seconds": round(begin, 3), "to_seconds": last, "snapshot_seconds": round(start / 1e9, 3)}
