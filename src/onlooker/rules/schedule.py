"""When a rule is in force: moments of a source as wall time."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from onlooker.core.schedule import Schedule, Times

__all__ = ["Clock", "Schedule", "Times"]


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
