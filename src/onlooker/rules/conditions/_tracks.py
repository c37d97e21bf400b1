"""What conditions about tracks share: which tracks, and their stays in a zone."""

from __future__ import annotations

from collections.abc import Iterable

from onlooker.rules.places import Places
from onlooker.rules.world import Track, World

__all__ = ["TrackFilter", "Zoned"]


class TrackFilter:
    """Tracks of some classes, with a least score and height."""

    def __init__(self, labels: tuple[str, ...], score: float = 0.0, height: float = 0.0) -> None:
        self._labels, self._score, self._height = frozenset(labels), score, height

    def fits(self, track: Track) -> bool:
        """Whether the track is meant."""
        return (
            (not self._labels or track.label in self._labels)
            and (track.rests_on.score or 0.0) >= self._score
            and track.box.bottom - track.box.top >= self._height
        )


class Zoned:
    """Stays of tracks in a zone; a short leave does not end one.

    Args:
        zone: its name; None: the whole picture.
        places: of the source.
        leave_ns: how long a track may be outside.
    """

    def __init__(self, zone: str | None, places: Places, leave_ns: int) -> None:
        self._zone, self._places, self._leave = zone, places, leave_ns
        self._stays: dict[str, tuple[int, int]] = {}

    def step(self, world: World, tracks: Iterable[Track]) -> list[tuple[Track, int]]:
        """The tracks that are inside now, each with the moment at which its stay began."""
        inside: list[tuple[Track, int]] = []
        for track in tracks:
            here = self._zone is None or self._places.inside(self._zone, track.foot)
            begun, last = self._stays.get(track.name, (track.seen, track.seen))
            if here:
                if track.seen - last > self._leave:
                    begun = track.seen
                self._stays[track.name] = (begun, track.seen)
                inside.append((track, begun))
        for track in world.lost:
            self._stays.pop(track.name, None)
        return inside
