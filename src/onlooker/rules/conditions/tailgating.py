"""Somebody follows another through a door."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from onlooker.rules.condition import Condition, Hit, Hits, Node, Per, hit_of_track
from onlooker.rules.conditions._tracks import TrackFilter
from onlooker.rules.conditions.crosses import CrossingFinder
from onlooker.rules.places import Places
from onlooker.rules.units import Labels, Seconds, nanoseconds
from onlooker.rules.world import World

__all__ = ["CONDITION", "Tailgating"]


class Tailgating(Condition):
    """A second one crosses a line in the same direction soon after the first.

    Attributes:
        line: its name.
        label: classes; none: any.
        direction: in or out.
        within: time between the two.
    """

    line: str
    label: Labels = ("person",)
    direction: Literal["in", "out"] = "in"
    within: Seconds = Field(default=2.0, gt=0)

    per: ClassVar[Per] = "track"

    def kinds(self) -> frozenset[str]:
        """Boxes of tracks."""
        return frozenset({"object"})

    def node(self, path: str, places: Places) -> Node:
        """Itself at work."""
        return _Tailgating(path, self, places)


class _Tailgating(Node):
    def __init__(self, path: str, config: Tailgating, places: Places) -> None:
        super().__init__(path)
        self._config = config
        self._filter = TrackFilter(config.label)
        self._finder = CrossingFinder(places.lines[config.line], places, 0.01, 2_000_000_000)
        self._before: tuple[int, str] | None = None

    def answer(self, world: World) -> Hits:
        hits: dict[str, Hit] = {}
        for track, direction in self._finder.step(world, [t for t in world.sighted if self._filter.fits(t)]):
            if direction != self._config.direction:
                continue
            if self._before is not None and world.now - self._before[0] <= nanoseconds(self._config.within):
                passed = round((world.now - self._before[0]) / 1e9, 3)
                hits[track.name] = hit_of_track(
                    track, world.now, {"follows": self._before[1], "seconds": passed}, moment=True
                )
            self._before = (world.now, track.name)
        return hits

    def why(self) -> str:
        return "nobody crossed yet" if self._before is None else f"last to cross: {self._before[1]}"


CONDITION = Tailgating
