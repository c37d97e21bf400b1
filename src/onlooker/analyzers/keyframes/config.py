"""Options of the keyframes analyzer."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from onlooker.core.analyzer import AnalyzerConfig, Quality

__all__ = ["KeyframesConfig"]


class KeyframesConfig(AnalyzerConfig):
    """Options.

    Args:
        rate: candidates a second; a shot between two candidates gets its keyframe by a read of its own.
        width: width of the stored pictures in pixels; smaller sources keep their own.
        jpeg_quality: 1..95.
        every_seconds: a longer shot gets one keyframe for each such part; 30 or more.
        sheet_pictures: at most so many pictures on the contact sheet.
        sprite_tiles: at most so many tiles in the sprite; the time between tiles doubles until they fit.
        sprite_tile_width: width of a tile in pixels.
    """

    rate: float = Field(default=1.0, gt=0, le=30)
    width: int = Field(default=640, ge=64, le=960)
    jpeg_quality: int = Field(default=80, ge=1, le=95)
    every_seconds: float = Field(default=30.0, ge=30)
    sheet_pictures: int = Field(default=48, ge=1, le=200)
    sprite_tiles: int = Field(default=360, ge=2, le=2000)
    sprite_tile_width: int = Field(default=160, ge=32, le=480)

    @classmethod
    def for_quality(cls, quality: Quality) -> dict[str, Any]:
        """Fewer candidates when fast; larger pictures when best."""
        return {"fast": {"rate": 0.5}, "balanced": {}, "best": {"rate": 2.0, "width": 960}}[quality]
