"""What is going on at one moment of one source, gathered once for all conditions that ask for it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from onlooker.core.observation import Box, Observation
from onlooker.rules.places import Places, foot

__all__ = ["Track", "World"]

_PATH_NS = 3_000_000_000
_NEVER = 2**63


@dataclass(slots=True, eq=False)
class Track:
    """A confirmed track that is in sight, or was a moment ago.

    Attributes:
        label: the class that most of its boxes had.
        first, seen: nanoseconds of its first and its latest sighting.
        path: (nanoseconds, x, y) of its foot over the last three seconds.
        rests_on: its latest observation.
        foot: where it stands.
    """

    name: str
    first: int
    seen: int
    box: Box
    rests_on: Observation
    label: str = ""
    path: deque[tuple[int, float, float]] = field(default_factory=deque[tuple[int, float, float]])
    votes: dict[str, int] = field(default_factory=dict[str, int])
    foot: tuple[float, float] = (0.0, 0.0)

    def take(self, observation: Observation, now: int) -> None:
        """Its next box."""
        assert observation.box is not None
        label, box, path = observation.label or "", observation.box, self.path
        votes = self.votes[label] = self.votes.get(label, 0) + 1
        if label != self.label and votes >= self.votes.get(self.label, 0):
            self.label = label
        self.box, self.seen, self.rests_on, self.foot = box, now, observation, foot(box)
        path.append((now, *self.foot))
        while path[0][0] < now - _PATH_NS:
            path.popleft()

    def velocity(self, places: Places, over_ns: int) -> tuple[float, float] | None:
        """Metres (or picture widths) a second on the ground over about the last ``over_ns``; None: seen too briefly."""
        if len(self.path) < 2:
            return None
        last = self.path[-1]
        before = next((p for p in self.path if p[0] >= last[0] - over_ns), last)
        passed = (last[0] - before[0]) / 1e9
        if passed < over_ns / 2e9:
            return None
        (ax, ay), (bx, by) = places.ground(before[1:]), places.ground(last[1:])
        return (bx - ax) / passed, (by - ay) / passed

    def speed(self, places: Places, over_ns: int = 1_000_000_000) -> float | None:
        """Length of `velocity`."""
        velocity = self.velocity(places, over_ns)
        return None if velocity is None else math.hypot(*velocity)


class World:
    """Tracks in sight and spans that go on, at the moment ``now``.

    Args:
        places: of the source.
        lost_ns: a track not seen for longer is gone.

    Attributes:
        now: nanoseconds.
        tracks: confirmed object tracks by name; detections without a track never count.
        faces: the same of faces.
        sighted: the object tracks with a box at this moment.
        arrived: what began at this moment.
        lost: tracks that went at this moment.
    """

    def __init__(self, places: Places, lost_ns: int) -> None:
        self.places, self._lost_ns = places, lost_ns
        self.now = 0
        self.tracks: dict[str, Track] = {}
        self.faces: dict[str, Track] = {}
        self.sighted: list[Track] = []
        self.arrived: Sequence[Observation] = ()
        self.lost: list[Track] = []
        self._spans: dict[str, list[Observation]] = {}
        # the earliest moments at which a track may be lost and a span may end
        self._losing = self._ending = _NEVER

    def step(self, now: int, arrived: Sequence[Observation]) -> bool:
        """Go to the next moment; ``arrived`` begins there. Returns whether anything came or may have gone."""
        changed = bool(arrived) or now >= self._losing or now >= self._ending
        self.now, self.arrived, self.sighted = now, arrived, []
        self.lost = self._lose(now) if now >= self._losing else []
        if now >= self._ending:
            for spans in self._spans.values():
                spans[:] = [o for o in spans if o.span.end.nanoseconds > now]
            self._ending = min((o.span.end.nanoseconds for s in self._spans.values() for o in s), default=_NEVER)
        for o in arrived:
            if o.kind in ("object", "face"):
                self._see(o)
            else:
                self._spans.setdefault(o.kind, []).append(o)
                self._ending = min(self._ending, max(o.span.end.nanoseconds, now + 1))
        return changed

    def _lose(self, now: int) -> list[Track]:
        lost: list[Track] = []
        for known in (self.tracks, self.faces):
            gone = [t for t in known.values() if now - t.seen > self._lost_ns]
            for track in gone:
                del known[track.name]
            lost += gone
        seen = [t.seen for known in (self.tracks, self.faces) for t in known.values()]
        self._losing = min(seen) + self._lost_ns + 1 if seen else _NEVER
        return lost

    def _see(self, o: Observation) -> None:
        if o.track is None or o.box is None:
            return
        known = self.tracks if o.kind == "object" else self.faces
        track = known.get(o.track)
        if track is None:
            track = known[o.track] = Track(o.track, self.now, self.now, o.box, o)
            self._losing = min(self._losing, self.now + self._lost_ns + 1)
        track.take(o, self.now)
        if o.kind == "object" and track not in self.sighted:
            self.sighted.append(track)

    def spans(self, kind: str) -> Iterable[Observation]:
        """Observations of the kind that go on now."""
        return self._spans.get(kind, ())

    def wake(self) -> int | None:
        """A moment not after that at which something next ends by itself; None: nothing will."""
        soon = min(self._losing, self._ending)
        return None if soon == _NEVER else soon
