"""Settings of the analyzer ``labels``."""

from __future__ import annotations

from pydantic import Field

from onlooker.core.analyzer import AnalyzerConfig

__all__ = ["LabelsConfig"]


class LabelsConfig(AnalyzerConfig):
    """Settings.

    Args:
        least_seconds: what is there for less time in all, and for less than ``least_share``, is no label.
        least_share: of the stretch.
        most: at most so many labels for a stretch.
        scenes: whether scenes get labels too.
    """

    least_seconds: float = Field(default=1.0, ge=0)
    least_share: float = Field(default=0.1, ge=0, le=1)
    most: int = Field(default=20, ge=1)
    scenes: bool = True
