"""Settings of traffic."""

from __future__ import annotations

from pydantic import Field

from onlooker.core.analyzer import AnalyzerConfig

__all__ = ["HEAVY_FIELDS", "TrafficConfig"]

HEAVY_FIELDS = frozenset({"objects_model", "width", "labels", "also", "least_box"})


class TrafficConfig(AnalyzerConfig):
    """Settings of `Traffic`.

    Args:
        objects_model: the model that ``objects`` runs; its labels name the classes.
        width: width in pixels of the picture that colours are taken from.
        labels: classes that are described and counted.
        also: classes that are taken for another, such as ``{"cell phone": "car"}`` where a camera looks straight down
            on a road; none by default.
        least_box: least score of a box whose colours are looked at.
        still: a track that moved less (picture widths) and did not grow or shrink has the direction ``still``.
        growth: a box that became so many times larger in area came towards the camera.
        flow_degrees: streams of movement are parted by a gap of so many degrees in their headings.
    """

    objects_model: str = "nanodet-416"
    width: int = Field(default=640, ge=64)
    labels: tuple[str, ...] = ("person", "bicycle", "car", "motorcycle", "bus", "truck")
    also: dict[str, str] = Field(default_factory=dict)
    least_box: float = Field(default=0.45, ge=0, le=1)
    still: float = Field(default=0.04, ge=0, le=1)
    growth: float = Field(default=1.8, gt=1)
    flow_degrees: float = Field(default=45.0, gt=0, le=180)
