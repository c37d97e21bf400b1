"""Settings of face vectors."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from onlooker.analyzers._live_settings import LiveSettings
from onlooker.core.analyzer import Quality

__all__ = ["HEAVY_FIELDS", "FaceVectorsConfig"]

HEAVY_FIELDS = frozenset({"least_quality", "mirror"})


class FaceVectorsConfig(LiveSettings):
    """Settings of `FaceVectors`.

    Args:
        least_quality: faces of a lower quality (0..1) are not looked at; a track without a better one gets no vector.
        mirror: whether the mirrored face is looked at too and the mean taken: surer for tracks of few faces, at twice
            the cost.
        faces: so many best faces of a track make its vector.
        longest_seconds: a track that goes on tells its vector so far when three good faces were seen, and again every
            so many seconds; None: once, when it has ended.
    """

    least_quality: float = Field(default=0.3, ge=0, le=1)
    mirror: bool = False
    faces: int = Field(default=12, ge=1)

    @classmethod
    def for_quality(cls, quality: Quality) -> dict[str, Any]:
        """The mirrored face counts too at ``best``."""
        return {"mirror": True} if quality == "best" else {}
