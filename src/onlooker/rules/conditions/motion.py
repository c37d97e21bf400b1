"""The picture moves; under ``not`` with ``lasts``: nothing moves."""

from __future__ import annotations

from onlooker.core.observation import Observation
from onlooker.rules.conditions._observed import Observed
from onlooker.rules.units import Fraction01

__all__ = ["CONDITION", "Motion"]


class Motion(Observed):
    """The picture moves.

    Attributes:
        score: least measure of motion.
    """

    score: Fraction01 = 0.0

    def kinds(self) -> frozenset[str]:
        """Motion."""
        return frozenset({"motion"})

    def fits(self, observation: Observation) -> bool:
        """By its measure; a change of light is no motion."""
        return observation.label != "light_change" and (observation.score or 0.0) >= self.score


CONDITION = Motion
