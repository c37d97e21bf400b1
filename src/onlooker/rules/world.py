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


@dataclass(slots=True)
class Track:
    """A confirmed track that is in sight, or was a moment ago.

    Attributes:
        label: the class that most of its boxes had.
        first, seen: nanoseconds of its first and its latest sighting.
        path: (nanoseconds, x, y) of its foot over the last three seconds.
        rests_on: its latest observation.
    """

    name: str
    first: int
    seen: int
    box: Box
    rests_on: Observation
    label: str = ""
    path: deque[tuple[int, float, float]] = field(default_factory=deque[tuple[int, float, float]])
    votes: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def foot(self) -> tuple[float, float]:
        """Where it stands."""
        return foot(self.box)

    def take(self, observation: Observation, now: int) -> None:
        """Its next box."""
        assert observation.box is not None
        label = observation.label or ""
        self.votes[label] = self.votes.get(label, 0) + 1
        if label != self.label and self.votes[label] >= self.votes.get(self.label, 0):
            self.label = label
        self.box, self.seen, self.rests_on = observation.box, now, observation
        self.path.append((now, *foot(observation.box)))
        while self.path[0][0] < now - _PATH_NS:
            self.path.popleft()

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
        arrived: what began at this moment.
        lost: tracks that went at this moment.
    """

    def __init__(self, places: Places, lost_ns: int) -> None:
        self.places, self._lost_ns = places, lost_ns
        self.now = 0
        self.tracks: dict[str, Track] = {}
        self.faces: dict[str, Track] = {}
        self.arrived: Sequence[Observation] = ()
        self.lost: list[Track] = []
        self._spans: dict[str, list[Observation]] = {}

    def step(self, now: int, arrived: Sequence[Observation]) -> None:
        """Go to the next moment; ``arrived`` begins there."""
        self.now, self.arrived = now, arrived
        self.lost = [t for t in (*self.tracks.values(), *self.faces.values()) if now - t.seen > self._lost_ns]
        for track in self.lost:
            for known in (self.tracks, self.faces):
                if known.get(track.name) is track:
                    del known[track.name]
        for spans in self._spans.values():
            spans[:] = [o for o in spans if o.span.end.nanoseconds > now]
        for o in arrived:
            if o.kind in ("object", "face"):
                self._see(o)
            else:
                self._spans.setdefault(o.kind, []).append(o)

    def _see(self, o: Observation) -> None:
        if o.track is None or o.box is None:
            return
        known = self.tracks if o.kind == "object" else self.faces
        track = known.get(o.track)
        if track is None:
            track = known[o.track] = Track(o.track, self.now, self.now, o.box, o)
        track.take(o, self.now)

    def spans(self, kind: str) -> Iterable[Observation]:
        """Observations of the kind that go on now."""
        return self._spans.get(kind, ())

    def wake(self) -> int | None:
        """When something ends by itself."""
        times = [t.seen + self._lost_ns + 1 for t in (*self.tracks.values(), *self.faces.values())]
        times += [o.span.end.nanoseconds for spans in self._spans.values() for o in spans]
        return min((t for t in times if t > self.now), default=None)
