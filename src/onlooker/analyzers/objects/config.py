"""Settings of objects."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from onlooker.core.analyzer import AnalyzerConfig, Quality

__all__ = ["DETECTION_FIELDS", "ObjectsConfig"]

DETECTION_FIELDS = frozenset({"model", "rate", "keep_score", "overlap", "gate", "gate_share", "gate_seconds", "tiles"})


class ObjectsConfig(AnalyzerConfig):
    """Settings of `Objects`. Those of the tracker can be changed without detecting again.

    Args:
        model: the detector, a model of the catalogue.
        rate: frames a second in which objects are looked for.
        keep_score: detections from this score on are kept; those below ``score`` only prolong tracks.
        overlap: of two boxes of one class that overlap more than this (IoU), the weaker is dropped.
        gate: whether frames are passed over in which nothing changed since the last one looked at.
        gate_share: share of changed pixels of the small grey picture from which a frame is looked at.
        gate_seconds: a frame is looked at at least this often.
        tiles: the picture is looked at whole (1), or also in 2 x 2 overlapping parts (2) for small objects.
        score: least score of an ``object`` and of what starts a track.
        labels: only these classes; empty means all of the model.
        confirm: detections that make a track certain.
        lost_seconds: a track that was not seen for longer has ended.
        match: least overlap, of boxes grown by ``margin``, by which a detection goes on a track.
        margin: share of its size by which a box is grown on each side before boxes are compared.
        least_seconds: shorter tracks are not reported.
    """

    model: str = "nanodet-416"
    rate: float = Field(default=5.0, gt=0, le=120)
    keep_score: float = Field(default=0.3, ge=0, le=1)
    overlap: float = Field(default=0.5, gt=0, le=1)
    gate: bool = True
    gate_share: float = Field(default=0.0005, ge=0, le=1)
    gate_seconds: float = Field(default=2.0, gt=0)
    tiles: int = Field(default=1, ge=1, le=2)
    score: float = Field(default=0.45, ge=0, le=1)
    labels: tuple[str, ...] = ()
    confirm: int = Field(default=3, ge=1)
    lost_seconds: float = Field(default=2.5, ge=0)
    match: float = Field(default=0.15, ge=0, le=1)
    margin: float = Field(default=0.2, ge=0, le=2)
    least_seconds: float = Field(default=0.3, ge=0)

    @classmethod
    def for_quality(cls, quality: Quality) -> dict[str, Any]:
        """``fast`` looks 2.5 times a second, ``best`` 10 times and also in parts of the picture, without gate."""
        return {"fast": {"rate": 2.5}, "best": {"rate": 10.0, "tiles": 2, "gate": False}}.get(quality, {})
