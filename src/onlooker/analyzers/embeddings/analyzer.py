"""The analyzer ``embeddings``; see README.md."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from onlooker.analyzers._sentence_words import letters
from onlooker.analyzers.embeddings.config import EmbeddingsConfig
from onlooker.core.analyzer import Analyzer, Context, Needs, Window
from onlooker.core.observation import Observation
from onlooker.models.sentences import MODELS, SPACE, SentenceEncoder, models_digest, shared_encoder

__all__ = ["Embeddings"]


class Embeddings(Analyzer[EmbeddingsConfig]):
    """A vector for each sentence, caption and title."""

    name: ClassVar[str] = "embeddings"
    version: ClassVar[str] = "1"
    emits: ClassVar[tuple[str, ...]] = ("embedding",)
    Config = EmbeddingsConfig
    measurement_fields: ClassVar[frozenset[str] | None] = frozenset()

    def __init__(self, config: EmbeddingsConfig) -> None:
        super().__init__(config)
        self._encoder: SentenceEncoder | None = None

    def needs(self) -> Needs:
        """Whatever has text; no pictures and no sound."""
        return Needs(wishes=self.config.kinds, models=MODELS)

    def bundle_digest(self) -> str | None:
        """One digest of both files."""
        return models_digest()

    def open(self, context: Context) -> None:
        """Load the encoder, unless this instance gets no texts."""
        if not context.heavy_only:
            self._encoder = shared_encoder()

    def analyze(self, window: Window) -> Iterable[Observation]:
        """The vectors of the texts that arrived."""
        made: list[Observation] = []
        for o in window.observations:
            text = " ".join((o.text or "").split())
            if self._encoder is None or letters(text) < self.config.least_letters:
                continue
            vector = self._encoder.one(text)
            data = {"of": o.kind, "words": o.text}
            made.append(Observation(o.span, "embedding", o.score, "text", data=data, vector=vector, vector_space=SPACE))
        return made

    def close(self) -> None:
        """Let go of the encoder, which others share."""
        self._encoder = None
