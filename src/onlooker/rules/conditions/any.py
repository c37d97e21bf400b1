"""One of several conditions holds."""

from __future__ import annotations

from onlooker.rules.condition import Hit, Hits, Node
from onlooker.rules.conditions._several import Several
from onlooker.rules.places import Places
from onlooker.rules.world import World

__all__ = ["CONDITION", "AnyOf"]


class AnyOf(Several):
    """One of several conditions holds.

    Attributes:
        of: the conditions; a plain list under ``any`` is the same.
    """

    def node(self, path: str, places: Places) -> Node:
        """Itself at work."""
        return _Any(path, self, places)


class _Any(Node):
    def __init__(self, path: str, config: AnyOf, places: Places) -> None:
        super().__init__(path)
        self.children = config.nodes(path, places)

    def answer(self, world: World) -> Hits:
        hits: dict[str, Hit] = {}
        for child in self.children:
            for key, hit in child.step(world).items():
                if key not in hits or hit.since < hits[key].since:
                    hits[key] = hit
        return hits

    def why(self) -> str:
        return f"{sum(bool(c.hits) for c in self.children)} of {len(self.children)} hold"


CONDITION = AnyOf
