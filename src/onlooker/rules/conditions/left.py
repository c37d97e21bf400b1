"""An object was left behind, or one that stood there was taken away."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from onlooker.core.observation import Box
from onlooker.rules.condition import Condition, Hit, Hits, Node, Per, hit_of_track
from onlooker.rules.conditions._tracks import TrackFilter
from onlooker.rules.places import Places
from onlooker.rules.units import Labels, Seconds, nanoseconds
from onlooker.rules.world import Track, World

__all__ = ["CONDITION", "Left"]


class Left(Condition):
    """An object stands without anybody near it, or is gone after it stood.

    Attributes:
        what: ``left`` or ``taken``.
        label: classes of the object.
        owner: classes of those who may be near it.
        lasts: how long it must stand alone (left), or must have stood before (taken).
        near: distance within which somebody is near, in picture heights.
        still: how far its middle may shift, in picture heights.
        zone: where.
    """

    what: Literal["left", "taken"] = "left"
    label: Labels = ("backpack", "handbag", "suitcase")
    owner: Labels = ("person",)
    lasts: Seconds = Field(default=30.0, gt=0)
    near: float = Field(default=0.2, ge=0, le=2)
    still: float = Field(default=0.03, gt=0, le=1)
    zone: str | None = None

    per: ClassVar[Per] = "track"

    def kinds(self) -> frozenset[str]:
        """Boxes of tracks."""
        return frozenset({"object"})

    def node(self, path: str, places: Places) -> Node:
        """Itself at work."""
        return _Left(path, self, places)


@dataclass(slots=True)
class _Thing:
    place: tuple[float, float]
    still_since: int
    alone_since: int | None = None


class _Left(Node):
    def __init__(self, path: str, config: Left, places: Places) -> None:
        super().__init__(path)
        self._config, self._places = config, places
        self._things: dict[str, _Thing] = {}
        self._filter, self._owner = TrackFilter(config.label), TrackFilter(config.owner)

    def _middle(self, box: Box) -> tuple[float, float]:
        return self._places.flat(((box.left + box.right) / 2, (box.top + box.bottom) / 2))

    def answer(self, world: World) -> Hits:
        config, least = self._config, nanoseconds(self._config.lasts)
        owners = [self._middle(t.box) for t in world.tracks.values() if self._owner.fits(t)]
        hits: dict[str, Hit] = {}
        for track in world.tracks.values():
            if not self._filter.fits(track) or not self._here(track):
                continue
            thing = self._follow(track, world.now)
            alone = all(math.dist(thing.place, o) > config.near for o in owners)
            if not alone:
                thing.alone_since = None
            elif thing.alone_since is None:
                thing.alone_since = world.now
            if config.what == "left" and thing.alone_since is not None:
                begun = max(thing.alone_since, thing.still_since) + least
                if track.seen >= begun:
                    hits[track.name] = hit_of_track(track, begun, {"what": "left"})
        for track in world.lost:
            thing = self._things.pop(track.name, None)
            stood = thing is not None and track.seen - thing.still_since >= least
            if config.what == "taken" and stood and self._filter.fits(track):
                hits[track.name] = hit_of_track(track, world.now, {"what": "taken"}, moment=True)
        return hits

    def _here(self, track: Track) -> bool:
        return self._config.zone is None or self._places.inside(self._config.zone, track.foot)

    def _follow(self, track: Track, now: int) -> _Thing:
        middle = self._middle(track.box)
        thing = self._things.get(track.name)
        if thing is None or math.dist(thing.place, middle) > self._config.still:
            thing = self._things[track.name] = _Thing(middle, now)
        return thing

    def why(self) -> str:
        return f"{len(self._things)} such objects stand still"


CONDITION = Left
