"""An object goes against the allowed direction."""

from __future__ import annotations

import math
from typing import ClassVar

from pydantic import Field

from onlooker.rules.condition import Condition, Hit, Node, Per, hit_of_track
from onlooker.rules.conditions._tracks import PerTrack, TrackFilter, Zoned
from onlooker.rules.places import Places
from onlooker.rules.units import Fraction01, Labels
from onlooker.rules.world import Track

__all__ = ["CONDITION", "WrongWay"]


class WrongWay(Condition):
    """Objects go against the direction that is allowed.

    Attributes:
        allowed: the direction in the picture, in degrees: 0 to the right, 90 down, 180 to the left, 270 up.
        tolerance: how far from the opposite of it still is the wrong way.
        distance: how far it must have gone that way without turning, in picture widths.
        label: classes; none: any.
        zone: where.
    """

    allowed: float = Field(ge=0, le=360)
    tolerance: float = Field(default=60, gt=0, le=90)
    distance: Fraction01 = 0.05
    label: Labels = ()
    zone: str | None = None

    per: ClassVar[Per] = "track"

    def kinds(self) -> frozenset[str]:
        """Boxes of tracks."""
        return frozenset({"object"})

    def node(self, path: str, places: Places) -> Node:
        """Itself at work."""
        return _WrongWay(path, self, places)


class _WrongWay(PerTrack):
    def __init__(self, path: str, config: WrongWay, places: Places) -> None:
        super().__init__(path)
        self._config = config
        self._filter = TrackFilter(config.label)
        self._zoned = Zoned(config.zone, places, 0)
        angle = math.radians(config.allowed)
        self._against = (-math.cos(angle), -math.sin(angle))
        self._least = math.cos(math.radians(config.tolerance))
        self._gone: dict[str, tuple[float, tuple[float, float], int]] = {}

    def hit(self, track: Track, places: Places) -> Hit | None:
        if not self._filter.fits(track) or self._zoned.stay(track) is None:
            return None
        x, y = places.flat(track.foot)
        gone, (bx, by), since = self._gone.get(track.name, (0.0, (x, y), track.seen))
        dx, dy = (x - bx) / places.aspect, (y - by) / places.aspect
        step = math.hypot(dx, dy)
        if step > 0.004:  # smaller steps are the detector's shaking
            along = dx * self._against[0] + dy * self._against[1]
            gone = gone + along if along >= self._least * step else 0.0
            since = since if gone else track.seen
            self._gone[track.name] = (gone, (x, y), since)
        else:
            self._gone.setdefault(track.name, (gone, (bx, by), since))
        return hit_of_track(track, since, {"distance": round(gone, 4)}) if gone >= self._config.distance else None

    def forget(self, track: Track) -> None:
        self._zoned.forget(track)
        self._gone.pop(track.name, None)

    def why(self) -> str:
        far = max((g for g, _, _ in self._gone.values()), default=0.0)
        return f"farthest against the direction: {far:.3f} picture widths, {self._config.distance} wanted"


CONDITION = WrongWay
