"""Settings of the analyzer ``safety``."""

from __future__ import annotations

from pydantic import Field

from onlooker.core.analyzer import AnalyzerConfig

__all__ = ["HEAVY_FIELDS", "SafetyConfig"]

HEAVY_FIELDS = frozenset({"model"})


class SafetyConfig(AnalyzerConfig):
    """Settings.

    Args:
        model: the catalogue's name of the network.
        explicit: least score of ``explicit``.
        explicit_drawing: least score of ``explicit_drawing``.
        suggestive: least score of ``suggestive``.
        least_pictures: fewer pictures of a sort are not told.
    """

    model: str = "content-safety"
    explicit: float = Field(default=0.7, gt=0, le=1)
    explicit_drawing: float = Field(default=0.7, gt=0, le=1)
    suggestive: float = Field(default=0.7, gt=0, le=1)
    least_pictures: int = Field(default=1, ge=1)
