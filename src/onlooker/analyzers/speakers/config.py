"""Settings of the analyzer of speakers."""

from __future__ import annotations

from pydantic import Field

from onlooker.core.analyzer import AnalyzerConfig

__all__ = ["SpeakersConfig"]


class SpeakersConfig(AnalyzerConfig):
    """Settings of `Speakers`.

    Args:
        threshold: mean similarity (cosine) of their windows from which two groups are one voice.
        most: speakers there can be at most in a stretch of about ten minutes of speech; 0: any number.
        switch: how much more similar another voice must be before it is believed for a single window.
        least_seconds: a voice that was heard for less than this is taken for the most similar other.
        turn_seconds: shortest turn.
        pause_seconds: pauses up to this length do not end a turn.
        voice_on: probability of speech with which a stretch begins.
        voice_off: probability down to which it goes on.
    """

    threshold: float = Field(default=0.66, gt=0, lt=1)
    most: int = Field(default=0, ge=0)
    switch: float = Field(default=0.1, ge=0)
    least_seconds: float = Field(default=2.0, ge=0)
    turn_seconds: float = Field(default=0.3, ge=0)
    pause_seconds: float = Field(default=0.5, ge=0)
    voice_on: float = Field(default=0.5, gt=0, lt=1)
    voice_off: float = Field(default=0.35, gt=0, lt=1)
