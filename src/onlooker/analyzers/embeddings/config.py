"""Settings of the analyzer ``embeddings``."""

from __future__ import annotations

from pydantic import Field

from onlooker.core.analyzer import AnalyzerConfig

__all__ = ["EmbeddingsConfig"]


class EmbeddingsConfig(AnalyzerConfig):
    """Settings.

    Args:
        kinds: observations of these kinds whose text gets a vector.
        least_letters: shorter texts get none; a Chinese character counts as two letters.
    """

    kinds: tuple[str, ...] = ("speech", "text", "chapter", "summary")
    least_letters: int = Field(default=4, ge=1)
