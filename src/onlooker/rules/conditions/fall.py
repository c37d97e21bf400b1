"""A person falls."""

from __future__ import annotations

from onlooker.core.observation import Observation
from onlooker.rules.conditions._observed import Observed
from onlooker.rules.units import Fraction01, Seconds

__all__ = ["CONDITION", "Fall"]


class Fall(Observed):
    """A person falls: the posture ``fallen`` of the analyzer pose (lying just after standing).

    Attributes:
        zone: where.
        score: least confidence.
        stays: the person must stay down for at least this long.
    """

    zone: str | None = None
    score: Fraction01 = 0.0
    stays: Seconds = 0.0

    def kinds(self) -> frozenset[str]:
        """Postures, and boxes where a zone asks for them."""
        return frozenset({"posture", "object"} if self.zone else {"posture"})

    def fits(self, observation: Observation) -> bool:
        """Fallen for long enough."""
        fallen = observation.kind == "posture" and observation.label == "fallen"
        return fallen and (observation.score or 0) >= self.score and observation.span.duration >= self.stays


CONDITION = Fall
