"""Options of the shots analyzer."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from onlooker.core.analyzer import AnalyzerConfig, Quality

__all__ = ["ShotsConfig"]


class ShotsConfig(AnalyzerConfig):
    """Options; see README.md for what the levels reach and cost.

    Args:
        level: ``exact`` looks at every frame; ``fast`` at those that others are coded from, and then at the few
            around each cut; ``index`` at keyframes only.
        min_shot_seconds: shorter shots are not made; of two boundaries the surer one stays.
        cut_threshold: least probability of a cut.
        dissolve_threshold: least probability of a dissolve.
    """

    level: Literal["exact", "fast", "index"] = "exact"
    min_shot_seconds: float = Field(default=0.25, ge=0, le=10)
    cut_threshold: float = Field(default=0.5, gt=0, lt=1)
    dissolve_threshold: float = Field(default=0.5, gt=0, le=1)

    @classmethod
    def for_quality(cls, quality: Quality) -> dict[str, Any]:
        """``fast`` quality takes the ``fast`` level."""
        return {"level": "fast"} if quality == "fast" else {}
