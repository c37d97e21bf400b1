"""What a change of the rules would change in their events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from onlooker.core.event import Event

__all__ = ["Change", "compare"]

Sort = Literal["gone", "added", "moved", "same"]
_TOLERANCE_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Change:
    """One event under the old rules, under the new ones, or both."""

    sort: Sort
    old: Event | None
    new: Event | None

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        return {
            "change": self.sort,
            "old": None if self.old is None else self.old.as_dict(),
            "new": None if self.new is None else self.new.as_dict(),
        }


def compare(old: Iterable[Event], new: Iterable[Event]) -> list[Change]:
    """Pair the ended events of two runs by rule, source and time.

    An event that begins and ends within a tenth of a millisecond of another is the same; one that overlaps it, or lies
    within two seconds, has moved.
    """
    before = [e for e in old if e.state == "end"]
    after = [e for e in new if e.state == "end"]
    changes: list[Change] = []
    left = list(after)
    for event in before:
        match = next((e for e in left if _alike(event, e, 100_000)), None)
        match = match or min(
            (e for e in left if _near(event, e)), key=lambda e: abs(e.start - event.start), default=None
        )
        if match is None:
            changes.append(Change("gone", event, None))
            continue
        left.remove(match)
        changes.append(Change("same" if _alike(event, match, 100_000) else "moved", event, match))
    changes += [Change("added", None, e) for e in left]
    return sorted(changes, key=lambda c: _key(c.old or c.new))


def _key(event: Event | None) -> tuple[str, int, str]:
    assert event is not None
    return event.source, event.start, event.rule


def _alike(a: Event, b: Event, tolerance: int) -> bool:
    same = (a.rule, a.source, a.tracks) == (b.rule, b.source, b.tracks)
    return same and abs(a.start - b.start) <= tolerance and abs((a.end or 0) - (b.end or 0)) <= tolerance


def _near(a: Event, b: Event) -> bool:
    apart = max(a.start, b.start) - min(a.end or a.start, b.end or b.start)
    return (a.rule, a.source) == (b.rule, b.source) and apart <= _TOLERANCE_NS
