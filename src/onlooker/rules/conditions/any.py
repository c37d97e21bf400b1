"""One of several conditions holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from onlooker.rules.condition import Condition, Hit, Hits, Node
from onlooker.rules.places import Places
from onlooker.rules.world import World

if TYPE_CHECKING:
    from onlooker.rules.language import When

__all__ = ["CONDITION", "AnyOf"]


class AnyOf(Condition):
    """One of several conditions holds.

    Attributes:
        of: the conditions; a plain list under ``any`` is the same.
    """

    of: tuple[When, ...] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _list(cls, value: Any) -> Any:
        return {"of": value} if isinstance(value, list) else value

    def kinds(self) -> frozenset[str]:
        """Those of its parts."""
        return frozenset().union(*(w.condition.kinds() for w in self.of))

    def parts(self) -> Iterable[Condition]:
        """Its parts."""
        return [w.condition for w in self.of]

    def node(self, path: str, places: Places) -> Node:
        """Itself at work."""
        return _Any(path, self, places)


class _Any(Node):
    def __init__(self, path: str, config: AnyOf, places: Places) -> None:
        super().__init__(path)
        self.children = [w.condition.node(f"{path}[{i}].{w.name}", places) for i, w in enumerate(config.of)]

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
