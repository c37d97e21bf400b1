"""A sound is heard."""

from __future__ import annotations

from onlooker.core.observation import Observation
from onlooker.rules.conditions._observed import Observed
from onlooker.rules.units import Fraction01, Labels

__all__ = ["CONDITION", "Sound"]


class Sound(Observed):
    """A sound is heard.

    Attributes:
        label: shout, scream, breaking, gunshot, alarm, dog, baby_cry, ...; none: any.
        score: least confidence.
        louder: least loudness of its loudest moment in LUFS, such as -30.
    """

    label: Labels = ()
    score: Fraction01 = 0.0
    louder: float | None = None

    def kinds(self) -> frozenset[str]:
        """Sounds."""
        return frozenset({"sound"})

    def fits(self, observation: Observation) -> bool:
        """By label, score and loudness."""
        loudest = observation.data.get("loudest_lufs")
        loud = self.louder is None or (isinstance(loudest, int | float) and loudest >= self.louder)
        return loud and (not self.label or observation.label in self.label) and (observation.score or 0) >= self.score


CONDITION = Sound
