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
        merge: similarity (cosine) of their mean voices from which two groups are one speaker after all.
        share: a voice with less than this share of the speech is taken for the most similar other,
        least_seconds: but at least one that was heard for less than this,
        most_seconds: and none that was heard for more than this.
        turn_seconds: shortest turn.
        pause_seconds: pauses up to this length do not end a turn.
        voice_on: probability of speech with which a stretch begins.
        voice_off: probability down to which it goes on.
    """

    threshold: float = Field(default=0.68, gt=0, lt=1)
    most: int = Field(default=0, ge=0)
    switch: float = Field(default=0.1, ge=0)
    merge: float = Field(default=0.8, gt=0, lt=1)
    share: float = Field(default=0.1, ge=0, lt=1)
    least_seconds: float = Field(default=2.0, ge=0)
    most_seconds: float = Field(default=10.0, ge=0)
    turn_seconds: float = Field(default=0.3, ge=0)
    pause_seconds: float = Field(default=0.5, ge=0)
    voice_on: float = Field(default=0.5, gt=0, lt=1)
    voice_off: float = Field(default=0.35, gt=0, lt=1)
