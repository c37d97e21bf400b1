"""The camera does not see: covered, turned, out of focus, frozen, black."""

from __future__ import annotations

from onlooker.core.observation import Observation
from onlooker.rules.conditions._observed import Observed
from onlooker.rules.units import Fraction01, Labels

__all__ = ["CONDITION", "CameraTrouble"]

_TROUBLES = ("black", "frozen", "blur", "camera_covered", "camera_moved", "overexposed", "underexposed")


class CameraTrouble(Observed):
    """The camera does not see as it should.

    Attributes:
        trouble: labels of the cues meant; by default all that speak of the camera.
        score: least confidence.
    """

    trouble: Labels = _TROUBLES
    score: Fraction01 = 0.0

    def kinds(self) -> frozenset[str]:
        """Cues, and stretches that could not be watched."""
        return frozenset({"cue", "blind"})

    def fits(self, observation: Observation) -> bool:
        """By label; that a camera is being connected at the start is no trouble."""
        meant = observation.label in self.trouble
        meant = meant or (observation.kind == "blind" and observation.label not in ("connecting", "not_running"))
        return meant and (observation.score is None or observation.score >= self.score)


CONDITION = CameraTrouble
