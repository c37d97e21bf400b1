"""Objects of a class are in sight, in a zone, in a number: presence, dwelling and crowding."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, model_validator

from onlooker.rules.condition import Condition, Hit, Hits, Node, Per, hit_of_track, merged
from onlooker.rules.conditions._tracks import PerTrack, TrackFilter, Zoned
from onlooker.rules.places import Places
from onlooker.rules.units import Fraction01, Labels, Seconds, Speed, nanoseconds, speed_unit
from onlooker.rules.world import Track, World

__all__ = ["CONDITION", "ObjectCondition"]


class ObjectCondition(Condition):
    """Objects of a class are in sight.

    Attributes:
        label: classes, such as person or [car, truck]; none: any.
        zone: the zone that their feet must be in.
        score: least confidence of the latest sighting.
        lasts: how long each must have been there (dwelling, loitering).
        leave: how long one may be out of the zone before its stay begins anew.
        at_least: how many there must be at once (crowding).
        until_below: once there were ``at_least``, it holds until there are fewer than this.
        slower, faster: limits of their speed.
        height: least height of the box, in fractions of the picture.
    """

    label: Labels = ()
    zone: str | None = None
    score: Fraction01 = 0.0
    lasts: Seconds = 0.0
    leave: Seconds = 2.0
    at_least: int = Field(default=1, ge=1)
    until_below: int | None = Field(default=None, ge=1)
    slower: Speed | None = None
    faster: Speed | None = None
    height: Fraction01 = 0.0

    per: ClassVar[Per] = "track"

    @model_validator(mode="after")
    def _order(self) -> ObjectCondition:
        if self.until_below is not None and self.until_below > self.at_least:
            raise ValueError("until_below: expected at most at_least")
        return self

    def kinds(self) -> frozenset[str]:
        """Boxes of tracks."""
        return frozenset({"object"})

    def needs_ground(self) -> bool:
        """Where a speed is in metres."""
        return any(speed_unit(s)[1] for s in (self.slower, self.faster) if s is not None)

    def node(self, path: str, places: Places) -> Node:
        """Itself at work."""
        return _Present(path, self, places)


class _Present(PerTrack):
    def __init__(self, path: str, config: ObjectCondition, places: Places) -> None:
        super().__init__(path)
        self._config = config
        self._filter = TrackFilter(config.label, config.score, config.height)
        self._zoned = Zoned(config.zone, places, nanoseconds(config.leave))
        self._limits = [
            (speed_unit(limit)[0], above)
            for limit, above in ((config.slower, False), (config.faster, True))
            if limit is not None
        ]
        self._least = nanoseconds(config.lasts)
        self._crowded = False

    def answer(self, world: World) -> Hits:
        present = super().answer(world)
        return present if self._config.at_least == 1 else self._crowd(world.now)

    def hit(self, track: Track, places: Places) -> Hit | None:
        since = self._zoned.stay(track) if self._filter.fits(track) else None
        # what counts is the time in which it was seen there, not that in which it is only not yet given up
        if since is None or track.seen - since < self._least or not self._moves_as_wanted(track, places):
            return None
        return hit_of_track(track, since + self._least, {"seconds": round((track.seen - since) / 1e9, 3)})

    def forget(self, track: Track) -> None:
        self._zoned.forget(track)

    def _crowd(self, now: int) -> Hits:
        config, present = self._config, self.present
        wanted = config.until_below if self._crowded and config.until_below is not None else config.at_least
        begun = now if not self._crowded else self.hits[""].since
        self._crowded = len(present) >= wanted
        if not self._crowded:
            return {}
        whole = merged(present.values())
        data = {"count": len(present), "tracks": [*present]}
        return {"": Hit(begun, whole.seen, whole.score, whole.label, None, None, data, whole.rests_on)}

    def _moves_as_wanted(self, track: Track, places: Places) -> bool:
        for limit, above in self._limits:
            speed = track.speed(places)
            if speed is None or (speed > limit) != above:
                return False
        return True

    def why(self) -> str:
        what = " or ".join(self._config.label) or "objects"
        where = f" in {self._config.zone}" if self._config.zone else " in sight"
        return f"{len(self.present)} {what}{where}, {self._config.at_least} wanted"


CONDITION = ObjectCondition
