"""Settings of the analyzer ``pictures``."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from onlooker.analyzers.pictures.names import LABELS, Label
from onlooker.core.analyzer import AnalyzerConfig, Quality

__all__ = ["HEAVY_FIELDS", "PicturesConfig"]

HEAVY_FIELDS = frozenset({"image_model"})


class PicturesConfig(AnalyzerConfig):
    """Settings.

    Args:
        image_model, text_model: catalogue entries of the two networks of one space.
        labels: name to (English, Chinese): how pictures of it would be spoken of; empty: no labels.
        templates: English sentences, ``{}`` stands for the label's English.
        chinese_templates: Chinese ones, used with weights that know Chinese.
        others: what pictures show that have none of the labels.
        score: least probability of a label among all labels and others.
        new_look: a picture less like the last stored one than this cosine is stored too.
        every_seconds: one is stored after so many seconds in any case.
    """

    image_model: str = "clip-image"
    text_model: str = "clip-text"
    labels: dict[str, Label] = Field(default_factory=lambda: dict(LABELS))
    templates: tuple[str, ...] = ("a photo of {}.", "a video frame showing {}.", "{}.")
    chinese_templates: tuple[str, ...] = ("一张{}的照片。", "{}的画面。")
    others: tuple[str, ...] = ("a photo.", "a picture of something.", "a blank picture.")
    score: float = Field(default=0.25, gt=0, le=1)
    new_look: float = Field(default=0.92, ge=-1, le=1)
    every_seconds: float = Field(default=30.0, gt=0)

    @field_validator("templates", "chinese_templates")
    @classmethod
    def _with_place(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or not all("{}" in t for t in value):
            raise ValueError("each template needs {} where the label stands")
        return value

    @classmethod
    def for_quality(cls, quality: Quality) -> dict[str, Any]:
        """The weights in 8 bits when fast."""
        small = {"image_model": "clip-image-small", "text_model": "clip-text-small"}
        return {"fast": small, "balanced": {}, "best": {}}[quality]
