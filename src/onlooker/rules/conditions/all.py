"""Several conditions hold together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from onlooker.rules.condition import Hit, Hits, Node, joined, merged
from onlooker.rules.conditions._several import Several
from onlooker.rules.places import Places
from onlooker.rules.units import Seconds, nanoseconds
from onlooker.rules.world import World

if TYPE_CHECKING:
    from onlooker.rules.language import When

__all__ = ["CONDITION", "All"]


class All(Several):
    """Several conditions hold together.

    Attributes:
        of: the conditions; a plain list under ``all`` is the same.
        within: they need not hold at the same moment, but all within this time.
        same_track: they must hold for one and the same track.
    """

    of: tuple[When, ...] = Field(min_length=2)
    within: Seconds = 0.0
    same_track: bool = False

    def node(self, path: str, places: Places) -> Node:
        """Itself at work."""
        return _All(path, self, places)


class _All(Node):
    def __init__(self, path: str, config: All, places: Places) -> None:
        super().__init__(path)
        self._config = config
        self.children = config.nodes(path, places)
        self._within = nanoseconds(config.within)
        # by part and subject: the latest hit, and when it ceased to hold
        self._lately: list[dict[str, tuple[Hit, int | None]]] = [{} for _ in self.children]
        self._now = 0

    def answer(self, world: World) -> Hits:
        self._now = world.now
        answers = [self._remember(i, child.step(world)) for i, child in enumerate(self.children)]
        if not self._config.same_track:
            return {"": joined(merged(a.values()) for a in answers)} if all(answers) else {}
        common = set(answers[0]).intersection(*answers[1:])
        return {key: joined(a[key] for a in answers) for key in sorted(common)}

    def _remember(self, index: int, hits: Hits) -> Hits:
        """The hits with those that held within the last while."""
        if not self._within:
            return hits
        lately = self._lately[index]
        for key, hit in hits.items():
            lately[key] = (hit._replace(moment=False), self._now if hit.moment else None)
        for key, (hit, ended) in list(lately.items()):
            if key not in hits and ended is None:
                lately[key] = (hit, self._now)
            elif ended is not None and self._now - ended > self._within:
                del lately[key]
        return {key: hit for key, (hit, _) in lately.items()}

    def wake(self) -> int | None:
        ends = [ended for lately in self._lately for _, ended in lately.values() if ended is not None]
        times = [ended + self._within + 1 for ended in ends]
        times += [t for c in self.children if (t := c.wake()) is not None]
        return min((t for t in times if t > self._now), default=None)

    def why(self) -> str:
        return f"{sum(bool(c.hits) for c in self.children)} of {len(self.children)} hold"


CONDITION = All
