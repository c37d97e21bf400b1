"""One rule on one source: from moments to events."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

from onlooker.core.event import Event, State, event_id
from onlooker.rules.condition import Hit, Hits, merged
from onlooker.rules.language import Rule
from onlooker.rules.places import Places
from onlooker.rules.schedule import Clock, Schedule
from onlooker.rules.units import nanoseconds
from onlooker.rules.world import World

__all__ = ["RuleRun", "Subject"]

_MOST = 16
_FAR = 2**62


@dataclass(frozen=True, slots=True)
class Subject:
    """What events are about besides their rule: the source, its camera and its clock."""

    source: str
    camera: str
    clock: Clock


def _tracks(hit: Hit) -> tuple[str, ...]:
    listed = (hit.data or {}).get("tracks")
    return tuple(str(t) for t in listed) if isinstance(listed, list) else ((hit.track,) if hit.track else ())


class _Open:
    """An event that goes on: what was told of it, and what has come since."""

    def __init__(self, event: Event, hit: Hit, told: int) -> None:
        self.event, self.hit, self.told = event, hit, told
        self.false_since: int | None = None
        self.news = False
        self.tracks = dict.fromkeys(event.tracks)
        self.score = event.score
        self.data = dict(event.data)
        self.rests_on = deque((o for o in hit.rests_on if o.source), maxlen=_MOST)

    def told_as(self, state: State) -> Event:
        """The event with all that has come."""
        return replace(
            self.event,
            state=state,
            tracks=tuple(self.tracks),
            data=dict(self.data),
            score=self.score,
            box=self.hit.box,
            observations=tuple(o.id for o in self.rests_on),
        )


class RuleRun:
    """Evaluates its rule at the moments that it is given, and says when it wants the next.

    Args:
        rule: the rule.
        subject: what it looks at.
        places: of the source.
        lost: seconds after which an unseen track is gone.

    Attributes:
        due: nanoseconds at which something may change though nothing arrives; None: never by itself.
    """

    def __init__(self, rule: Rule, subject: Subject, places: Places, lost: float) -> None:
        self.rule, self.subject = rule, subject
        condition = rule.when.condition
        self.kinds = condition.kinds()
        self.node = condition.node(f"when.{rule.when.name}", places)
        self.suppressed = 0
        self.due: int | None = None
        self._per = rule.per or condition.per
        self._open: dict[str, _Open] = {}
        self._pending: dict[str, int] = {}
        self._quiet: dict[str, int] = {}
        self._lost = nanoseconds(lost)
        self._gap, self._lasts = nanoseconds(rule.gap), nanoseconds(rule.lasts)
        self._update, self._cooldown = nanoseconds(rule.update), nanoseconds(rule.cooldown)
        self.in_force = True
        self._edge: int | None = None

    def moment(self, world: World) -> list[Event]:
        """Evaluate one moment. A further moment without arrivals changes nothing that would not have come by itself."""
        now, node = world.now, self.node
        hits = node.step(world)
        if self.rule.schedule is not None and not self._is_in_force(self.rule.schedule, now):
            hits = {}
        made = list(self._decide(now, hits)) if hits or self._open or self._pending else []
        due = node.wake()
        if self._edge is not None or self._pending or self._open:
            due = self._soonest(due, now)
        self.due = due
        return made

    def _soonest(self, due: int | None, now: int) -> int | None:
        times = [due, self._edge]
        times += [t + self._lasts for t in self._pending.values()]
        times += [self._left(o) + self._gap for o in self._open.values() if o.false_since is not None]
        return min([t for t in times if t is not None and t > now], default=None)

    def finish(self, now: int) -> Iterator[Event]:
        """The source has ended: events that go on end with it."""
        for key in sorted(self._open):
            yield self._end(now, key)

    # -- decisions --

    def _is_in_force(self, schedule: Schedule, now: int) -> bool:
        clock = self.subject.clock
        if self._edge is None or now >= self._edge:
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
                yield self._end(now, key)

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
        if hit is not current.hit:
            self._update_with(current, hit)
        if current.news and now - current.told >= self._update:
            current.told, current.news = now, False
            current.event = replace(current.told_as("update"), number=current.event.number + 1)
            yield current.event

    @staticmethod
    def _update_with(current: _Open, hit: Hit) -> None:
        before, data = current.hit.data or {}, hit.data or {}
        tracks = {**current.tracks, **dict.fromkeys(_tracks(hit))}
        current.news = current.news or len(tracks) > len(current.tracks) or data.get("count") != before.get("count")
        scores = [s for s in (current.score, hit.score) if s is not None]
        # what rested on it before is not new, though it may have made room for later ones meanwhile
        known = {id(o) for o in (*current.rests_on, *current.hit.rests_on)}
        current.hit, current.tracks, current.score = hit, tracks, max(scores, default=None)
        current.data.update({k: v for k, v in data.items() if k != "tracks"})
        current.rests_on.extend(o for o in hit.rests_on if o.source and id(o) not in known)

    def _end(self, now: int, key: str) -> Event:
        current = self._open.pop(key)
        end = max(current.event.start, min(self._left(current), now))
        self._be_quiet(now, key)
        return self._ended(current.told_as("end"), end)

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
        if self._cooldown:
            self._quiet = {k: t for k, t in self._quiet.items() if t > now}
            self._quiet[key if self._per == "track" else ""] = now + self._cooldown

    # -- events --

    def _event(self, start: int, key: str, hit: Hit) -> Event:
        rule, subject = self.rule, self.subject
        own = hit.data or {}
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
            _tracks(hit),
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
