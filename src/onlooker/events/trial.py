"""Trying a sink with a made-up event."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from onlooker.core.errors import SinkError
from onlooker.core.event import Event
from onlooker.events.addresses import EVERYWHERE, Addresses
from onlooker.events.config import SinkSection, sink_kinds
from onlooker.events.sink import Message, SinkContext

__all__ = ["try_sink"]


def try_sink(name: str, section: SinkSection, folder: Path, *, addresses: Addresses = EVERYWHERE) -> str | None:
    """Tell a sink of an event of the rule ``test`` on the camera ``test``, from its beginning to its end.

    Nothing of it is kept in the journal.

    Returns:
        None where it took both, else what went wrong.

    Raises:
        UsageError: a package that it needs is not installed.
    """
    sink = sink_kinds()[section.kind](section.details, SinkContext(name, folder, addresses, trial=True))
    at = datetime.now(UTC)
    id = os.urandom(16).hex()
    new = Event(id, "test", "0" * 32, "test", "new", 0, None, "info", data={"note": "this is a test"}, wall=at)
    end = Event(id, "test", "0" * 32, "test", "end", 0, 1_000_000_000, "info", data=new.data, wall=at, number=1)
    try:
        sink.open()
        sink.deliver(Message(f"{id}:0", (new,), None, at))
        sink.deliver(Message(f"{id}:1", (end,), new, at))
    except SinkError as error:
        return str(error)
    finally:
        sink.close()
    return None
