"""When a rule is in force: days and times of day in a time zone."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, model_validator

from onlooker.rules.units import TimeOfDay

__all__ = ["Clock", "Schedule", "Times"]

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


class Clock:
    """Turns moments of a source into wall time.

    Args:
        begin: wall time of the source's zero, with its offset from UTC; None where it is not known.
        zone: IANA name.
    """

    def __init__(self, begin: datetime | None, zone: str) -> None:
        self._begin = None if begin is None else begin.timestamp()
        self._zone = ZoneInfo(zone)

    @property
    def known(self) -> bool:
        """Whether wall time is known."""
        return self._begin is not None

    def at(self, nanoseconds: int) -> datetime:
        """Wall time of a moment of the source."""
        assert self._begin is not None
        return datetime.fromtimestamp(self._begin + nanoseconds / 1e9, self._zone)

    def nanoseconds(self, moment: datetime) -> int:
        """The moment of the source, rounded up."""
        assert self._begin is not None
        return int(-(-(moment.timestamp() - self._begin) * 1_000_000_000 // 1))
