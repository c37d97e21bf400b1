"""What the tests of links share: a taker that remembers, and waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from onlooker.core.live import CodedPacket, StreamFormat
from onlooker.core.media import AudioBlock
from onlooker.live.link import Link
from onlooker.live.settings import LinkSettings
from onlooker.sources.policy import AddressPolicy


class Remembering:
    """A link's taker and a packet taker that keep what they are given."""

    def __init__(self):
        self.frames: list[int] = []
        self.blocks: list[AudioBlock] = []
        self.conditions: list[tuple[str, str, int]] = []
        self.packets: list[CodedPacket] = []
        self.connections: list[tuple[str, Any]] = []
        self.calls = threading.Lock()

    def frame(self, frame):
        assert self.calls.acquire(blocking=False), "two threads give at once"
        self.frames.append(frame.time.nanoseconds)
        self.newest = frame
        self.calls.release()

    def sound(self, block):
        self.blocks.append(block)

    def condition(self, condition, reason, at):
        self.conditions.append((condition, reason, at))

    def begin(self, formats: Sequence[StreamFormat]):
        self.connections.append(("begin", formats))

    def packet(self, packet: CodedPacket):
        self.packets.append(packet)

    def lost(self, reason):
        self.connections.append(("lost", reason))

    def said(self, condition, reason=""):
        return any(c[:2] == (condition, reason) for c in self.conditions)


def until(what: Callable[[], object], *, seconds: float = 30):
    """Wait until ``what()`` holds; how long that takes is not tested."""
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise AssertionError("it never came to hold")
        time.sleep(0.01)


def linked(address: str, *, zero: float | None = None, policy: AddressPolicy | None = None, **settings: Any):
    """A link to ``address`` that is not started, and its taker."""
    taker = Remembering()
    given: dict[str, Any] = {"stall": 1.0, "timeout": 5.0, "first_wait": 0.05, "most_wait": 0.2} | settings
    zero = time.time() if zero is None else zero
    link = Link("front", LinkSettings(address, **given), policy or AddressPolicy(), zero, [taker], taker)
    return link, taker


class Running:
    """A link that runs within a ``with``."""

    def __init__(self, address: str, **settings: Any):
        self.link, self.taker = linked(address, **settings)

    def __enter__(self):
        self.link.start()
        return self.link, self.taker

    def __exit__(self, *_):
        self.link.stop()
