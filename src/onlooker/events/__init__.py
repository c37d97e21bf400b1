"""Events kept and told: the journal of a library, and delivery to sinks.

>>> import tempfile
>>> from pathlib import Path
>>> from onlooker.core.event import Event, event_id
>>> with tempfile.TemporaryDirectory() as folder, Journal.open(Path(folder)) as journal:
...     seen = Event(event_id("door", "s", 0, ""), "door", "s", "front", "new", 0, None, "high")
...     journal.take(seen), journal.take(seen), [r.event.rule for r in journal.open_events()]
(True, False, ['door'])
"""

from onlooker.events.config import Sinks, SinkSection
from onlooker.events.delivery import Delivery
from onlooker.events.journal import Journal
from onlooker.events.records import (
    Acknowledgement,
    DeadLetter,
    EventQuery,
    EventRecord,
    Feedback,
    Mute,
    SinkStatus,
)
from onlooker.events.rule import SinkRule

__all__ = [
    "Acknowledgement",
    "DeadLetter",
    "Delivery",
    "EventQuery",
    "EventRecord",
    "Feedback",
    "Journal",
    "Mute",
    "SinkRule",
    "SinkSection",
    "SinkStatus",
    "Sinks",
]
