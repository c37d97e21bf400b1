"""Settings of the analyzer ``topics``."""

from __future__ import annotations

from pydantic import Field, field_validator

from onlooker.analyzers.topics.names import TOPICS
from onlooker.core.analyzer import AnalyzerConfig

__all__ = ["TopicsConfig"]


class TopicsConfig(AnalyzerConfig):
    """Settings.

    Args:
        topics: names of the list to choose from; empty: all.
        own: more topics: name to phrases that tell what belongs to it, Chinese or English.
        score: least score of a topic, a cosine.
        of_best: a topic with less than this share of the best one's score is left out.
        most: at most so many topics for a stretch.
        keywords: at most so many keywords for the source.
        stretch_seconds: length of stretches where there are no chapters.
    """

    topics: tuple[str, ...] = ()
    own: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    score: float = Field(default=0.2, ge=0, le=1)
    of_best: float = Field(default=0.7, ge=0, le=1)
    most: int = Field(default=3, ge=1)
    keywords: int = Field(default=15, ge=0)
    stretch_seconds: float = Field(default=180.0, ge=10)

    @field_validator("topics")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(value) - set(TOPICS)):
            raise ValueError(f"no topic is called {unknown[0]!r}; there are {', '.join(TOPICS)}")
        return value

    @field_validator("own")
    @classmethod
    def _phrased(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for name, phrases in value.items():
            if not name or not phrases or not all(p.strip() for p in phrases):
                raise ValueError(f"own topic {name!r}: expected one phrase or more")
        return value
