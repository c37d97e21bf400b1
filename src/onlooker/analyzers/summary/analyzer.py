"""The analyzer ``summary``; see README.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import ClassVar

import numpy as np

from onlooker.analyzers._sentence_words import is_chinese, letters
from onlooker.analyzers.summary.config import SummaryConfig
from onlooker.analyzers.summary.ranking import central, choose
from onlooker.core.analyzer import Analyzer, Context, Needs, Window
from onlooker.core.observation import Json, Observation
from onlooker.core.time import Span, Timestamp
from onlooker.models.sentences import MODELS, SentenceEncoder, models_digest, shared_encoder

__all__ = ["Summary"]

_FEW = 3
"""Fewer sentences are no text that could be summed up."""
_LEAD = 5
"""So many sentences make the beginning."""


class Summary(Analyzer[SummaryConfig]):
    """The most telling sentences of the source and of its chapters, in their own words."""

    name: ClassVar[str] = "summary"
    version: ClassVar[str] = "1"
    emits: ClassVar[tuple[str, ...]] = ("summary",)
    Config = SummaryConfig
    measurement_fields: ClassVar[frozenset[str] | None] = frozenset()

    def __init__(self, config: SummaryConfig) -> None:
        super().__init__(config)
        self._encoder: SentenceEncoder | None = None
        self._restart(None)

    def needs(self) -> Needs:
        """What is said, or else the subtitles on the picture; chapters, where they are made."""
        return Needs(wishes=("speech", "text", "chapter"), models=MODELS)

    def bundle_digest(self) -> str | None:
        """One digest of the encoder's files."""
        return models_digest()

    def open(self, context: Context) -> None:
        """Load the encoder, unless this instance decides nothing."""
        self._restart(context.source.duration)
        if not context.heavy_only:
            self._encoder = shared_encoder()

    def _restart(self, duration: Fraction | None) -> None:
        self._duration = duration
        self._said: list[Observation] = []
        self._subtitles: list[Observation] = []
        self._chapters: list[Span] = []

    def analyze(self, window: Window) -> Iterable[Observation]:
        """Nothing yet: a summary is made at the end."""
        for o in window.observations:
            if o.kind == "chapter":
                self._chapters.append(o.span)
            elif o.kind == "speech" and o.text:
                self._said.append(o)
            elif o.kind == "text" and o.text and o.data.get("role") == "subtitle":
                self._subtitles.append(o)
        return ()

    def flush(self) -> Iterable[Observation]:
        """The summary of the source, then those of its chapters."""
        sense = "speech" if len(self._said) >= _FEW else "text"
        lines = self._said if sense == "speech" else self._subtitles
        lines = sorted(lines, key=lambda o: (o.span.start, o.span.end, o.text or ""))
        chapters, duration = sorted(self._chapters, key=lambda s: s.start), self._duration
        self._restart(None)
        if len(lines) < _FEW or self._encoder is None:
            return []
        end = max(o.span.end for o in lines)
        whole = Span(Timestamp.of_seconds(0), end if duration is None else max(end, Timestamp.of_seconds(duration)))
        made = self._summary("source", whole, lines, self.config.sentences, sense)
        if self.config.chapter_sentences and len(chapters) > 1:
            for chapter in chapters:
                inside = [o for o in lines if chapter.contains(o.span.start)]
                made += self._summary("chapter", chapter, inside, self.config.chapter_sentences, sense)
        return made

    def _summary(
        self, period: str, span: Span, lines: Sequence[Observation], most: int, sense: str
    ) -> list[Observation]:
        if not lines or self._encoder is None:
            return []
        texts = [" ".join((o.text or "").split()) for o in lines]
        vectors = self._encoder.many(texts)
        ranks = central(vectors)
        worth = ranks * (1 + self.config.lead * np.maximum(0.0, 1 - np.arange(len(lines)) / _LEAD))
        sizes = np.array([letters(t) for t in texts])
        asked = np.array([t.endswith(("?", "？")) for t in texts])
        worth = np.where(asked, 0.5 * worth, worth)  # a question sums up little
        worth[sizes < self.config.least_letters] = -1.0
        count = max(1, min(most, int(self.config.share * len(lines))))
        taken = sorted(choose(vectors, worth, count, self.config.diversity))
        if not taken:
            return []
        chosen: list[Json] = [
            {
                "start_seconds": round(lines[i].span.start.seconds, 3),
                "end_seconds": round(lines[i].span.end.seconds, 3),
                "text": texts[i],
                "score": round(min(1.0, float(ranks[i])), 4),
            }
            for i in taken
        ]
        glue = "" if is_chinese(texts[taken[0]]) else " "
        data: dict[str, Json] = {"sentences": chosen, "of": len(lines), "senses": {sense: 1.0}}
        score = round(float(np.mean(np.minimum(1.0, ranks[taken]))), 4)
        text = glue.join(texts[i] for i in taken)
        return [Observation(span, "summary", score, period, text=text, data=data)]

    def close(self) -> None:
        """Let go of the encoder, which others share."""
        self._encoder = None
