"""The analyzer ``sentiment``; see README.md."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import ClassVar

from onlooker import models
from onlooker.analyzers._sentence_words import is_chinese
from onlooker.analyzers.sentiment.chinese import chinese_feeling
from onlooker.analyzers.sentiment.config import SentimentConfig
from onlooker.analyzers.sentiment.english import EnglishFeeling, read_lexicon
from onlooker.analyzers.sentiment.likeness import LikenessFeeling
from onlooker.core.analyzer import Analyzer, Context, Needs, Window
from onlooker.core.observation import Json, Observation
from onlooker.core.time import Span
from onlooker.models.sentences import MODELS, shared_encoder

__all__ = ["Sentiment"]

_LEXICON = "sentiment-words"


class Sentiment(Analyzer[SentimentConfig]):
    """The feeling of each sentence, and of all of them."""

    name: ClassVar[str] = "sentiment"
    version: ClassVar[str] = "1"
    emits: ClassVar[tuple[str, ...]] = ("sentiment",)
    Config = SentimentConfig
    measurement_fields: ClassVar[frozenset[str] | None] = frozenset()

    def __init__(self, config: SentimentConfig) -> None:
        super().__init__(config)
        self._english: EnglishFeeling | None = None
        self._likeness: LikenessFeeling | None = None
        self._restart()

    def needs(self) -> Needs:
        """What is said."""
        return Needs(observations=("speech",), models=(_LEXICON, *MODELS) if self.config.vectors else (_LEXICON,))

    def bundle_digest(self) -> str | None:
        """One digest of the lexicon's and the encoder's files."""
        return hashlib.sha256(" ".join(models.bundle_digest(n) for n in self.needs().models).encode()).hexdigest()

    def open(self, context: Context) -> None:
        """Read the lexicon; load the encoder, where it is used."""
        self._restart()
        if context.heavy_only:
            return
        self._english = EnglishFeeling(read_lexicon(models.model_path(_LEXICON)))
        if self.config.vectors:
            self._likeness = LikenessFeeling(shared_encoder())

    def _restart(self) -> None:
        self._sum = self._seconds = 0.0
        self._counts = {"positive": 0, "negative": 0, "neutral": 0}
        self._span: Span | None = None

    def analyze(self, window: Window) -> Iterable[Observation]:
        """The feeling of the sentences that arrived."""
        made: list[Observation] = []
        for o in window.observations:
            text = " ".join((o.text or "").split())
            if not text or self._english is None:
                continue
            value, by = self._feeling(text, str(o.data.get("language") or ""))
            label = "neutral" if abs(value) < self.config.least else "positive" if value > 0 else "negative"
            self._count(o.span, value, label)
            if label != "neutral" or self.config.neutral:
                data: dict[str, Json] = {"valence": round(value, 4), "period": "sentence", "by": by}
                made.append(Observation(o.span, "sentiment", round(abs(value), 4), label, track=o.track, data=data))
        return made

    def _feeling(self, text: str, language: str) -> tuple[float, str]:
        """-1..1, and what it was judged by: ``words`` or ``likeness``."""
        if is_chinese(text):
            known = chinese_feeling(text)
            if known is not None:
                return known, "words"
        elif language in ("", "en") and self._english is not None:
            return self._english(text), "words"
        return (self._likeness(text), "likeness") if self._likeness is not None else (0.0, "words")

    def _count(self, span: Span, value: float, label: str) -> None:
        seconds = float(span.duration)
        self._sum += value * seconds
        self._seconds += seconds
        self._counts[label] += 1
        whole = self._span
        self._span = span if whole is None else Span(min(whole.start, span.start), max(whole.end, span.end))

    def flush(self) -> Iterable[Observation]:
        """The feeling of the whole, weighted by time."""
        span, seconds = self._span, self._seconds
        value, counts = self._sum / seconds if seconds else 0.0, dict[str, Json](self._counts)
        self._restart()
        if span is None:
            return []
        label = "neutral" if abs(value) < self.config.least else "positive" if value > 0 else "negative"
        data: dict[str, Json] = {"valence": round(value, 4), "period": "source", "counts": counts}
        return [Observation(span, "sentiment", round(abs(value), 4), label, data=data)]

    def close(self) -> None:
        """Let go of lexicon and encoder."""
        self._english = self._likeness = None
