"""Settings of the analyzer of sounds."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from onlooker.analyzers.sounds.labels import LABELS
from onlooker.core.analyzer import AnalyzerConfig, Quality

__all__ = ["SoundsConfig"]


class SoundsConfig(AnalyzerConfig):
    """Settings of `Sounds`.

    Args:
        labels: which sounds to report; see ``labels.py`` for all.
        thresholds: scores from which single sounds are reported, where they shall differ from the measured ones.
        sensitivity: scales all thresholds: 2 halves them.
        hold: a sound goes on down to this share of its threshold.
        minimum_seconds: shortest sound.
        gap_seconds: pauses up to this length are bridged.
        longest_seconds: longer sounds are told in pieces of this length; None: whole, when they have ended.
        every: how many steps of 0.48 s lie between two looks.
    """

    labels: tuple[str, ...] = LABELS
    thresholds: dict[str, float] = Field(default_factory=dict[str, float])
    sensitivity: float = Field(default=1.0, gt=0)
    hold: float = Field(default=0.3, gt=0, le=1)
    minimum_seconds: float = Field(default=0.0, ge=0)
    gap_seconds: float = Field(default=2.0, ge=0)
    longest_seconds: float | None = Field(default=None, gt=0)
    every: int = Field(default=1, ge=1, le=2)

    @model_validator(mode="after")
    def _known(self) -> SoundsConfig:
        for name in (*self.labels, *self.thresholds):
            if name not in LABELS:
                raise ValueError(f"there is no sound {name!r}; there are {', '.join(LABELS)}")
        return self

    @classmethod
    def for_quality(cls, quality: Quality) -> dict[str, Any]:
        """``fast`` looks every 0.96 s."""
        return {"every": 2} if quality == "fast" else {}
