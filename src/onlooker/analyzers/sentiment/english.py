"""The feeling of English sentences by words and rules: VADER (Hutto and Gilbert 2014, ICWSM).

Each word of the lexicon has a valence of -4..4; words of degree before it strengthen or weaken it, negation turns it
round, capitals and marks strengthen it, and what follows "but" counts more than what stands before it.
"""

from __future__ import annotations

import math
import string
from collections.abc import Mapping, Sequence
from pathlib import Path

from onlooker.core.errors import ModelError

__all__ = ["EnglishFeeling", "bounded", "read_lexicon"]

_DEGREE, _CAPITALS, _NEGATION = 0.293, 0.733, -0.74
_FADING = (1.0, 0.95, 0.9)
"""How much a word of degree counts by its distance."""

# the lists are VADER's, MIT licence, (c) 2016 C.J. Hutto
_NEGATIONS = frozenset(
    """aint arent cannot cant couldnt darent didnt doesnt dont hadnt hasnt havent isnt mightnt mustnt neither neednt
    never none nope nor not nothing nowhere oughtnt shant shouldnt uhuh wasnt werent uh-uh without wont wouldnt rarely
    seldom despite""".split()  # noqa: SIM905
)
_STRONGER = frozenset(
    """absolutely amazingly awfully completely considerable considerably decidedly deeply effing enormous enormously
    entirely especially exceptional exceptionally extreme extremely fabulously flipping flippin frackin fracking
    fricking frickin frigging friggin fully fuckin fucking fuggin fugging greatly hella highly hugely incredible
    incredibly intensely major majorly more most particularly purely quite really remarkably so substantially thoroughly
    total totally tremendous tremendously uber unbelievably unusually utter utterly very""".split()  # noqa: SIM905
)
_WEAKER = frozenset(
    """almost barely hardly kinda kindof kind-of less little marginal marginally occasional occasionally partly scarce
    scarcely slight slightly somewhat sorta sortof sort-of""".split()  # noqa: SIM905
)
_WEAKER_PAIRS = frozenset({"just enough", "kind of", "sort of"})
_IDIOMS = {
    "the shit": 3.0, "the bomb": 3.0, "bad ass": 1.5, "badass": 1.5, "bus stop": 0.0, "yeah right": -2.0,
    "kiss of death": -1.5, "to die for": 3.0, "beating heart": 3.5,
}  # fmt: skip


def read_lexicon(path: Path) -> dict[str, float]:
    """Word to valence; each line is word, mean and more, with tabs between.

    Raises:
        ModelError: it is no such file.
    """
    try:
        rows = [line.split("\t") for line in path.read_text("utf-8").splitlines() if line.strip()]
        return {row[0]: float(row[1]) for row in rows}
    except (IndexError, ValueError) as error:
        raise ModelError(f"{path.name} is no lexicon: {error}", hint="pull the model again") from None


def bounded(total: float) -> float:
    """A sum of valences as -1..1."""
    return total / math.sqrt(total * total + 15)


class EnglishFeeling:
    """The rules over a lexicon."""

    def __init__(self, lexicon: Mapping[str, float]) -> None:
        self._lexicon = lexicon

    def __call__(self, text: str) -> float:
        """The feeling of a text, -1 (bad) .. 1 (good)."""
        words = [_bare(token) for token in text.split()]
        lower = [w.lower() for w in words]
        shouted = [w.isupper() for w in words]
        if all(shouted):
            shouted = [False] * len(words)  # capitals throughout stress nothing
        values = [self._valence(lower, shouted, i) for i in range(len(lower))]
        if "but" in lower:
            turn = lower.index("but")
            values = [v * (0.5 if i < turn else 1.5 if i > turn else 1.0) for i, v in enumerate(values)]
        total = sum(values)
        return bounded(total + math.copysign(_marks(text), total) if total else 0.0)

    def _valence(self, words: Sequence[str], shouted: Sequence[bool], at: int) -> float:
        word = words[at]
        known = self._lexicon.get(word)
        if word in _STRONGER or word in _WEAKER or known is None or words[at : at + 2] == ["kind", "of"]:
            return 0.0
        value = 0.0 if word == "no" and at + 1 < len(words) and words[at + 1] in self._lexicon else known
        before = [words[at - d] if at >= d else "" for d in (1, 2, 3)]
        if before[0] == "no" or before[1] == "no" or (before[2] == "no" and before[0] in ("or", "nor")):
            value = known * _NEGATION
        if shouted[at]:
            value += _CAPITALS if value > 0 else -_CAPITALS
        for distance in (1, 2, 3):
            if at < distance or before[distance - 1] in self._lexicon:
                continue
            value += _FADING[distance - 1] * _degree(before[distance - 1], shouted[at - distance], value)
            value = _negated(value, before, distance)
            if distance == 3:
                value = _idiom(value, words, at)
        if before[0] == "least" and "least" not in self._lexicon and before[1] not in ("at", "very"):
            value *= _NEGATION
        return value


def _bare(token: str) -> str:
    """A word without marks around it; emoticons stay whole."""
    stripped = token.strip(string.punctuation)
    return token if len(stripped) <= 2 else stripped


def _degree(word: str, shouted: bool, value: float) -> float:
    if word not in _STRONGER and word not in _WEAKER:
        return 0.0
    gain = _DEGREE if word in _STRONGER else -_DEGREE
    gain = -gain if value < 0 else gain
    if shouted:
        gain += _CAPITALS if value > 0 else -_CAPITALS
    return gain


def _negated(value: float, before: Sequence[str], distance: int) -> float:
    word = before[distance - 1]
    if distance == 2:
        if word == "never" and before[0] in ("so", "this"):
            return value * 1.25
        if word == "without" and before[0] == "doubt":
            return value
    if distance == 3:
        if (word == "never" and before[1] in ("so", "this")) or before[0] in ("so", "this"):
            return value * 1.25
        if word == "without" and "doubt" in before[:2]:
            return value
    return value * _NEGATION if word.replace("'", "") in _NEGATIONS or "n't" in word else value


def _idiom(value: float, words: Sequence[str], at: int) -> float:
    def joined(first: int, last: int) -> str:
        return " ".join(words[at + first : at + last + 1]) if at + last < len(words) else ""

    for first, last in ((-1, 0), (-2, 0), (-2, -1), (-3, -1), (-3, -2)):
        if joined(first, last) in _IDIOMS:
            value = _IDIOMS[joined(first, last)]
            break
    for last in (1, 2):
        value = _IDIOMS.get(joined(0, last), value)
    for first, last in ((-3, -1), (-3, -2), (-2, -1)):
        value -= _DEGREE if joined(first, last) in _WEAKER_PAIRS else 0.0
    return value


def _marks(text: str) -> float:
    """What exclamation and question marks add."""
    asked = text.count("?")
    return 0.292 * min(4, text.count("!")) + (0.0 if asked < 2 else 0.18 * asked if asked <= 3 else 0.96)
