"""What the conditions over a list of conditions share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from onlooker.rules.condition import Condition, Node
from onlooker.rules.places import Places

if TYPE_CHECKING:
    from onlooker.rules.language import When

__all__ = ["Several"]


class Several(Condition):
    """Over several conditions; a plain list is the same as ``of``."""

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

    def nodes(self, path: str, places: Places) -> list[Node]:
        """Its parts at work."""
        return [w.condition.node(f"{path}[{i}].{w.name}", places) for i, w in enumerate(self.of)]
