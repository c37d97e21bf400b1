"""Settings of pose."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from onlooker.core.analyzer import AnalyzerConfig, Quality

__all__ = ["HEAVY_FIELDS", "PoseConfig"]

HEAVY_FIELDS = frozenset(
    {"objects_model", "width", "crop", "most", "least_box", "least_height", "hands", "hand_pixels"}
)


class PoseConfig(AnalyzerConfig):
    """Settings of `Pose`.

    Args:
        objects_model: the model that ``objects`` runs; its labels say which class is a person.
        width: width in pixels of the picture that persons are cut from.
        crop: side of the square around a person, in longer sides of the box.
        most: at most so many persons of a frame, the tallest first.
        least_box: least score of a person's box.
        least_height: least height of a person's box, as a share of the picture.
        least_score: least mean score of the key points for a ``pose``.
        sure: a key point below this score is taken as not seen.
        smooth_seconds: key points are steadied by the moments before and after that are no farther; 0 leaves them.
        least_seconds: how long a posture must hold before it ends the one before.
        gap_seconds: a person not seen for longer has no posture in between.
        longest_seconds: longer postures are told in pieces of this length; None: whole, when they have ended.
        hands: whether hands are looked for, which costs about 12 ms for each, and ``gesture`` is told.
        hand_pixels: smaller palms, in the picture that persons are cut from, are passed over.
        least_hand: least score of a hand for its points and its gesture.
        gesture_seconds: how long a gesture must be held.
        fall_seconds: lying this soon after being upright, with the shoulders far lower, is a fall.
    """

    objects_model: str = "nanodet-416"
    width: int = Field(default=960, ge=64)
    crop: float = Field(default=1.3, ge=1, le=3)
    most: int = Field(default=8, ge=1)
    least_box: float = Field(default=0.45, ge=0, le=1)
    least_height: float = Field(default=0.12, ge=0, le=1)
    least_score: float = Field(default=0.25, ge=0, le=1)
    sure: float = Field(default=0.25, ge=0, le=1)
    smooth_seconds: float = Field(default=0.5, ge=0)
    least_seconds: float = Field(default=0.6, ge=0)
    gap_seconds: float = Field(default=3.0, gt=0)
    longest_seconds: float | None = Field(default=None, gt=0)
    hands: bool = False
    hand_pixels: int = Field(default=20, ge=8)
    least_hand: float = Field(default=0.9, ge=0, le=1)
    gesture_seconds: float = Field(default=0.5, ge=0)
    fall_seconds: float = Field(default=1.5, gt=0)

    @classmethod
    def for_quality(cls, quality: Quality) -> dict[str, Any]:
        """``fast`` looks at the four tallest persons, ``best`` at twenty."""
        return {"fast": {"most": 4}, "best": {"most": 20}}.get(quality, {})
