"""Options of the scenes analyzer."""

from __future__ import annotations

from pydantic import Field

from onlooker.core.analyzer import AnalyzerConfig

__all__ = ["ScenesConfig"]


class ScenesConfig(AnalyzerConfig):
    """Options.

    Args:
        similarity: two shots with at least this cosine of their looks belong to one scene.
        link_shots: how many shots back a shot may take up a scene again.
        link_seconds: how many seconds back.
        min_scene_seconds: a shorter scene joins a neighbour.
        min_chapter_seconds: shortest chapter; None: a twentieth of the video, at least a minute.
        max_chapters: at most so many.
        words: whether chapters follow what is said and shown on slides, with titles, where enough is said.
    """

    similarity: float = Field(default=0.78, ge=-1, le=1)
    link_shots: int = Field(default=8, ge=1, le=100)
    link_seconds: float = Field(default=60.0, gt=0)
    min_scene_seconds: float = Field(default=8.0, ge=0)
    min_chapter_seconds: float | None = Field(default=None, gt=0)
    max_chapters: int = Field(default=20, ge=1)
    words: bool = False
