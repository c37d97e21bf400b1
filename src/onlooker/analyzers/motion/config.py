"""Settings of motion."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from onlooker.core.analyzer import AnalyzerConfig, Quality

__all__ = ["MotionConfig"]


class MotionConfig(AnalyzerConfig):
    """Settings of `Motion`.

    Args:
        rate: pictures a second that are compared.
        difference: grey levels (of 255) by which a pixel of the 160-wide picture must change.
        on_share: share of changed pixels from which there is activity.
        off_share: share below which it ends.
        gap_seconds: pauses up to this length do not end it.
        shortest_seconds: shorter activity is not reported; leave it above 1 / ``rate``, or each cut is one.
        longest_seconds: longer activity is reported in pieces of this length.
    """

    rate: float = Field(default=4.0, gt=0, le=120)
    difference: int = Field(default=12, ge=1, le=255)
    on_share: float = Field(default=0.001, gt=0, le=1)
    off_share: float = Field(default=0.0005, gt=0, le=1)
    gap_seconds: float = Field(default=1.0, ge=0)
    shortest_seconds: float = Field(default=0.5, ge=0)
    longest_seconds: float = Field(default=60.0, gt=0)

    @classmethod
    def for_quality(cls, quality: Quality) -> dict[str, Any]:
        """``fast`` compares 2 pictures a second, ``best`` 8."""
        return {"fast": {"rate": 2.0, "shortest_seconds": 0.75}, "best": {"rate": 8.0}}.get(quality, {})
