"""Which events a sink is told of."""

from __future__ import annotations

import fnmatch
from datetime import UTC, datetime
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, field_validator

from onlooker.core.event import Event, State
from onlooker.core.schedule import Schedule
from onlooker.events.records import rank

__all__ = ["SinkRule"]


class SinkRule(BaseModel):
    """Conditions on events; those left out do not restrict.

    All but ``states`` go by what stays the same from an event's beginning to its end, so a sink that is told of the
    beginning is told of the end.

    Attributes:
        rules, cameras: patterns (``*``, ``?``) of names.
        severity: the least.
        schedule: when the event must begin; an event without wall time begins now.
        time_zone: of the schedule; without it that of the event's wall time.
        states: which states; without it, what suits the sort of sink.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    rules: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    severity: Literal["info", "low", "medium", "high", "critical"] = "info"
    schedule: Schedule | None = None
    time_zone: str | None = None
    states: tuple[State, ...] | None = None

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, value: str | None) -> str | None:
        try:
            if value is not None:
                ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"no time zone is called {value!r}; write an IANA name such as Europe/Berlin") from None
        return value

    @property
    def told(self) -> tuple[State, ...]:
        """The states that are told."""
        return self.states if self.states is not None else ("new", "update", "end")

    def covers(self, event: Event) -> bool:
        """Whether the sink is told of the event at all, whatever its state."""
        if self.rules and not any(fnmatch.fnmatchcase(event.rule, p) for p in self.rules):
            return False
        if self.cameras and not any(fnmatch.fnmatchcase(event.camera, p) for p in self.cameras):
            return False
        return rank(event.severity) >= rank(self.severity) and self._in_time(event)

    def wants(self, event: Event) -> bool:
        """Whether the sink is told of this state."""
        return event.state in self.told and self.covers(event)

    def _in_time(self, event: Event) -> bool:
        if self.schedule is None:
            return True
        begin = event.wall or datetime.now(UTC)
        if self.time_zone is not None:
            zone = ZoneInfo(self.time_zone)
        else:
            zone = begin.tzinfo if isinstance(begin.tzinfo, ZoneInfo) else ZoneInfo("UTC")
        return self.schedule.state(begin.astimezone(zone))[0]
