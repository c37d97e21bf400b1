"""A condition does not hold; with ``lasts``, absence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from onlooker.rules.condition import Condition, Hit, Hits, Node
from onlooker.rules.places import Places
from onlooker.rules.units import Seconds, nanoseconds
from onlooker.rules.world import World

if TYPE_CHECKING:
    from onlooker.rules.language import When

__all__ = ["CONDITION", "Not"]


class Not(Condition):
    """A condition does not hold.

    Attributes:
        of: the condition.
        lasts: how long it must have been so (absence: ``no person for 5m``).
    """

    of: When
    lasts: Seconds = 0.0

    def kinds(self) -> frozenset[str]:
        """Those of its part."""
        return self.of.condition.kinds()

    def parts(self) -> Iterable[Condition]:
        """Its part."""
        return [self.of.condition]

    def node(self, path: str, places: Places) -> Node:
        """Itself at work."""
        return _Not(path, self, places)


class _Not(Node):
    def __init__(self, path: str, config: Not, places: Places) -> None:
        super().__init__(path)
        self.children = [config.of.condition.node(f"{path}.{config.of.name}", places)]
        self._least = nanoseconds(config.lasts)
        self._since: int | None = None
        self._now = 0

    def answer(self, world: World) -> Hits:
        self._now = world.now
        if self.children[0].step(world):
            self._since = None
            return {}
        if self._since is None:
            self._since = world.now
        begun = self._since + self._least
        return {"": Hit(begun, None)} if world.now >= begun else {}

    def wake(self) -> int | None:
        times = [
            t for t in (super().wake(), None if self._since is None else self._since + self._least) if t is not None
        ]
        return min((t for t in times if t > self._now), default=None)

    def why(self) -> str:
        return "it holds" if self._since is None else f"absent for {(self._now - self._since) / 1e9:.1f} s"


CONDITION = Not
