"""Settings of the analyzer ``summary``."""

from __future__ import annotations

from pydantic import Field

from onlooker.core.analyzer import AnalyzerConfig

__all__ = ["SummaryConfig"]


class SummaryConfig(AnalyzerConfig):
    """Settings.

    Args:
        sentences: how many sum up the source.
        share: at most this share of what is said.
        chapter_sentences: how many sum up each chapter; 0: chapters get no summary.
        diversity: 0: the most central sentences, 1: none that says what another said.
        lead: how much more the first sentences count than later ones.
        least_letters: shorter sentences are never taken (a Chinese character counts as two letters).
    """

    sentences: int = Field(default=5, ge=1)
    share: float = Field(default=0.5, gt=0, le=1)
    chapter_sentences: int = Field(default=1, ge=0)
    diversity: float = Field(default=0.9, ge=0, le=1)
    lead: float = Field(default=0.2, ge=0, le=1)
    least_letters: int = Field(default=16, ge=1)
