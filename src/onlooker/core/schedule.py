"""Durations, times of day and schedules, as people write them in configuration files."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

__all__ = ["Day", "Schedule", "Seconds", "TimeOfDay", "Times"]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d)")


def _seconds(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value.strip())
    if match is None:
        raise ValueError(f"not a duration: {value!r}; write 500ms, 30s, 5m, 2h or 1d")
    return float(match[1]) * _UNITS[match[2]]


Seconds = Annotated[
    float,
    BeforeValidator(_seconds),
    Field(ge=0, le=366 * 86_400.0),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": rf"^\s*{_DURATION.pattern}\s*$"}]}
    ),
]
"""Seconds; also ``500ms``, ``30s``, ``5m``, ``2h``, ``1d``."""


def _time_of_day(value: Any) -> Any:
    if isinstance(value, int):  # YAML 1.1 reads 08:30 without quotes as a number in base 60
        raise ValueError(f"expected a time of day in quotes, such as '08:30', got the number {value}")
    if value == "24:00":
        return time.max
    return value


TimeOfDay = Annotated[
    time,
    BeforeValidator(_time_of_day),
    WithJsonSchema({"type": "string", "pattern": r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$|^24:00$"}),
]
"""``"08:30"``, in quotes; ``"24:00"`` is the end of the day."""


Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Times(BaseModel):
    """Days and a stretch of the day; ``to`` before ``from`` goes over midnight and belongs to the day of ``from``.

    Attributes:
        days: of the week; none: all.
        start, end: ``from`` and ``to``, in quotes; without them, the whole day.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    days: tuple[Day, ...] = ()
    start: TimeOfDay = Field(default=time.min, alias="from")
    end: TimeOfDay = Field(default=time.max, alias="to")

    def spans(self, day: date, zone: ZoneInfo) -> list[tuple[datetime, datetime]]:
        """The stretch that begins on ``day``, if there is one."""
        if self.days and _DAYS[day.weekday()] not in self.days:
            return []
        begin = datetime.combine(day, self.start, zone)
        after = self.end == time.max or self.end <= self.start
        last = day + timedelta(days=1) if after else day
        end = datetime.combine(last, time.min if self.end == time.max else self.end, zone)
        return [(begin, end)]


class Schedule(BaseModel):
    """In force inside any of some times, or outside all of them.

    Attributes:
        inside: times in which the rule is in force; none: always.
        outside: times in which it is not.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    inside: tuple[Times, ...] = ()
    outside: tuple[Times, ...] = ()

    @model_validator(mode="after")
    def _some(self) -> Schedule:
        if not self.inside and not self.outside:
            raise ValueError("expected inside or outside with at least one stretch of time")
        return self

    def state(self, moment: datetime) -> tuple[bool, datetime]:
        """Whether it is in force, and the next moment at which that may change."""
        zone = moment.tzinfo
        assert isinstance(zone, ZoneInfo)
        edges: list[datetime] = []

        def any_of(times: tuple[Times, ...]) -> bool:
            found = False
            for own in times:
                for offset in (-1, 0, 1):
                    for begin, end in own.spans(moment.date() + timedelta(days=offset), zone):
                        # compared as instants: wall times of one zone are compared without their offsets
                        found = found or begin.timestamp() <= moment.timestamp() < end.timestamp()
                        edges.extend((begin, end))
            return found

        active = (not self.inside or any_of(self.inside)) and not any_of(self.outside)
        later = [e for e in edges if e.timestamp() > moment.timestamp()]
        return active, min(later, key=datetime.timestamp, default=moment + timedelta(days=1))
