"""The analyzer ``topics``; see README.md."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers._sentence_evidence import SENSES, Evidence, evidence_of, joined
from onlooker.analyzers._sentence_keywords import Keyword, keywords_of
from onlooker.analyzers.topics.config import TopicsConfig
from onlooker.analyzers.topics.names import TOPICS
from onlooker.core.analyzer import Analyzer, Context, Needs, Window
from onlooker.core.observation import Json, Observation
from onlooker.core.time import Span, Timestamp
from onlooker.models.sentences import MODELS, SentenceEncoder, models_digest, shared_encoder

__all__ = ["Topics"]

_MOMENTS = 20
_OF_STRETCH = 5
"""Keywords that are named with a topic."""


class Topics(Analyzer[TopicsConfig]):
    """Keywords of the source, and topics of it and of its chapters."""

    name: ClassVar[str] = "topics"
    version: ClassVar[str] = "1"
    emits: ClassVar[tuple[str, ...]] = ("topic", "keyword")
    Config = TopicsConfig
    measurement_fields: ClassVar[frozenset[str] | None] = frozenset()

    def __init__(self, config: TopicsConfig) -> None:
        super().__init__(config)
        self._encoder: SentenceEncoder | None = None
        self._restart(None)

    def needs(self) -> Needs:
        """Whatever tells something; none of it is needed."""
        return Needs(wishes=(*SENSES, "chapter"), models=MODELS)

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
        self._evidence: list[Evidence] = []
        self._chapters: list[Span] = []

    def analyze(self, window: Window) -> Iterable[Observation]:
        """Nothing yet: what a video is about is known at its end."""
        for o in window.observations:
            if o.kind == "chapter":
                self._chapters.append(o.span)
            elif (piece := evidence_of(o)) is not None:
                self._evidence.append(piece)
        return ()

    def flush(self) -> Iterable[Observation]:
        """Keywords and topics."""
        evidence = sorted(self._evidence, key=lambda e: (e.span.start, e.span.end, e.sense, e.text))
        chapters, duration = self._chapters, self._duration
        self._restart(None)
        if not evidence or self._encoder is None:
            return []
        end = max(e.span.end for e in evidence)
        whole = Span(Timestamp.of_seconds(0), end if duration is None else max(end, Timestamp.of_seconds(duration)))
        names, prototypes = self._prototypes(self._encoder)
        made = [_keyword(k) for k in keywords_of(joined(evidence), self._encoder, self.config.keywords)]
        stretches = [("source", whole)]
        parts = self._stretches(chapters, whole)
        if len(parts) > 1:
            stretches += [("chapter" if chapters else "stretch", p) for p in parts]
        for period, span in stretches:
            inside = joined(e for e in evidence if span.start <= _middle(e.span) < span.end)
            made += self._topics(period, span, inside, names, prototypes)
        return made

    def _prototypes(self, encoder: SentenceEncoder) -> tuple[list[str], NDArray[np.float32]]:
        """Names and (n, 512) unit vectors: the mean of those of a topic's phrases."""
        chosen = {name: TOPICS[name].phrases for name in self.config.topics or TOPICS} | self.config.own
        means = np.stack([encoder.many(phrases).mean(axis=0) for phrases in chosen.values()])
        return list(chosen), means / np.linalg.norm(means, axis=1, keepdims=True)

    def _stretches(self, chapters: Sequence[Span], whole: Span) -> list[Span]:
        if chapters:
            return sorted(chapters, key=lambda s: s.start)
        length = Fraction(round(self.config.stretch_seconds * 1000), 1000)
        count = max(1, int(whole.duration / length))
        edges = [whole.start.value + whole.duration * i / count for i in range(count + 1)]
        return [Span.of_seconds(a, b) for a, b in itertools.pairwise(edges)]

    def _topics(
        self, period: str, span: Span, evidence: list[Evidence], names: list[str], prototypes: NDArray[np.float32]
    ) -> list[Observation]:
        """The topics that the evidence is nearest to, each with the share of every sense in its score."""
        if not evidence or self._encoder is None:
            return []
        weights = np.array([e.weight for e in evidence], np.float32)
        vectors = self._encoder.many([e.text for e in evidence]) * weights[:, None]
        length = float(np.linalg.norm(vectors.sum(axis=0)))
        if length < 1e-6:
            return []
        # the cosine of the sum with a topic is the sum of what each piece adds to it
        shares = vectors @ prototypes.T / length
        scores = shares.sum(axis=0)
        order = np.argsort(-scores, kind="stable")[: self.config.most]
        least = max(self.config.score, self.config.of_best * float(scores[order[0]]))
        words = [k.text for k in keywords_of(evidence, self._encoder, _OF_STRETCH)] if scores[order[0]] >= least else []
        made: list[Observation] = []
        for number in order.tolist():
            score = float(scores[number])
            if score < least:
                break
            senses: dict[str, Json] = {}
            for sense in dict.fromkeys(SENSES.values()):
                share = sum(float(s) for s, e in zip(shares[:, number], evidence, strict=True) if e.sense == sense)
                if any(e.sense == sense for e in evidence):
                    senses[sense] = round(share / score, 4)
            topic = TOPICS.get(names[number])
            text = f"{topic.english} · {topic.chinese}" if topic else names[number]
            data: dict[str, Any] = {"period": period, "senses": senses, "keywords": words}
            made.append(Observation(span, "topic", round(min(1.0, score), 4), names[number], text=text, data=data))
        return made

    def close(self) -> None:
        """Let go of the encoder, which others share."""
        self._encoder = None


def _middle(span: Span) -> Timestamp:
    return Timestamp.of_seconds((span.start.value + span.end.value) / 2)


def _keyword(word: Keyword) -> Observation:
    span = Span(word.spans[0].start, max(s.end for s in word.spans))
    moments: list[Json] = [[round(s.start.seconds, 3), round(s.end.seconds, 3)] for s in word.spans[:_MOMENTS]]
    data: dict[str, Json] = {"senses": dict(word.senses), "count": word.count, "moments": moments}
    return Observation(span, "keyword", word.score, word.text, text=word.text, data=data)
