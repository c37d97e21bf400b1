"""Events as they come: server-sent events, and a WebSocket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any

import anyio
from fastapi import APIRouter, Header, Query, Request, WebSocket
from starlette.responses import StreamingResponse

from onlooker.api.access import Role
from onlooker.api.guard import Need, Ours, ViewerAny
from onlooker.api.problems import responses
from onlooker.api.routers.events import shown
from onlooker.api.streaming import BEAT, For, Lasting, event_stream, message, until_left

if TYPE_CHECKING:
    from onlooker.api.access import Caller
    from onlooker.api.context import Context

__all__ = ["router"]

router = APIRouter(prefix="/api/v1/stream", tags=["events"])
_BATCH = 200
Sequence = Annotated[
    int | None, Query(ge=0, le=2**53, description="The last sequence that was seen; 0: from the first.")
]
_FOLLOW = Need(Role.viewer)


def _begin(context: Context, sequence: int | None, last: str | None) -> int:
    if last is not None and last.strip().isascii() and last.strip().isdigit() and len(last.strip()) <= 16:
        return int(last)
    return context.journal.latest() if sequence is None else sequence


async def _following(
    context: Context, caller: Caller, lasting: Lasting, sequence: int
) -> AsyncIterator[tuple[int, dict[str, Any]] | None]:
    """States after ``sequence`` that the caller may see; None now and then where there are none."""
    quiet = time.monotonic()
    while (found := lasting.caller(caller)) is not None:
        caller = found
        if not await context.tail.beyond(sequence, lasting.left):
            if time.monotonic() - quiet > BEAT:
                quiet = time.monotonic()
                yield None
            continue
        for number, event in await anyio.to_thread.run_sync(context.journal.states_after, sequence, _BATCH):
            sequence = number
            if context.sees_event(caller, event):
                quiet = time.monotonic()
                yield number, shown(context, caller, event.source, event.as_dict())


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "States of events."}, **responses(429)},
)
async def stream_events(
    context: Ours,
    caller: ViewerAny,
    request: Request,
    after: Sequence = None,
    seconds: For = None,
    last_event_id: Annotated[str | None, Header(max_length=100)] = None,
) -> StreamingResponse:
    """States of events as they come (server-sent events). ``Last-Event-ID`` goes on where an earlier stream ended,
    without losing any; otherwise ``after``, or what comes from now on. The event's name is its state.
    """
    begin = await anyio.to_thread.run_sync(_begin, context, after, last_event_id)
    lasting = Lasting(context, request, _FOLLOW, seconds)

    async def parts() -> AsyncIterator[bytes]:
        yield message({"sequence": begin}, event="begin", id=begin)
        async for told in _following(context, caller, lasting, begin):
            if told is None:
                yield b": quiet\n\n"
            else:
                yield message(told[1], event=str(told[1]["state"]), id=told[0])

    return event_stream(context, caller, parts())


@router.websocket("/ws")
async def follow_events(context: Ours, caller: ViewerAny, socket: WebSocket, after: Sequence = None) -> None:
    """States of events as they come, each a JSON object ``{"sequence", "event"}``."""
    with context.stream(caller):
        await socket.accept()
        begin = await anyio.to_thread.run_sync(_begin, context, after, None)
        lasting = Lasting(context, socket, _FOLLOW, None)

        async def send() -> None:
            async for told in _following(context, caller, lasting, begin):
                if told is not None:
                    body = {"sequence": told[0], "event": told[1]}
                    await asyncio.wait_for(socket.send_json(body), context.settings.stall_seconds)

        await until_left(socket, send())
