"""Fighting-like motion: people close together who move fast against each other."""

from __future__ import annotations

import math
from collections import deque
from itertools import pairwise
from typing import ClassVar

from pydantic import Field

from onlooker.rules.condition import Condition, Hit, Hits, Node, Per, hit_of_track, merged
from onlooker.rules.conditions._tracks import TrackFilter
from onlooker.rules.places import Places
from onlooker.rules.units import Labels, Seconds, nanoseconds
from onlooker.rules.world import Track, World

__all__ = ["CONDITION", "Fight"]


class Fight(Condition):
    """Two or more people close together whose boxes change fast and without direction, as in a fight.

    A cue from boxes alone, not a recognition of violence: dancing and sport look alike. Measured in body heights a
    second: how fast the edges of the boxes move beyond what their common movement explains.

    Attributes:
        label: classes.
        zone: where.
        close: greatest distance of two bodies' middles, in body heights.
        restless: least mean restlessness, in body heights a second.
        over: time over which it is taken.
    """

    label: Labels = ("person",)
    zone: str | None = None
    close: float = Field(default=0.7, gt=0)
    restless: float = Field(default=0.6, gt=0)
    over: Seconds = Field(default=1.5, gt=0)

    per: ClassVar[Per] = "camera"

    def kinds(self) -> frozenset[str]:
        """Boxes of tracks."""
        return frozenset({"object"})

    def node(self, path: str, places: Places) -> Node:
        """Itself at work."""
        return _Fight(path, self, places)


class _Fight(Node):
    def __init__(self, path: str, config: Fight, places: Places) -> None:
        super().__init__(path)
        self._config, self._places = config, places
        self._filter = TrackFilter(config.label)
        self._boxes: dict[str, deque[tuple[int, float, float, float, float]]] = {}
        self._since: int | None = None
        self._value = 0.0

    def answer(self, world: World) -> Hits:
        config, over = self._config, nanoseconds(self._config.over)
        people = [t for t in world.tracks.values() if self._filter.fits(t) and self._here(t)]
        for track in people:
            boxes = self._boxes.setdefault(track.name, deque())
            if not boxes or boxes[-1][0] != track.seen:
                left, top = self._places.flat((track.box.left, track.box.top))
                right, bottom = self._places.flat((track.box.right, track.box.bottom))
                boxes.append((track.seen, left, top, right, bottom))
            while boxes[0][0] < world.now - over:
                boxes.popleft()
                if not boxes:
                    break
        for track in world.lost:
            self._boxes.pop(track.name, None)
        involved = {t.name: t for a in people for b in people if a is not b and self._near(a, b) for t in (a, b)}
        values = {n: r for n in involved if (r := self._restlessness(n, over)) is not None}
        self._value = max(values.values(), default=0.0)
        if len(values) < 2 or sum(values.values()) / len(values) < config.restless:
            self._since = None
            return {}
        if self._since is None:
            self._since = world.now
        whole = merged(hit_of_track(involved[n], self._since) for n in sorted(values))
        data = {**(whole.data or {}), "restlessness": round(sum(values.values()) / len(values), 3)}
        return {"": Hit(self._since, whole.seen, whole.score, whole.label, whole.box, None, data, whole.rests_on)}

    def _here(self, track: Track) -> bool:
        return self._config.zone is None or self._places.inside(self._config.zone, track.foot)

    def _near(self, a: Track, b: Track) -> bool:
        (ax, ay), (bx, by) = (
            self._places.flat(((t.box.left + t.box.right) / 2, (t.box.top + t.box.bottom) / 2)) for t in (a, b)
        )
        height = max(a.box.bottom - a.box.top, b.box.bottom - b.box.top, 1e-6)
        return math.hypot(ax - bx, ay - by) <= self._config.close * height

    def _restlessness(self, name: str, over: int) -> float | None:
        """Mean speed of the box's edges beyond its own steady movement, in body heights a second."""
        boxes = self._boxes.get(name, deque())
        if len(boxes) < 4 or boxes[-1][0] - boxes[0][0] < over / 2:
            return None
        passed = (boxes[-1][0] - boxes[0][0]) / 1e9
        height = max(sum(b[4] - b[2] for b in boxes) / len(boxes), 1e-6)
        way = 0.0
        own = list(boxes)
        for a, b in pairwise(own):
            share = (b[0] - a[0]) / (own[-1][0] - own[0][0])
            steady = [(own[-1][i] - own[0][i]) * share for i in range(1, 5)]
            way += sum(abs(b[i] - a[i] - steady[i - 1]) for i in range(1, 5)) / 4
        return way / passed / height

    def why(self) -> str:
        return f"greatest restlessness {self._value:.2f}, {self._config.restless} wanted of two or more"


CONDITION = Fight
