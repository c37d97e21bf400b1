"""Events and parts that the tests of events share."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from onlooker.core.event import Event, event_id

ZERO = datetime(2026, 5, 1, 8, 0, tzinfo=UTC)
SECOND = 1_000_000_000


def event(number=0, state="new", *, start=0, rule="door", camera="front", subject="", **more):
    """One state of an event that begins ``start`` seconds after the camera's zero."""
    begin = round(start * SECOND)
    values = {
        "id": event_id(rule, camera, begin, subject),
        "rule": rule,
        "source": f"{camera}-source",
        "camera": camera,
        "state": state,
        "start": begin,
        "end": begin + (number + 1) * SECOND if state == "end" else None,
        "severity": "high",
        "label": "person",
        "wall": ZERO + timedelta(seconds=start),
        "number": number,
    }
    return Event(**{**values, **more})


def story(updates=0, **more):
    """A whole event: new, some updates, end."""
    states = [event(0, "new", **more)]
    states += [event(n + 1, "update", **more) for n in range(updates)]
    return [*states, event(updates + 1, "end", **more)]


def until(holds, seconds=100.0):
    """Wait until something holds; the limit only ends a test that fails."""
    limit = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > limit:
            raise AssertionError("it did not come to hold")
        time.sleep(0.01)
