"""HTTP connections that cannot be held open by saying little or by taking nothing."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from onlooker.api.settings import ServerSettings

__all__ = ["LARGEST_HEAD", "guarded_protocol"]

LARGEST_HEAD = 32_768
"""Bytes of the head of a request."""


def guarded_protocol(settings: ServerSettings) -> type[H11Protocol]:
    """Uvicorn's protocol with two clocks: on the head of each request, and on a reader that takes nothing.

    A connection over which no whole head has come within ``head_seconds``, and one whose outgoing bytes have not moved
    for ``stall_seconds``, is cut.
    """

    class Guarded(H11Protocol):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self.access_log = False  # it would tell query values, which may be words that somebody searched for
            self._head: asyncio.TimerHandle | None = None
            self._stall: asyncio.TimerHandle | None = None

        @property
        def _busy(self) -> bool:
            return self.cycle is not None and not self.cycle.response_complete

        def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
            super().connection_made(transport)
            self._head = self.loop.call_later(settings.head_seconds, transport.abort)

        def data_received(self, data: bytes) -> None:
            if not self._busy and len(data) > LARGEST_HEAD and data.find(b"\r\n\r\n", 0, LARGEST_HEAD) < 0:
                self.transport.abort()
                return
            if self._head is None and not self._busy:
                self._head = self.loop.call_later(settings.head_seconds, self.transport.abort)
            super().data_received(data)
            if self._busy:
                self._head = _cancelled(self._head)

        def handle_websocket_upgrade(self, event: Any) -> None:
            self._head = _cancelled(self._head)
            super().handle_websocket_upgrade(event)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._stall = self.loop.call_later(settings.stall_seconds, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            self._stall = _cancelled(self._stall)

        def connection_lost(self, exc: Exception | None) -> None:
            self._head, self._stall = _cancelled(self._head), _cancelled(self._stall)
            super().connection_lost(exc)

    return Guarded


def _cancelled(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
