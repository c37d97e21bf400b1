"""Base of the conditions that look for single observations with a label and a score."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable

from onlooker.core.observation import Observation
from onlooker.rules.condition import Condition, Hit, Hits, Node, hit_of
from onlooker.rules.places import Places, foot
from onlooker.rules.world import World

__all__ = ["Observed", "ObservedNode"]


class Observed(Condition):
    """Holds while an observation that fits goes on."""

    @abstractmethod
    def fits(self, observation: Observation) -> bool:
        """Whether the observation is meant."""

    def place(self) -> str | None:
        """The zone in which its box must stand, or None."""
        return getattr(self, "zone", None)

    def node(self, path: str, places: Places) -> Node:
        """Itself at work."""
        return ObservedNode(path, self, places)


class ObservedNode(Node):
    """Hits by track, or by a number where there is none."""

    def __init__(self, path: str, config: Observed, places: Places) -> None:
        super().__init__(path)
        self._config, self._places = config, places
        self._kinds = sorted(config.kinds())
        self._last = ""

    def answer(self, world: World) -> Hits:
        hits: dict[str, Hit] = {}
        for o in self._going_on(world):
            if self._config.fits(o) and self._stands(o, world):
                key = o.track or ""
                hit = hit_of(o)
                if key not in hits or hit.since < hits[key].since:
                    hits[key] = hit
                self._last = f"{o.kind} {o.label or o.text or ''}".strip()
        return hits

    def _going_on(self, world: World) -> Iterable[Observation]:
        for kind in self._kinds:
            if kind in ("object", "face"):
                tracks = world.tracks if kind == "object" else world.faces
                yield from (t.rests_on for t in tracks.values())
            else:
                yield from world.spans(kind)
        # what lasts no time is over when it begins
        yield from (o for o in world.arrived if o.kind in self._kinds and o.span.start == o.span.end)

    def _stands(self, o: Observation, world: World) -> bool:
        zone = self._config.place()
        if zone is None:
            return True
        box = o.box
        if box is None and o.track is not None:
            track = world.tracks.get(o.track) or world.faces.get(o.track)
            box = track.box if track is not None else None
        return box is not None and self._places.inside(zone, foot(box))

    def why(self) -> str:
        return f"latest that fitted: {self._last}" if self._last else f"no {' or '.join(self._kinds)} that fits so far"
