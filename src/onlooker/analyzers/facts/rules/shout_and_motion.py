"""A shout, a shot or breaking glass, and something begins to move at the same time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from pydantic import Field

from onlooker.analyzers.facts.rule import Known, Rule, RuleSettings, hull, make_fact, shares
from onlooker.analyzers.facts.rules._pairs import Pairs
from onlooker.core.observation import Observation

__all__ = ["RULE", "ShoutAndMotion", "ShoutAndMotionSettings"]


class ShoutAndMotionSettings(RuleSettings):
    """Settings of `ShoutAndMotion`.

    Args:
        labels: which sounds.
        seconds: how far the beginnings of sound and motion may lie apart.
        motion: least share of the picture that changes at its most.
        alone: what a score counts that rests on the sound alone, where nothing is known of motion.
        score: least score of a fact.
    """

    labels: tuple[str, ...] = ("shout", "scream", "gunshot", "bang", "glass", "breaking", "fireworks")
    seconds: float = Field(default=1.5, gt=0)
    motion: float = Field(default=0.03, ge=0, le=1)
    alone: float = Field(default=0.5, ge=0, le=1)
    score: float = Field(default=0.1, ge=0, le=1)


class ShoutAndMotion(Rule):
    """Pairs of a sound and a motion that begin together.

    Without `motion` the sound stands alone; without `sounds` there is nothing to go by.
    """

    name: ClassVar[str] = "shout_and_motion"
    kinds: ClassVar[tuple[str, ...]] = ("sound", "motion")
    Settings: ClassVar[type[RuleSettings]] = ShoutAndMotionSettings

    def __init__(self, settings: ShoutAndMotionSettings, known: Known) -> None:
        super().__init__(settings, known)
        self._pairs = Pairs(self._fits, 3600.0)

    def _fits(self, sound: Observation, motion: Observation) -> bool:
        return abs(float(sound.span.start - motion.span.start)) <= self.settings.seconds

    def take(self, observation: Observation) -> Iterable[Observation]:
        """Pairs as they become complete."""
        settings = self.settings
        if observation.kind == "sound":
            if observation.label not in settings.labels:
                return []
            if "motion" not in self.known.kinds:
                return self._alone(observation)
            return [f for s, m in self._pairs.first(observation) for f in self._fact(s, m)]
        sudden = observation.label == "active" and (observation.score or 0.0) >= settings.motion
        if not sudden or observation.span.start.value == 0:
            return []  # what moves from the beginning on did not begin
        return [f for s, m in self._pairs.second(observation) for f in self._fact(s, m)]

    def _fact(self, sound: Observation, motion: Observation) -> list[Observation]:
        settings = self.settings
        apart = abs(float(sound.span.start - motion.span.start))
        near = 1 - 0.5 * apart / settings.seconds
        heard = sound.score or 0.0
        full, alone = heard * near, heard * near * settings.alone
        if full < settings.score:
            return []
        return [
            make_fact(
                self,
                hull((sound, motion)),
                full,
                shares(full, {"sound": 0.0, "motion": alone}),
                [sound, motion],
                text=f"{sound.label} and sudden motion",
                sound=sound.label,
                seconds_apart=round(float(motion.span.start - sound.span.start), 3),
            )
        ]

    def _alone(self, sound: Observation) -> list[Observation]:
        score = (sound.score or 0.0) * self.settings.alone
        if score < self.settings.score:
            return []
        text = f"{sound.label}, motion unknown"
        return [
            make_fact(
                self, sound.span, score, {"sound": 1.0}, [sound], missing=["motion"], text=text, sound=sound.label
            )
        ]


RULE = ShoutAndMotion
