"""Conditions begin to hold one after another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import Field

from onlooker.rules.condition import Condition, Hit, Hits, Node, joined
from onlooker.rules.places import Places
from onlooker.rules.units import Seconds, nanoseconds
from onlooker.rules.world import World

if TYPE_CHECKING:
    from onlooker.rules.language import When

__all__ = ["CONDITION", "Sequence"]


class Sequence(Condition):
    """Conditions begin to hold one after another: A, then B within 10 s.

    Attributes:
        steps: the conditions in their order.
        within: from the beginning of each to the beginning of the next at most this long.
        same_track: all of one and the same track.
    """

    steps: tuple[When, ...] = Field(min_length=2)
    within: Seconds = Field(gt=0)
    same_track: bool = False

    def kinds(self) -> frozenset[str]:
        """Those of its steps."""
        return frozenset().union(*(w.condition.kinds() for w in self.steps))

    def parts(self) -> Iterable[Condition]:
        """Its steps."""
        return [w.condition for w in self.steps]

    def node(self, path: str, places: Places) -> Node:
        """Itself at work."""
        return _Sequence(path, self, places)


class _Sequence(Node):
    def __init__(self, path: str, config: Sequence, places: Places) -> None:
        super().__init__(path)
        self._config = config
        self.children = [w.condition.node(f"{path}.steps[{i}].{w.name}", places) for i, w in enumerate(config.steps)]
        self._within = nanoseconds(config.within)
        # for each step but the last: by subject, when it was reached and by what
        self._reached: list[dict[str, tuple[int, Hit]]] = [{} for _ in self.children[:-1]]
        self._before: list[frozenset[str]] = [frozenset() for _ in self.children]

    def answer(self, world: World) -> Hits:
        now, made = world.now, dict[str, Hit]()
        answers = [child.step(world) for child in self.children]
        begun = [sorted(set(a) - b) for a, b in zip(answers, self._before, strict=True)]
        self._before = [frozenset(a) for a in answers]
        for reached in self._reached:
            for old in [k for k, (time, _) in reached.items() if now - time > self._within]:
                del reached[old]
        # from the last step to the first, so that one beginning serves one step alone
        for index in range(len(self.children) - 1, -1, -1):
            for key in begun[index]:
                hit = answers[index][key]
                if index:
                    earlier = self._take(index - 1, key)
                    if earlier is None:
                        continue
                    hit = joined([earlier, hit])
                subject = key if self._config.same_track else ""
                if index == len(self.children) - 1:
                    made[subject] = hit._replace(since=now, seen=now, moment=True)
                else:
                    self._reached[index][subject] = (now, hit)
        return made

    def _take(self, index: int, key: str) -> Hit | None:
        """What reached the step before; it is used up."""
        found = self._reached[index].pop(key if self._config.same_track else "", None)
        return None if found is None else found[1]

    def why(self) -> str:
        far = max((i + 1 for i, reached in enumerate(self._reached) if reached), default=0)
        return f"{far} of {len(self.children)} steps reached"


CONDITION = Sequence
