"""Settings of the analyzer ``sentiment``."""

from __future__ import annotations

from pydantic import Field

from onlooker.core.analyzer import AnalyzerConfig

__all__ = ["SentimentConfig"]


class SentimentConfig(AnalyzerConfig):
    """Settings.

    Args:
        least: a feeling weaker than this, 0..1, is called neutral (VADER's authors: 0.05).
        neutral: whether neutral sentences are told too.
        vectors: whether a Chinese sentence without a word of the lists, or one in another language, is judged by its
            likeness to sentences of known feeling.
    """

    least: float = Field(default=0.05, ge=0, le=1)
    neutral: bool = True
    vectors: bool = True
