"""Answers that go on: server-sent events, and pictures in motion."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Query, WebSocket, WebSocketDisconnect
from starlette.responses import StreamingResponse

from onlooker.api.guard import Need, caller_again

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from onlooker.api.access import Caller
    from onlooker.api.context import Context

__all__ = ["BEAT", "For", "Lasting", "event_stream", "message", "until_left"]

BEAT: Final = 10.0
"""Seconds between signs of life in a quiet stream."""
RECHECK: Final = 2.0
"""Seconds after which a caller is looked at anew while a stream lasts."""
For = Annotated[
    float | None,
    Query(gt=0, le=86_400, allow_inf_nan=False, alias="for", description="End after so many seconds."),
]


class Lasting:
    """Whether a stream goes on: its time is not over, the server does not end, and its caller still may.

    Args:
        context: the server.
        connection: the request.
        need: what the route asks of callers.
        seconds: how long at most.
    """

    def __init__(self, context: Context, connection: HTTPConnection, need: Need, seconds: float | None) -> None:
        self._context, self._connection, self._need = context, connection, need
        self._end = None if seconds is None else time.monotonic() + seconds
        self._checked = time.monotonic()

    @property
    def left(self) -> float:
        """Seconds to wait at most before looking again."""
        now = time.monotonic()
        return max(0.0, min(RECHECK, RECHECK if self._end is None else self._end - now))

    def caller(self, before: Caller) -> Caller | None:
        """The caller as of now, or None where the stream must end."""
        now = time.monotonic()
        if self._context.stopping.is_set() or (self._end is not None and now >= self._end):
            return None
        if now - self._checked < RECHECK:
            return before
        self._checked = now
        return caller_again(self._connection, self._need)


def message(data: Any, *, event: str | None = None, id: int | None = None) -> bytes:
    r"""One server-sent event.

    >>> message({"a": 1}, event="new", id=7)
    b'id: 7\nevent: new\ndata: {"a": 1}\n\n'
    """
    lines = [] if id is None else [f"id: {id}"]
    lines += [] if event is None else [f"event: {event}"]
    lines.append(f"data: {json.dumps(data, ensure_ascii=False)}")
    return ("\n".join(lines) + "\n\n").encode()


def event_stream(context: Context, caller: Caller, parts: AsyncIterator[bytes]) -> StreamingResponse:
    """A stream of server-sent events, counted among the user's."""
    counted = context.stream(caller)
    counted.__enter__()

    async def all_parts() -> AsyncIterator[bytes]:
        try:
            yield b": onlooker\n\n"
            async for part in parts:
                yield part
        finally:
            counted.__exit__(None, None, None)

    return StreamingResponse(all_parts(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def until_left(socket: WebSocket, sending: Any) -> None:
    """Send until that ends or the other side leaves; what it sends is thrown away."""
    task = asyncio.ensure_future(sending)
    leaving = asyncio.ensure_future(_left(socket))
    try:
        await asyncio.wait((task, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in (task, leaving):
            one.cancel()
        await asyncio.gather(task, leaving, return_exceptions=True)
    if not leaving.cancelled() and leaving.exception() is None and leaving.done():
        return
    try:
        await socket.close(1001)
    except RuntimeError:
        return


async def _left(socket: WebSocket) -> None:
    try:
        while True:
            if (await socket.receive())["type"] == "websocket.disconnect":
                return
    except (WebSocketDisconnect, RuntimeError):
        return
