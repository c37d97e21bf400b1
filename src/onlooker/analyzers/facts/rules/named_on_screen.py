"""The name of somebody who is on screen is written there or said."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import ClassVar

from pydantic import Field

from onlooker.analyzers.facts.rule import Known, Rule, RuleSettings, hull, make_fact, shares
from onlooker.analyzers.facts.rules._pairs import Pairs
from onlooker.core.observation import Observation

__all__ = ["RULE", "NamedOnScreen", "NamedOnScreenSettings", "mentions"]


class NamedOnScreenSettings(RuleSettings):
    """Settings of `NamedOnScreen`.

    Args:
        seconds: how long before or after the face the name may be written or said.
        alone: what the score of an identity counts before the name was seen or heard.
    """

    seconds: float = Field(default=3.0, ge=0)
    alone: float = Field(default=0.6, ge=0, le=1)


def mentions(text: str, name: str) -> bool:
    """Whether the name stands in the text: as a whole, or its last part of three letters or more as a word.

    >>> mentions("Prof. ADA LOVELACE, London", "Ada Lovelace"), mentions("lovelaces", "Ada Lovelace")
    (True, False)
    """
    plain, parts = text.lower(), name.lower().replace("_", " ").split()
    if not parts:
        return False
    if re.search(r"[一-鿿]", name):
        return "".join(parts) in plain.replace(" ", "")
    whole = " ".join(parts)
    last = parts[-1] if len(parts[-1]) >= 3 else whole
    return any(re.search(rf"(?<!\w){re.escape(w)}(?!\w)", plain) for w in (whole, last))


class NamedOnScreen(Rule):
    """Pairs of a face with a name (`identity`) and a caption or sentence with that name, while the face shows.

    Works with `text` or `speech` alone; without `identity` no name is known.
    """

    name: ClassVar[str] = "named_on_screen"
    kinds: ClassVar[tuple[str, ...]] = ("identity", "text", "speech")
    Settings: ClassVar[type[RuleSettings]] = NamedOnScreenSettings

    def __init__(self, settings: NamedOnScreenSettings, known: Known) -> None:
        super().__init__(settings, known)
        self._pairs = Pairs(self._fits, 3600.0)

    def _fits(self, identity: Observation, words: Observation) -> bool:
        apart = max(float(words.span.start - identity.span.end), float(identity.span.start - words.span.end))
        return apart <= self.settings.seconds and mentions(words.text or "", identity.label or "")

    def take(self, observation: Observation) -> Iterable[Observation]:
        """Pairs as they become complete."""
        if observation.kind == "identity":
            if observation.label in (None, "", "unknown") or observation.label.startswith("unknown-"):
                return []
            return [self._fact(*pair) for pair in self._pairs.first(observation)]
        return [self._fact(*pair) for pair in self._pairs.second(observation)] if observation.text else []

    def _fact(self, identity: Observation, words: Observation) -> Observation:
        sense = "speech" if words.kind == "speech" else "text"
        sure, read = identity.score or 0.5, words.score or 0.5
        # either may be wrong; both are only where they agree by chance
        full = 1 - (1 - sure) * (1 - read * self.settings.alone)
        return make_fact(
            self,
            hull((identity, words)),
            full,
            shares(full, {"face": read * self.settings.alone, sense: sure * self.settings.alone}),
            [identity, words],
            missing=[s for s in ("text", "speech") if s not in self.known.kinds],
            track=identity.track,
            text=f"{identity.label} is named",
            person=identity.label,
            how="said" if sense == "speech" else "written",
        )


RULE = NamedOnScreen
