"""Settings of expression."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from onlooker.core.analyzer import AnalyzerConfig, Quality

__all__ = ["HEAVY_FIELDS", "ExpressionConfig"]

HEAVY_FIELDS = frozenset({"least_quality", "crop", "mirror", "age"})


class ExpressionConfig(AnalyzerConfig):
    """Settings of `Expression`.

    Args:
        least_quality: faces of a lower quality (0..1) are not judged.
        crop: side of the square that is judged, in longer sides of the face's box; turned so that the eyes lie level.
        mirror: whether the mirrored face is judged too and the mean taken: steadier, at twice the cost.
        age: whether age bands are estimated. Off by default: see docs/responsible-use.md.
        smooth_seconds: a look is judged together with those of its track so long before and after it.
        sure: least smoothed probability of an expression that is reported; below it nothing is said.
        least_seconds: shorter stretches of one expression are joined to their neighbours.
    """

    least_quality: float = Field(default=0.15, ge=0, le=1)
    crop: float = Field(default=1.1, gt=0.5, le=3)
    mirror: bool = True
    age: bool = False
    smooth_seconds: float = Field(default=0.6, ge=0)
    sure: float = Field(default=0.3, ge=0, le=1)
    least_seconds: float = Field(default=0.4, ge=0)

    @classmethod
    def for_quality(cls, quality: Quality) -> dict[str, Any]:
        """``fast`` judges each face once, without its mirror image."""
        return {"mirror": False} if quality == "fast" else {}
