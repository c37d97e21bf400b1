"""What the client gives. Fields that a newer server adds are kept, and can be had by name."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Camera", "Event", "EventState", "Hit", "Job", "Me", "Observation", "Source"]

Box = list[float | None]


class _Told(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class Me(_Told):
    """Who is logged in: ``roles`` are ``{"camera", "role", "zones"}``."""

    user: str
    roles: list[dict[str, Any]]
    via: Literal["session", "token"]
    csrf: str = ""


class Source(_Told):
    """One video: a file or a camera; lengths in seconds, ``begins`` is the wall time of its zero where it is known."""

    id: str
    path: str
    live: bool
    container: str
    duration_seconds: float | None
    size: int | None
    begins: datetime | None
    analyzers: list[str]


class Observation(_Told):
    """One fact: times in seconds of its source; ``box`` is left, top, right, bottom in fractions of the picture.

    ``media`` are paths of derived files: see `Client.download`.
    """

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


class Hit(Observation):
    """An observation that was found; a higher ``score_search`` is better, within one search."""

    score_search: float | None


class EventState(_Told):
    """A state of an event: times in seconds of its source; ``sequence`` is where a stream stands, to go on from."""

    id: str
    rule: str
    source: str
    camera: str
    state: Literal["new", "update", "end"]
    number: int
    start: float
    end: float | None
    wall_start: datetime | None
    severity: str
    label: str | None
    box: Box | None
    tracks: list[str]
    data: dict[str, Any]
    evidence: dict[str, Any]
    sequence: int | None = None


class Event(EventState):
    """An event as it is now, and what people said of it."""

    muted: bool
    acknowledged: dict[str, Any] | None
    feedback: list[dict[str, Any]]


class Camera(_Told):
    """How a camera is doing; ``since`` and ``last_frame`` are Unix seconds, ages and durations seconds."""

    name: str
    source: str
    watched: bool
    condition: str
    reason: str
    since: float
    last_frame: float | None
    age: float | None
    arriving: float
    analysed: float
    drops: dict[str, int]
    reconnects: int
    blind_seconds: float
    watched_seconds: float
    counted: dict[str, dict[str, int]] = Field(default_factory=dict[str, dict[str, int]])


class Job(_Told):
    """An analysis; times are Unix seconds."""

    id: str
    owner: str
    state: Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
    addresses: list[str]
    sources: list[str]
    created: float
    started: float | None
    ended: float | None
    progress: dict[str, Any] | None
    result: dict[str, Any] | None
    error: str | None

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.state not in ("queued", "running")
