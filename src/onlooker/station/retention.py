"""What a station deletes when a library's privacy says how long things are kept."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

from onlooker.core.media import SourceInfo
from onlooker.core.store import Query, Store
from onlooker.core.time import NANOSECONDS, Span, Timestamp
from onlooker.events import EventQuery, Journal
from onlooker.events.records import wall_end

__all__ = ["forget_old"]


def forget_old(
    folder: Path, store: Store, journal: Journal, cameras: Sequence[SourceInfo], age: Fraction, now: datetime
) -> int:
    """Delete what the cameras saw longer ago, and events that ended longer ago with their pictures and clips.

    When a camera was watched stays known.

    Args:
        folder: the library.
        store: its observations.
        journal: its events.
        cameras: their sources.
        age: seconds.
        now: wall time.

    Returns:
        How many observations and events were deleted.
    """
    before = now - timedelta(seconds=float(age))
    count = 0
    for info in cameras:
        zero = datetime.fromisoformat(info.tags["creation_time"])
        passed = (before - zero) // timedelta(microseconds=1) * 1000
        kinds = tuple(kind for kind in store.counts(info.id) if kind != "blind")
        if passed > 0 and kinds:
            span = Span(Timestamp(0, NANOSECONDS), Timestamp(passed, NANOSECONDS))
            count += store.erase(Query(sources=(info.id,), kinds=kinds, span=span))
    for record in journal.query(EventQuery(states=("end",), until=before, limit=None)):
        ended = wall_end(record.event)
        if ended is not None and ended < before.astimezone(UTC):
            shutil.rmtree(folder / "events" / record.event.id, ignore_errors=True)
    return count + journal.retain(before)
