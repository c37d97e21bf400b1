"""Settings of near-duplicates."""

from __future__ import annotations

from pydantic import Field

from onlooker.core.analyzer import AnalyzerConfig

__all__ = ["DuplicatesConfig"]


class DuplicatesConfig(AnalyzerConfig):
    """Settings of `Duplicates`.

    Args:
        chunk_seconds: a fingerprint file holds this much of the source.
        distance: bits of 64 by which the mean pictures of a duplicate may differ.
        shortest_seconds: shortest duplicate that is reported.
        movement: correlation of what changes over time from which two stretches are the same recording; two recordings
            of one still scene stay far below.
        apart_seconds: repeats within one source lie at least this far apart.
        repeats: whether to look for repeats within the source.
        others: whether to look for duplicates in the other sources of the library after each analysis.
    """

    chunk_seconds: int = Field(default=600, ge=10)
    distance: int = Field(default=18, ge=0, le=28)
    shortest_seconds: float = Field(default=3.0, ge=1)
    movement: float = Field(default=0.83, gt=0, le=1)
    apart_seconds: float = Field(default=10.0, ge=2)
    repeats: bool = True
    others: bool = True
