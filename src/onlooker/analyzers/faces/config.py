"""Settings of faces."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from onlooker.core.analyzer import AnalyzerConfig, Quality

__all__ = ["DETECTION_FIELDS", "FacesConfig"]

DETECTION_FIELDS = frozenset({"rate", "size", "keep_score", "overlap", "gate", "gate_share", "gate_seconds"})


class FacesConfig(AnalyzerConfig):
    """Settings of `Faces`. Those of the tracker can be changed without detecting again.

    Args:
        rate: frames a second in which faces are looked for.
        size: longer side in pixels of the picture in which they are looked for; a larger source is reduced to
            it, a smaller one stays; faces under about 25 pixels of it are missed.
        keep_score: detections from this score on are kept; those below ``score`` only prolong tracks.
        overlap: of two boxes that overlap more than this (IoU), the weaker is dropped.
        gate: whether frames are passed over in which nothing changed since the last one looked at.
        gate_share: share of changed pixels of the small grey picture from which a frame is looked at.
        gate_seconds: a frame is looked at at least this often.
        best_shot: whether the best picture of each track is kept (``media`` of its ``face_track``).
        score: least score of what starts a track.
        confirm: detections that make a track certain; a face seen fewer times is reported only from ``sure`` on.
        sure: score from which a face without a track is reported.
        lost_seconds: a track that was not seen for longer has ended.
        match: least overlap, of boxes grown by ``margin``, by which a detection goes on a track.
        margin: share of its size by which a box is grown on each side before boxes are compared.
        least_size: faces whose longer side is under this share of the picture's width are left out.
    """

    rate: float = Field(default=5.0, gt=0, le=120)
    size: int = Field(default=960, ge=160, le=1920)
    keep_score: float = Field(default=0.25, ge=0.05, le=1)
    overlap: float = Field(default=0.3, gt=0, le=1)
    gate: bool = True
    gate_share: float = Field(default=0.0005, ge=0, le=1)
    gate_seconds: float = Field(default=2.0, gt=0)
    best_shot: bool = True
    score: float = Field(default=0.4, ge=0, le=1)
    confirm: int = Field(default=2, ge=1)
    sure: float = Field(default=0.6, ge=0, le=1)
    lost_seconds: float = Field(default=1.5, ge=0)
    match: float = Field(default=0.1, ge=0, le=1)
    margin: float = Field(default=0.3, ge=0, le=2)
    least_size: float = Field(default=0.0, ge=0, le=1)

    @classmethod
    def for_quality(cls, quality: Quality) -> dict[str, Any]:
        """``fast`` looks 2.5 times a second at 640 pixels, ``best`` 10 times at 1280, without gate."""
        own = {"fast": {"rate": 2.5, "size": 640}, "best": {"rate": 10.0, "size": 1280, "gate": False}}
        return own.get(quality, {})
