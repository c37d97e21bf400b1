"""A face is in sight: of a person by name, of somebody unknown, or of anybody."""

from __future__ import annotations

from pydantic import Field

from onlooker.core.observation import Observation
from onlooker.rules.conditions._observed import Observed
from onlooker.rules.units import Fraction01, Labels

__all__ = ["CONDITION", "Face"]


class Face(Observed):
    """A face is in sight.

    Attributes:
        who: names of enrolled people, ``known`` (any of them) or ``unknown`` (none of them); none: any face.
        score: least confidence.
        quality: least quality of a face that need not be identified.
        zone: where the face must be.
    """

    who: Labels = ()
    score: Fraction01 = 0.0
    quality: Fraction01 = 0.0
    zone: str | None = Field(default=None)

    def kinds(self) -> frozenset[str]:
        """Faces, with identities where somebody is asked for."""
        return frozenset({"identity"} if self.who else {"face"})

    def fits(self, observation: Observation) -> bool:
        """By name, or by quality."""
        if (observation.score or 0.0) < self.score:
            return False
        if not self.who:
            quality = observation.data.get("quality")
            return observation.track is not None and isinstance(quality, int | float) and quality >= self.quality
        name = observation.label or ""
        unknown = name == "unknown" or name.startswith("unknown-")
        return name in self.who or ("unknown" if unknown else "known") in self.who


CONDITION = Face
