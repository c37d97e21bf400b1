"""Settings of the picture's technical cues."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from onlooker.core.analyzer import AnalyzerConfig

__all__ = ["CUES", "Cue", "QualityConfig"]

Cue = Literal[
    "black",
    "frozen",
    "colour_bars",
    "flicker",
    "blur",
    "overexposed",
    "underexposed",
    "camera_shake",
    "camera_moved",
    "camera_covered",
    "letterbox",
]
CUES: tuple[Cue, ...] = get_args(Cue)


class QualityConfig(AnalyzerConfig):
    """Settings of `Quality`. Levels are of 0..255, lengths in seconds.

    Args:
        cues: which to report.
        camera: ``fixed``: every lasting change of the view is the camera's (surveillance); ``edited``: views change
            by cutting, so nothing is said about moved or covered cameras; ``auto``: such cues are given where the
            view stood still before and the new one overlaps it (moved) or it comes back later (covered).
        black_level: coded brightness up to which a pixel is black (16 is nominal black; 32 leaves room for noise).
        black_share: share of pixels that must be.
        black_seconds, frozen_seconds, bars_seconds, flicker_seconds, blur_seconds, exposure_seconds, shake_seconds,
            covered_seconds, letterbox_seconds: shortest span that is reported.
        longest_seconds: longer spans are told in pieces of this length; None: whole, when they have ended.
        frozen_noise: largest mean absolute difference between frames in any part of the picture up to which it
            stands still; raise it for analogue sources.
        flicker_gain: swing of the brightness, in shares of it, from which it is flicker.
        blur_level: blur 0..1 from which the picture is blurred.
        over_share: share of nearly white pixels from which the picture is overexposed.
        under_level: 95th percentile of brightness below which the picture is underexposed.
        shake_share: movement to and fro between measurements, in shares of the picture, from which it is shake.
        settle_seconds: how long a view must have stood before its loss means something.
        moved_seconds: how long the new view must stand.
    """

    cues: tuple[Cue, ...] = CUES
    camera: Literal["auto", "fixed", "edited"] = "auto"
    longest_seconds: float | None = Field(default=None, ge=2)
    black_level: int = Field(default=32, ge=0, le=255)
    black_share: float = Field(default=0.98, gt=0, le=1)
    black_seconds: float = Field(default=0.4, ge=0)
    frozen_noise: float = Field(default=0.2, ge=0)
    frozen_seconds: float = Field(default=2.0, ge=0)
    bars_seconds: float = Field(default=0.5, ge=0)
    flicker_gain: float = Field(default=0.02, gt=0)
    flicker_seconds: float = Field(default=1.0, ge=0)
    blur_level: float = Field(default=0.6, gt=0, le=1)
    blur_seconds: float = Field(default=2.0, ge=0)
    over_share: float = Field(default=0.35, gt=0, le=1)
    under_level: float = Field(default=60, gt=0, le=255)
    exposure_seconds: float = Field(default=1.5, ge=0)
    shake_share: float = Field(default=0.005, gt=0)
    shake_seconds: float = Field(default=1.5, ge=0)
    settle_seconds: float = Field(default=8.0, ge=2)
    moved_seconds: float = Field(default=4.0, ge=2)
    covered_seconds: float = Field(default=2.0, ge=0)
    letterbox_seconds: float = Field(default=4.0, ge=0)
