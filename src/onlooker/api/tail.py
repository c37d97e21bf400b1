"""Wakes everybody who follows the events when there are new ones, with one look for all of them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from onlooker.events import Journal

__all__ = ["EventTail"]

_POLL = 0.5
"""Seconds between looks for what other processes took."""


class EventTail:
    """The sequence of the latest state, for coroutines to wait on.

    Args:
        journal: whose.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._latest = 0
        self._fresh = asyncio.Event()
        self._nudge = asyncio.Event()

    async def run(self) -> None:
        """Look until cancelled."""
        loop = asyncio.get_running_loop()

        def nudge() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._nudge.set)

        end = self._journal.listen(nudge)
        try:
            while True:
                latest = await anyio.to_thread.run_sync(self._journal.latest)
                if latest > self._latest:
                    self._latest = latest
                    self._fresh.set()
                    self._fresh = asyncio.Event()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._nudge.wait(), _POLL)
                self._nudge.clear()
        finally:
            end()

    async def beyond(self, sequence: int, timeout: float) -> bool:
        """Wait until there is a state after ``sequence``; False where there is none within ``timeout`` seconds."""
        fresh = self._fresh
        if self._latest > sequence:
            return True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(fresh.wait(), timeout)
        return self._latest > sequence
