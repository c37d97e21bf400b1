"""Two objects are about to meet: time to collision."""

from __future__ import annotations

import math
from itertools import combinations
from typing import ClassVar

from pydantic import Field

from onlooker.rules.condition import Condition, Hit, Hits, Node, Per, hit_of_track, merged
from onlooker.rules.conditions._tracks import TrackFilter
from onlooker.rules.places import Places
from onlooker.rules.units import Labels, Seconds
from onlooker.rules.world import Track, World

__all__ = ["CONDITION", "NearCollision"]


class NearCollision(Condition):
    """Two objects approach each other so that they would meet soon if both went on as they do.

    Time to collision by constant velocities on the ground (Hayward 1972); the closest point of approach must lie within
    ``radius``.

    Attributes:
        label: classes of the one, and of the other unless ``other`` says so.
        other: classes of the other.
        time: less time to collision than this.
        radius: distance at which they meet: metres on a calibrated ground, else picture widths.
        closing: least closing speed, in the same unit a second.
    """

    label: Labels = ()
    other: Labels | None = None
    time: Seconds = Field(default=1.5, gt=0)
    radius: float = Field(default=0.03, gt=0)
    closing: float = Field(default=0.05, gt=0)

    per: ClassVar[Per] = "track"

    def kinds(self) -> frozenset[str]:
        """Boxes of tracks."""
        return frozenset({"object"})

    def node(self, path: str, places: Places) -> Node:
        """Itself at work."""
        return _NearCollision(path, self)


class _NearCollision(Node):
    def __init__(self, path: str, config: NearCollision) -> None:
        super().__init__(path)
        self._config = config
        self._one = TrackFilter(config.label)
        self._other = TrackFilter(config.label if config.other is None else config.other)
        self._since: dict[str, int] = {}
        self._least: float | None = None

    def answer(self, world: World) -> Hits:
        hits: dict[str, Hit] = {}
        self._least = None
        here = sorted((t for t in world.tracks.values() if world.now - t.seen < 1_000_000_000), key=lambda t: t.name)
        for a, b in combinations(here, 2):
            if not any(x.fits(a) and y.fits(b) for x, y in ((self._one, self._other), (self._other, self._one))):
                continue
            time = self._time(a, b, world)
            if time is None:
                continue
            self._least = time if self._least is None else min(self._least, time)
            if time <= self._config.time:
                key = f"{a.name}+{b.name}"
                since = self._since.setdefault(key, world.now)
                pair = merged([hit_of_track(t, since) for t in (a, b)])
                data = {**(pair.data or {}), "seconds_to_collision": round(time, 3)}
                hits[key] = Hit(since, pair.seen, pair.score, pair.label, pair.box, a.name, data, pair.rests_on)
        self._since = {k: v for k, v in self._since.items() if k in hits}
        return hits

    def _time(self, a: Track, b: Track, world: World) -> float | None:
        va, vb = (t.velocity(world.places, 600_000_000) for t in (a, b))
        if va is None or vb is None:
            return None
        (ax, ay), (bx, by) = world.places.ground(a.foot), world.places.ground(b.foot)
        px, py, vx, vy = bx - ax, by - ay, vb[0] - va[0], vb[1] - va[1]
        distance, speed = math.hypot(px, py), math.hypot(vx, vy)
        if distance <= 1e-9 or speed < self._config.closing:
            return None
        closing = -(px * vx + py * vy) / distance
        miss = abs(px * vy - py * vx) / speed
        if closing < self._config.closing or miss > self._config.radius:
            return None
        return max(0.0, distance - self._config.radius) / closing

    def why(self) -> str:
        return "nobody approaches" if self._least is None else f"least time to collision {self._least:.2f} s"


CONDITION = NearCollision
