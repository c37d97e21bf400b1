"""Settings of the sound's technical cues."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from onlooker.core.analyzer import AnalyzerConfig

__all__ = ["SOUND_CUES", "SoundCue", "SoundQualityConfig"]

SoundCue = Literal["silence", "clipping", "dc_offset", "channel_missing"]
SOUND_CUES: tuple[SoundCue, ...] = get_args(SoundCue)


class SoundQualityConfig(AnalyzerConfig):
    """Settings of `SoundQuality`.

    Args:
        cues: which to report.
        silence_level: level in dB of full scale up to which a tenth of a second is silent.
        silence_seconds: shortest silence that is reported.
        clip_level: share of full scale from which a sample is at its limit.
        clip_share: share of such samples in a tenth of a second from which it is clipped.
        clip_seconds: shortest clipping that is reported; pauses up to a second are bridged.
        offset_level: mean of the signal, in shares of full scale, from which it has a direct current.
        offset_seconds: shortest such stretch.
        missing_level: dB by which one of two channels must be below the other to be missing.
        missing_seconds: shortest such stretch.
    """

    cues: tuple[SoundCue, ...] = SOUND_CUES
    silence_level: float = Field(default=-60.0, le=0)
    silence_seconds: float = Field(default=1.0, ge=0)
    clip_level: float = Field(default=0.98, gt=0)
    clip_share: float = Field(default=0.004, gt=0, le=1)
    clip_seconds: float = Field(default=0.2, ge=0)
    offset_level: float = Field(default=0.02, gt=0)
    offset_seconds: float = Field(default=2.0, ge=0)
    missing_level: float = Field(default=40.0, gt=0)
    missing_seconds: float = Field(default=2.0, ge=0)
