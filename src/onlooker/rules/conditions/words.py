"""Words are said or shown."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Literal

from pydantic import Field, field_validator

from onlooker.core.observation import Observation
from onlooker.rules.conditions._observed import Observed
from onlooker.rules.units import Fraction01, Labels

__all__ = ["CONDITION", "Words"]


def _pattern(words: str) -> str:
    """Whole words in scripts with spaces, anywhere in those without; ``*`` at the end stands for any ending."""
    stem, star = (words[:-1], r"\w*") if words.endswith("*") else (words, "")
    body = r"\s+".join(re.escape(part) for part in stem.split())
    before = r"(?<!\w)" if re.match(r"[\w]", stem) and stem[:1].isascii() else ""
    after = star + (r"(?!\w)" if stem[-1:].isascii() and re.match(r"\w", stem[-1:]) else "")
    return before + body + after


class Words(Observed):
    """Words are said or shown, whatever their case.

    Attributes:
        any_of: words or phrases of which one is enough; ``help*`` also finds helping.
        where: said, shown, or either.
        score: least confidence of the sentence or caption.
    """

    any_of: Labels = Field(min_length=1)
    where: Literal["said", "shown", "either"] = "either"
    score: Fraction01 = 0.0

    @field_validator("any_of")
    @classmethod
    def _full(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not w.strip(" *") for w in value):
            raise ValueError("expected words, got an empty text")
        return tuple(" ".join(w.split()) for w in value)

    def kinds(self) -> frozenset[str]:
        """Sentences, captions, or both."""
        return frozenset({"said": {"speech"}, "shown": {"text"}, "either": {"speech", "text"}}[self.where])

    @cached_property
    def _wanted(self) -> re.Pattern[str]:
        return re.compile("|".join(_pattern(w) for w in self.any_of), re.IGNORECASE)

    def fits(self, observation: Observation) -> bool:
        """Whether its text holds one of the words."""
        return (observation.score or 0.0) >= self.score and self._wanted.search(observation.text or "") is not None


CONDITION = Words
