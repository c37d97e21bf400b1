"""A track crosses a line: each crossing counts once, whatever the track does on the line and whatever it is called."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from onlooker.core.observation import Json
from onlooker.rules.condition import Condition, Hit, Hits, Node, Per, hit_of_track
from onlooker.rules.conditions._tracks import TrackFilter
from onlooker.rules.places import Line, Places
from onlooker.rules.units import Fraction01, Labels, Seconds, nanoseconds
from onlooker.rules.world import Track, World

__all__ = ["CONDITION", "Crosses", "CrossingFinder"]

Direction = Literal["in", "out"]


class Crosses(Condition):
    """Objects cross a line.

    Attributes:
        line: its name.
        label: classes; none: any.
        direction: ``in``, ``out`` or ``any``; which side is inside, the line says.
        margin: a track has crossed when it is this far beyond the line, in picture heights: standing on the line and
            shaking is no crossing.
        rejoin: a track that is lost near the line and found again under another name within this time goes on.
        count: whether events carry the running totals.
    """

    line: str
    label: Labels = ()
    direction: Literal["in", "out", "any"] = "any"
    margin: Fraction01 = 0.01
    rejoin: Seconds = 2.0
    count: bool = True

    per: ClassVar[Per] = "track"

    def kinds(self) -> frozenset[str]:
        """Boxes of tracks."""
        return frozenset({"object"})

    def node(self, path: str, places: Places) -> Node:
        """Itself at work."""
        return _Crosses(path, self, places)


@dataclass(slots=True)
class _Side:
    side: int
    place: tuple[float, float]
    label: str
    seen: int
    size: float


class CrossingFinder:
    """Follows tracks over one line.

    Args:
        line: of the picture.
        places: of the source.
        margin: in picture heights.
        rejoin_ns: how long a lost track is remembered.
    """

    def __init__(self, line: Line, places: Places, margin: float, rejoin_ns: int) -> None:
        self._points = [places.flat(p) for p in line.points]
        self._places, self._margin, self._rejoin = places, margin, rejoin_ns
        sign = 1 if line.inside is None else self._signed(places.flat(line.inside))[0]
        self._inside = 1 if sign >= 0 else -1
        self._known: dict[str, _Side] = {}
        self._lost: deque[_Side] = deque()

    def _signed(self, point: tuple[float, float]) -> tuple[float, bool]:
        """Distance to the nearest piece of the line, positive to the right of its walk; and whether the point lies
        beside the line rather than beyond its ends.
        """
        best, beside = math.inf, False
        for (ax, ay), (bx, by) in zip(self._points, self._points[1:], strict=False):
            dx, dy = bx - ax, by - ay
            length = math.hypot(dx, dy) or 1e-9
            along = ((point[0] - ax) * dx + (point[1] - ay) * dy) / length**2
            # y goes down, so a positive product means right of the walk
            across = (dx * (point[1] - ay) - dy * (point[0] - ax)) / length
            on = min(max(along, 0.0), 1.0)
            distance = math.hypot(point[0] - ax - on * dx, point[1] - ay - on * dy)
            if distance < abs(best):
                best, beside = math.copysign(distance, across), -0.05 <= along <= 1.05
        return best, beside

    def step(self, world: World, tracks: list[Track]) -> list[tuple[Track, Direction]]:
        """The crossings of this moment among the tracks that are sighted."""
        for track in world.lost:
            side = self._known.pop(track.name, None)
            if side is not None:
                self._lost.append(side)
        while self._lost and world.now - self._lost[0].seen > self._rejoin:
            self._lost.popleft()
        return [c for t in tracks if (c := self._follow(t)) is not None]

    def _follow(self, track: Track) -> tuple[Track, Direction] | None:
        point = self._places.flat(track.foot)
        distance, beside = self._signed(point)
        side = 0 if abs(distance) < self._margin else (1 if distance > 0 else -1)
        known = self._known.get(track.name)
        if known is None:
            known = self._taken_over(track, point)
            if known is None and side == 0:
                return None
            known = self._known[track.name] = known or _Side(side, point, track.label, track.seen, 0.0)
        known.place, known.seen, known.label = point, track.seen, track.label
        known.size = track.box.bottom - track.box.top
        if side == 0 or side == known.side:
            return None
        before, known.side = known.side, side
        if before == 0 or not beside:
            return None  # it went around an end of the line
        return track, "in" if side == self._inside else "out"

    def _taken_over(self, track: Track, point: tuple[float, float]) -> _Side | None:
        """What is known of a track that was lost just here, and now goes on under this name. One that is still held
        as in sight but was not seen of late is such a track, too: the tracker has not yet given it up.
        """
        silent = [(n, s) for n, s in self._known.items() if track.seen - self._rejoin <= s.seen < track.seen]
        candidates: list[tuple[float, str | None, _Side]] = [(math.dist(s.place, point), n, s) for n, s in silent]
        candidates += [(math.dist(s.place, point), None, s) for s in self._lost]
        candidates = [c for c in candidates if c[2].label == track.label and c[0] <= max(0.75 * c[2].size, 0.03)]
        if not candidates:
            return None
        _, name, side = min(candidates, key=lambda c: c[0])
        if name is not None:
            del self._known[name]
        else:
            self._lost.remove(side)
        return side


class _Crosses(Node):
    def __init__(self, path: str, config: Crosses, places: Places) -> None:
        super().__init__(path)
        self._config = config
        self._filter = TrackFilter(config.label)
        line = places.lines[config.line]
        self._finder = CrossingFinder(line, places, config.margin, nanoseconds(config.rejoin))
        self._totals: Counter[str] = Counter()

    def answer(self, world: World) -> Hits:
        hits: dict[str, Hit] = {}
        for track, direction in self._finder.step(world, [t for t in world.sighted if self._filter.fits(t)]):
            if self._config.direction in ("any", direction):
                self._totals[direction] += 1
                data: Mapping[str, Json] = {"line": self._config.line, "direction": direction}
                if self._config.count:
                    data = {**data, "total_in": self._totals["in"], "total_out": self._totals["out"]}
                hits[track.name] = hit_of_track(track, world.now, data, moment=True)
        return hits

    def why(self) -> str:
        return f"over {self._config.line} so far: {self._totals['in']} in, {self._totals['out']} out"


CONDITION = Crosses
