"""Events as the API gives and takes them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from onlooker.api.models import Box, Strict

__all__ = [
    "Acknowledge",
    "Event",
    "EventState",
    "Events",
    "History",
    "Mute",
    "Mutes",
    "NewMute",
    "Severity",
    "SinkList",
    "State",
    "Verdict",
]

Severity = Literal["info", "low", "medium", "high", "critical"]
State = Literal["new", "update", "end"]
Note = Annotated[str, Field(max_length=2000)]


class Said(BaseModel):
    """Who said something of an event, when."""

    by: str
    at: str
    note: str = ""


class Judgement(Said):
    """Whether an event is right, or a false alarm."""

    verdict: Literal["right", "wrong"]


class EventState(BaseModel):
    """A state of an event; times in seconds of the source.

    Attributes:
        evidence: ``snapshot`` and ``clip`` are paths below ``/api/v1/files/``, or null until they are there.
    """

    model_config = ConfigDict(extra="allow")
    id: str
    rule: str
    source: str
    camera: str
    state: State
    number: int
    start: float
    end: float | None
    wall_start: str | None
    severity: str
    score: float | None
    label: str | None
    box: Box | None
    tracks: list[str]
    data: dict[str, Any]
    observations: list[str]
    evidence: dict[str, Any]


class Event(EventState):
    """An event as it is now, and what people said of it."""

    wall_end: str | None
    first_seen: str
    updated: str
    muted: bool
    acknowledged: Said | None
    feedback: list[Judgement]


class Events(BaseModel):
    """A page of events, the newest first; ``more`` says whether others follow."""

    events: list[Event]
    offset: int
    more: bool


class History(BaseModel):
    """All states of an event in order."""

    states: list[EventState]


class Acknowledge(Strict):
    """A note, or none."""

    note: Note = ""


class Verdict(Strict):
    """``wrong`` for a false alarm."""

    verdict: Literal["right", "wrong"]
    note: Note = ""


class NewMute(Strict):
    """Which events no sink is told of: of a rule, of a camera, or of both; without ``until`` for good."""

    rule: str | None = Field(default=None, min_length=1, max_length=200)
    camera: str | None = Field(default=None, min_length=1, max_length=200)
    until: AwareDatetime | None = None
    note: Note = ""


class Mute(BaseModel):
    """A mute in force."""

    number: int
    rule: str | None
    camera: str | None
    until: str | None
    made: str
    by: str
    note: str


class Mutes(BaseModel):
    """The mutes in force."""

    mutes: list[Mute]


class Sink(BaseModel):
    """How a sink is doing."""

    model_config = ConfigDict(extra="allow")
    name: str
    kind: str
    waiting: int
    dead: int
    last_error: str | None
    last_success: str | None


class SinkList(BaseModel):
    """The sinks that are told, or were."""

    sinks: list[Sink]
