"""What was said or written while a look lasted, as the vector that a head joins with what networks gave."""

from __future__ import annotations

from bisect import bisect_left, insort
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from onlooker.bundles.words import Reader
from onlooker.core.observation import Observation
from onlooker.core.time import Timestamp

__all__ = ["Words", "words_of"]


def words_of(observation: Observation) -> str:
    """The words of an observation, with single spaces between."""
    return " ".join((observation.text or "").split())


class Words:
    """Texts in order of time.

    Args:
        reader: gives the vector of a text.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._texts: list[tuple[Fraction, Fraction, str]] = []
        self._longest = Fraction(0)

    def take(self, observation: Observation) -> None:
        """One more, whenever it may be of."""
        if words := words_of(observation):
            span = observation.span
            insort(self._texts, (span.start.value, span.end.value, words))
            self._longest = max(self._longest, span.end - span.start)

    def within(self, start: Timestamp, end: Timestamp) -> NDArray[np.float32] | None:
        """The vector of the texts that overlap [start, end), joined in order of time; None where there are none."""
        first = bisect_left(self._texts, (start.value - self._longest,))
        found: list[str] = []
        for begin, stop, words in self._texts[first:]:
            if begin >= end.value:
                break
            if stop > start.value or begin >= start.value:
                found.append(words)
        return np.asarray(self._reader(" ".join(found)), np.float32) if found else None
