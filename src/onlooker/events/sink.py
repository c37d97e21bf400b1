"""The sink protocol: what a place that is told of events must offer, and what it says when it fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel

from onlooker.core.event import Event, State
from onlooker.events.addresses import EVERYWHERE, Addresses
from onlooker.events.failures import NotTaken, Refused, Unreachable

__all__ = ["Message", "NotTaken", "Refused", "Sink", "SinkContext", "Unreachable", "snapshot_of"]


@dataclass(frozen=True, slots=True)
class Message:
    """What a sink is told: one state of one event, or a digest of many events.

    Args:
        key: the same for each attempt: ``id:number`` of the state; ``digest:...``.
        events: the state; of a digest, the latest state of each event, in the order in which they began to wait.
        before: the state before it, or None; None in a digest.
        taken: wall time at which the state, or the first of the digest, was taken.
        attempt: counts from 1.
        digest: whether it is one.
    """

    key: str
    events: tuple[Event, ...]
    before: Event | None
    taken: datetime
    attempt: int = 1
    digest: bool = False

    @property
    def event(self) -> Event:
        """The state, or the first of the digest."""
        return self.events[0]


def _none() -> Sequence[Event]:
    return ()


@dataclass(frozen=True, slots=True)
class SinkContext:
    """What a sink is given besides its settings.

    Args:
        name: of the sink in the configuration.
        folder: the library; paths in evidence are relative to it.
        addresses: which addresses may be reached.
        open_events: gives the events of this sink that have not ended now.
        trial: whether it is only tried, maybe beside another process that delivers to the same place: it tells what
            it is told, and leaves no trace besides.
    """

    name: str
    folder: Path
    addresses: Addresses = field(default=EVERYWHERE)
    open_events: Callable[[], Sequence[Event]] = _none
    trial: bool = False


class Sink(Protocol):
    """A place that is told of events. A plug-in of the group ``sinks`` derives from this class.

    One thread makes all calls after creation: ``open``, then any number of ``know`` and ``deliver``, then ``close``;
    after `Unreachable` the sink is closed and opened again.

    Attributes:
        kind: how the configuration calls it.
        settings: the model of its part of the configuration; secrets are ``SecretStr``.
        digests: whether it can be told many events in one message.
        states: what it is told unless the configuration says otherwise.
    """

    kind: ClassVar[str]
    settings: ClassVar[type[BaseModel]]
    digests: ClassVar[bool] = False
    states: ClassVar[tuple[State, ...]] = ("new", "update", "end")

    def __init__(self, settings: Any, context: SinkContext) -> None:
        """Take the settings; reach nothing yet.

        Raises:
            UsageError: a package that it needs is not installed.
        """
        ...

    def open(self) -> None:
        """Connect, where there is something to connect.

        Raises:
            SinkError: `Unreachable` or another.
        """

    def know(self, cameras: Mapping[str, Sequence[str]]) -> None:
        """These cameras are watched, each by the rules of these ids.

        Raises:
            SinkError: as in ``deliver``.
        """

    def deliver(self, message: Message) -> None:
        """Tell; return once it has been taken. The same key may come again.

        Raises:
            Unreachable: try again until it is too old.
            NotTaken: try again a number of times.
            Refused: trying again cannot help.
        """
        ...

    def close(self) -> None:
        """Release everything; never raises, and a second call does nothing."""


def snapshot_of(event: Event, folder: Path) -> bytes | None:
    """The JPEG of an event's snapshot, or None where there is none in the library."""
    named = event.evidence.get("snapshot")
    if not isinstance(named, str):
        return None
    path = (folder / named).resolve()
    if not path.is_relative_to(folder.resolve()):
        return None
    try:
        return path.read_bytes()
    except OSError:
        return None
