"""What the API gives and takes, as typed models; they are the OpenAPI description."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "Box",
    "CameraName",
    "Done",
    "Identity",
    "Limit",
    "Names",
    "Observation",
    "Observations",
    "Offset",
    "Seconds",
    "Source",
    "SourceDetail",
    "Sources",
    "Strict",
    "Timeline",
    "TimelineRow",
    "Words",
]

Identity = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$", description="Id.")]
CameraName = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="Name of a camera.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="At most that many.")]
Offset = Annotated[int, Query(ge=0, le=10_000_000, description="Skip that many.")]
_Name = Annotated[str, Field(min_length=1, max_length=200)]
Names = Annotated[list[_Name] | None, Query(max_length=50)]
Seconds = Annotated[float | None, Query(ge=-1e9, le=1e9, allow_inf_nan=False, description="Seconds of the source.")]
Words = Annotated[str | None, Query(max_length=500, description="Words that must all be found.")]
Box = Annotated[list[float | None], Field(min_length=4, max_length=4)]


class Strict(BaseModel):
    """A body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Done(BaseModel):
    """It is done."""

    done: bool = True


class VideoInfo(BaseModel):
    """The video stream that is analysed; pixels as displayed."""

    codec: str
    width: int
    height: int
    frame_rate: float | None


class Source(BaseModel):
    """One video: a file or a camera.

    Attributes:
        id: identity.
        path: where it was read, or the camera's name.
        duration_seconds: None where unknown.
        begins: wall time of its zero where it is known.
        analyzers: those that came to its end.
    """

    id: str
    path: str
    live: bool
    container: str
    duration_seconds: float | None
    size: int | None
    begins: str | None
    video: VideoInfo | None
    audio: int = Field(description="How many audio streams.")
    analyzers: list[str]


class Sources(BaseModel):
    """Sources that the caller may see."""

    count: int
    sources: list[Source]


class Failure(BaseModel):
    """A stretch that could not be looked at."""

    stage: str
    analyzer: str | None
    message: str
    start_seconds: float | None
    end_seconds: float | None
    retryable: bool


class SourceDetail(Source):
    """A source with what was found and what could not be looked at."""

    counts: dict[str, int]
    failures: list[Failure]
    tags: dict[str, str]


class Observation(BaseModel):
    """One fact; the kind's own fields stand beside these.

    Attributes:
        box: left, top, right, bottom in fractions of the displayed picture.
        media: paths of derived files, below ``/api/v1/files/``.
    """

    model_config = ConfigDict(extra="allow")
    id: str
    source: str
    kind: str
    start_seconds: float
    end_seconds: float
    score: float | None
    label: str | None
    box: Box | None
    track: str | None
    text: str | None
    media: list[str]
    producer: str | None


class Hit(Observation):
    """An observation that was found; a higher ``score_search`` is better, within one search."""

    score_search: float | None


class Observations(BaseModel):
    """A page of observations in order of source and time; ``more`` says whether others follow."""

    observations: list[Observation]
    offset: int
    more: bool


class Hits(BaseModel):
    """What was found, best first where something was searched for."""

    count: int
    hits: list[Hit]


class TimelineRow(BaseModel):
    """How many observations of one kind touch each stretch."""

    kind: str
    counts: list[int]


class Timeline(BaseModel):
    """A source at a glance.

    Attributes:
        start_seconds: where it begins; ``step_seconds``: length of a stretch.
    """

    source: str
    start_seconds: float
    step_seconds: float
    rows: list[TimelineRow]


Json = dict[str, Any]
Order = Literal["best", "time", "score"]
