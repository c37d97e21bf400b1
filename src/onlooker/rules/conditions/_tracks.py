"""What conditions about tracks share: which tracks, their stays in a zone, and answers that change with sightings."""

from __future__ import annotations

from abc import abstractmethod

from onlooker.rules.condition import Hit, Hits, Node
from onlooker.rules.places import Places
from onlooker.rules.world import Track, World

__all__ = ["PerTrack", "TrackFilter", "Zoned"]


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

    def stay(self, track: Track) -> int | None:
        """The moment at which the stay of a track began that has just been seen; None: it is outside."""
        if self._zone is not None and not self._places.inside(self._zone, track.foot):
            return None
        begun, last = self._stays.get(track.name, (track.seen, track.seen))
        if track.seen - last > self._leave:
            begun = track.seen
        self._stays[track.name] = (begun, track.seen)
        return begun

    def forget(self, track: Track) -> None:
        """It is lost."""
        self._stays.pop(track.name, None)


class PerTrack(Node):
    """A node whose answer for a track changes only when the track is seen or lost."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.present: dict[str, Hit] = {}

    def answer(self, world: World) -> Hits:
        """The hits of all tracks, brought up to date."""
        for track in world.lost:
            self.forget(track)
            self.present.pop(track.name, None)
        for track in world.sighted:
            hit = self.hit(track, world.places)
            if hit is not None:
                self.present[track.name] = hit
            else:
                self.present.pop(track.name, None)
        return self.present

    @abstractmethod
    def hit(self, track: Track, places: Places) -> Hit | None:
        """What holds of a track that has just been seen."""

    @abstractmethod
    def forget(self, track: Track) -> None:
        """A track is lost."""
