"""Somebody says what stands on the screen."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import ClassVar

from pydantic import Field

from onlooker.analyzers.facts.rule import Known, Rule, RuleSettings, hull, make_fact, shares
from onlooker.analyzers.facts.rules._pairs import Pairs
from onlooker.core.observation import Observation

__all__ = ["RULE", "ReadingAloud", "ReadingAloudSettings", "overlap"]

_WORDS = re.compile(r"[一-鿿]|[^\W_]+")


class ReadingAloudSettings(RuleSettings):
    """Settings of `ReadingAloud`.

    Args:
        share: of the caption's words that must be said.
        least_words: captions with fewer words are left out.
        seconds: how long before or after the caption it may be said.
    """

    share: float = Field(default=0.6, gt=0, le=1)
    least_words: int = Field(default=3, ge=1)
    seconds: float = Field(default=2.0, ge=0)


def overlap(said: str, written: str) -> tuple[float, int]:
    """Share of the words of ``written`` (characters in Chinese) that ``said`` has in the same order, and their number.

    >>> overlap("Kids are talking by the door.", "KIDS are talking"), overlap("今天天气很好", "天气很好")
    ((1.0, 3), (1.0, 4))
    """
    a, b = _WORDS.findall(said.lower()), _WORDS.findall(written.lower())
    best = [0] * (len(b) + 1)
    for word in a:
        before = 0
        for j, other in enumerate(b, 1):
            above = best[j]
            best[j] = before + 1 if word == other else max(best[j], best[j - 1])
            before = above
    return (best[-1] / len(b) if b else 0.0), len(b)


class ReadingAloud(Rule):
    """Pairs of a sentence and a caption of the same words at the same time; it needs both.

    ``data.role`` tells subtitles, which are the speech itself, from slides and signs that are read out.
    """

    name: ClassVar[str] = "reading_aloud"
    kinds: ClassVar[tuple[str, ...]] = ("speech", "text")
    Settings: ClassVar[type[RuleSettings]] = ReadingAloudSettings

    def __init__(self, settings: ReadingAloudSettings, known: Known) -> None:
        super().__init__(settings, known)
        self._pairs = Pairs(self._fits, 3600.0)

    def _fits(self, sentence: Observation, caption: Observation) -> bool:
        margin = self.settings.seconds
        apart = max(
            float(caption.span.start - sentence.span.end), float(sentence.span.start - caption.span.end)
        )  # negative where they overlap
        if apart > margin:
            return False
        share, words = overlap(sentence.text or "", caption.text or "")
        return words >= self.settings.least_words and share >= self.settings.share

    def take(self, observation: Observation) -> Iterable[Observation]:
        """Pairs as they become complete."""
        if not observation.text:
            return []
        pairs = self._pairs.first if observation.kind == "speech" else self._pairs.second
        return [self._fact(*pair) for pair in pairs(observation)]

    def _fact(self, sentence: Observation, caption: Observation) -> Observation:
        share, words = overlap(sentence.text or "", caption.text or "")
        said, seen = sentence.score or 0.5, caption.score or 0.5
        return make_fact(
            self,
            hull((sentence,)),
            share * (said * seen) ** 0.5,
            # each alone says nothing; the surer one carries more
            shares(1.0, {"speech": 1 - said / (said + seen), "text": 1 - seen / (said + seen)}),
            [sentence, caption],
            text=caption.text,
            share=round(share, 3),
            words=words,
            role=caption.data.get("role"),
        )


RULE = ReadingAloud
