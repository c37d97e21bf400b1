"""Settings of text."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from onlooker.core.analyzer import AnalyzerConfig, Quality

__all__ = ["READING_FIELDS", "TextConfig"]

READING_FIELDS = frozenset(
    {
        "detector",
        "recogniser",
        "orientation",
        "rate",
        "size",
        "quick_size",
        "tiles",
        "threshold",
        "region_score",
        "grow",
        "keep_score",
        "refresh_seconds",
        "gate_share",
        "same",
    }
)


class TextConfig(AnalyzerConfig):
    """Settings of `Text`. Those that decide on captions can be changed without reading again.

    Args:
        detector: finds lines, a model of the catalogue.
        recogniser: reads them, a model of the catalogue.
        orientation: says which lines stand on their head, a model of the catalogue.
        rate: frames a second that are looked at.
        size: longer side in pixels of the picture in which lines are looked for.
        quick_size: longer side of the small picture by which, between two thorough looks, it is decided whether
            new text appeared; 0 looks thoroughly each time. It also finds letters too large for ``size``.
        tiles: the picture is looked at whole (1) or also in 2 x 2 overlapping parts (2) for small print.
        threshold: probability from which a pixel belongs to a line's core.
        region_score: least mean probability of a line's core.
        grow: by how much cores are grown to lines.
        keep_score: readings below this are dropped.
        refresh_seconds: everything is looked for and read anew at least this often, at fixed moments.
        gate_share: share of changed pixels of a small grey picture from which a frame is looked at.
        same: likeness of a line's strokes with those read before from which it is not read again.
        score: least score of a caption.
        least_seconds: captions that were seen for less are not reported, unless their score is ``sure_score``.
        sure_score: score that makes a caption certain by one reading.
        gap_seconds: a caption that was not seen for longer has ended.
        alike: likeness (1 - edit distance / length) from which two readings are of one caption.
        split_seconds: a caption whose text changed for good, for at least this long, is two captions.
        longest_seconds: captions that stay longer are given out in pieces of this length.
        split_score: least score of both texts for that.
        slide_lines: lines that make a picture a slide.
        slide_kept: a slide has changed when at most this share of its letters stayed.
        slide_seconds: both slides must have stood for this long.
    """

    detector: str = "ppocr-det"
    recogniser: str = "ppocr-rec"
    orientation: str = "ppocr-cls"
    rate: float = Field(default=2.0, gt=0, le=60)
    size: int = Field(default=736, ge=160, le=4096)
    quick_size: int = Field(default=352, ge=0, le=2048)
    tiles: int = Field(default=1, ge=1, le=2)
    threshold: float = Field(default=0.3, gt=0, lt=1)
    region_score: float = Field(default=0.5, ge=0, le=1)
    grow: float = Field(default=1.6, gt=0, le=5)
    keep_score: float = Field(default=0.5, ge=0, le=1)
    refresh_seconds: float = Field(default=10.0, gt=0)
    gate_share: float = Field(default=0.0005, ge=0, le=1)
    same: float = Field(default=0.7, ge=0, le=1)
    score: float = Field(default=0.6, ge=0, le=1)
    least_seconds: float = Field(default=0.6, ge=0)
    sure_score: float = Field(default=0.8, ge=0, le=1)
    gap_seconds: float = Field(default=1.0, ge=0)
    alike: float = Field(default=0.6, ge=0, le=1)
    split_seconds: float = Field(default=1.4, ge=0)
    split_score: float = Field(default=0.9, ge=0, le=1)
    longest_seconds: float = Field(default=3600.0, gt=0)
    slide_lines: int = Field(default=4, ge=1)
    slide_kept: float = Field(default=0.4, ge=0, le=1)
    slide_seconds: float = Field(default=1.0, ge=0)

    @classmethod
    def for_quality(cls, quality: Quality) -> dict[str, Any]:
        """``fast`` looks once a second at a smaller picture, ``best`` four times, thoroughly, also in parts."""
        return {
            "fast": {"rate": 1.0, "size": 736},
            "best": {"rate": 4.0, "size": 1280, "quick_size": 0, "tiles": 2, "refresh_seconds": 2.0},
        }.get(quality, {})
