"""Any observation, by kind, label, score and zone: for kinds that have no condition of their own."""

from __future__ import annotations

from pydantic import Field

from onlooker.core.observation import Observation
from onlooker.rules.conditions._observed import Observed
from onlooker.rules.units import Fraction01, Labels

__all__ = ["CONDITION", "ObservedKind"]


class ObservedKind(Observed):
    """An observation of a kind goes on.

    Attributes:
        kind: such as posture, expression, cue, topic.
        label: labels; none: any.
        score: least confidence.
        zone: where its box, or its track, must stand.
    """

    kind: str = Field(min_length=1)
    label: Labels = ()
    score: Fraction01 = 0.0
    zone: str | None = None

    def kinds(self) -> frozenset[str]:
        """The kind, and boxes where a zone asks for them."""
        return frozenset({self.kind})

    def fits(self, observation: Observation) -> bool:
        """By label and score."""
        return (not self.label or observation.label in self.label) and (observation.score or 0.0) >= self.score


CONDITION = ObservedKind
