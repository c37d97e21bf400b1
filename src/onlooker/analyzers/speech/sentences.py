"""Makes sentences of the words and segments that the transcriber wrote."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from onlooker.core.observation import Json, Observation
from onlooker.core.time import Span, Timestamp

__all__ = ["Sentences"]

_ENDS = frozenset(".!?。！？…")
_BASE = Fraction(1, 1000)
_PAUSE = 1.0
_LONG_ENOUGH = 4.0


class Sentences:
    """Collects the words of consecutive segments and gives out sentences as they end.

    A sentence ends with its mark, before a pause of a second, where the language changes, where a segment of four
    seconds or more ends, or after ``longest`` seconds. What is left when a section is silent ends too.

    Args:
        longest: seconds.
        score: sentences below are left out.
    """

    def __init__(self, longest: float, score: float) -> None:
        self._longest, self._score = longest, score
        self._words: list[list[Any]] = []
        self._scores: list[tuple[float, float]] = []
        self._language: tuple[str, float] | None = None

    def feed(self, segments: Iterable[dict[str, Any]]) -> list[Observation]:
        """The sentences that end with the segments of one section."""
        made: list[Observation] = []
        any_words = False
        for segment in segments:
            any_words = True
            words = segment["words"] or [[segment["start"], segment["end"], segment["text"], segment["score"]]]
            if self._language is not None and segment["language"] != self._language[0]:
                made += self.flush()
            self._language = (segment["language"], segment["language_score"])
            for word in words:
                if self._words and word[0] - self._words[-1][1] >= _PAUSE:
                    made += self.flush()
                self._language = (segment["language"], segment["language_score"])
                self._words.append(word)
                self._scores.append((segment["score"], word[1] - word[0]))
                whole = not segment["words"]
                if whole or self._ends(word[2]) or word[1] - self._words[0][0] >= self._longest:
                    made += self.flush()
                    self._language = (segment["language"], segment["language_score"])
            if self._words and self._words[-1][1] - self._words[0][0] >= _LONG_ENOUGH:
                made += self.flush()
        return made if any_words else made + self.flush()

    @staticmethod
    def _ends(word: str) -> bool:
        return word.strip()[-1:] in _ENDS

    def flush(self) -> list[Observation]:
        """The sentence under way."""
        words, scores, language = self._words, self._scores, self._language
        self._words, self._scores, self._language = [], [], None
        if not words or language is None:
            return []
        weight = sum(length + 0.01 for _, length in scores)
        score = sum(s * (length + 0.01) for s, length in scores) / weight
        if score < self._score:
            return []
        start = round(words[0][0] * 1000)
        end = max(round(words[-1][1] * 1000), start + 1)
        data: dict[str, Json] = {
            "language": language[0],
            "language_score": language[1],
            "words": [[w[0], w[1], w[2].strip(), w[3]] for w in words],
        }
        text = "".join(w[2] for w in words).strip()
        span = Span(Timestamp(start, _BASE), Timestamp(end, _BASE))
        return [Observation(span, "speech", score=round(min(1.0, score), 4), text=text, data=data)]
