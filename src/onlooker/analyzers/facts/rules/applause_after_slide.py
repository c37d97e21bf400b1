"""People applaud, cheer or laugh after a slide was shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from pydantic import Field

from onlooker.analyzers.facts.rule import Known, Rule, RuleSettings, hull, make_fact, shares
from onlooker.analyzers.facts.rules._pairs import Pairs
from onlooker.core.observation import Observation

__all__ = ["RULE", "ApplauseAfterSlide", "ApplauseAfterSlideSettings"]


class ApplauseAfterSlideSettings(RuleSettings):
    """Settings of `ApplauseAfterSlide`.

    Args:
        labels: which sounds.
        seconds: how long after the slide they may begin.
    """

    labels: tuple[str, ...] = ("applause", "cheering", "laughter")
    seconds: float = Field(default=10.0, gt=0)


class ApplauseAfterSlide(Rule):
    """Pairs of a change of slides (`text`) and applause (`sounds`) that begins soon after; it needs both."""

    name: ClassVar[str] = "applause_after_slide"
    kinds: ClassVar[tuple[str, ...]] = ("cue", "sound")
    Settings: ClassVar[type[RuleSettings]] = ApplauseAfterSlideSettings

    def __init__(self, settings: ApplauseAfterSlideSettings, known: Known) -> None:
        super().__init__(settings, known)
        self._pairs = Pairs(self._fits, 3600.0)

    def _fits(self, slide: Observation, sound: Observation) -> bool:
        return -1 <= float(sound.span.start - slide.span.start) <= self.settings.seconds

    def take(self, observation: Observation) -> Iterable[Observation]:
        """Pairs as they become complete."""
        if observation.kind == "cue":
            if observation.label != "slide_change":
                return []
            return [self._fact(*pair) for pair in self._pairs.first(observation)]
        if observation.label not in self.settings.labels:
            return []
        return [self._fact(*pair) for pair in self._pairs.second(observation)]

    def _fact(self, slide: Observation, sound: Observation) -> Observation:
        after = max(0.0, float(sound.span.start - slide.span.start))
        heard, shown = sound.score or 0.0, slide.score or 1.0
        # the later it comes, the less it is about the slide
        near = 1 - 0.5 * after / self.settings.seconds
        full = heard * (0.5 + 0.5 * shown) * near
        return make_fact(
            self,
            hull((slide, sound)),
            full,
            shares(full, {"sound": 0.0, "slide": heard * 0.5 * near}),
            [slide, sound],
            text=f"{sound.label} after a slide",
            sound=sound.label,
            seconds_after=round(after, 3),
        )


RULE = ApplauseAfterSlide
