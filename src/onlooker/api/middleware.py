"""What surrounds every request: host check, limits, safe headers, the log and the audit log."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from typing import TYPE_CHECKING, Any, Final

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException

from onlooker.api.problems import problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from onlooker.api.access import Caller
    from onlooker.api.context import Context

__all__ = ["Records", "Shield", "address_of"]

_LOG = logging.getLogger("onlooker.access")
_LEAST_RATE: Final = 16_384
"""Bytes a second that a long body must come with."""
_CLOSE: Final = {"Connection": "close"}
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def address_of(scope: Scope) -> str:
    """The address of the caller."""
    client = scope.get("client")
    return client[0] if client else "local"


class Shield:
    """Refuses other hosts' names, bodies that are too large or too slow, and adds the headers that keep pages safe.

    Args:
        app: what it surrounds.
        context: the server.
        uploads: beginnings of paths where larger bodies are sent.
    """

    def __init__(self, app: ASGIApp, context: Context, uploads: tuple[str, ...]) -> None:
        self._app, self._context, self._uploads = app, context, uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers, http = Headers(scope=scope), scope["type"] == "http"
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._context.settings.answers_to(hosts[0]):
            if http:
                await problem(421, "this server does not go by that name", headers=_CLOSE)(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008})
            return
        if not http:
            await self._app(scope, receive, send)
            return
        if "transfer-encoding" in headers and "content-length" in headers:
            # what stands before this server may read the one, and see two requests where there is one
            await problem(400, "two lengths of the body", headers=_CLOSE)(scope, receive, send)
            return
        most = self._limit(scope["path"])
        declared = headers.get("content-length", "0")
        outgoing = self._dressed(send)
        if declared.isdigit() and int(declared) > most:
            await problem(413, f"a body may have {most} bytes here", headers=_CLOSE)(scope, receive, outgoing)
            return
        await self._app(scope, self._bounded(receive, most), outgoing)

    def _limit(self, path: str) -> int:
        settings = self._context.settings
        return settings.upload_bytes if path.startswith(self._uploads) else settings.body_bytes

    def _bounded(self, receive: Receive, most: int) -> Receive:
        begun = time.monotonic()
        count, ended = 0, False

        async def bounded() -> Message:
            nonlocal count, ended
            if ended:
                return await receive()
            left = begun + self._context.settings.body_seconds + count / _LEAST_RATE - time.monotonic()
            try:
                async with asyncio.timeout(max(0.0, left)):
                    message = await receive()
            except TimeoutError:
                ended = True
                raise HTTPException(408, "the body came too slowly", headers=_CLOSE) from None
            count += len(message.get("body", b""))
            if count > most:
                ended = True
                raise HTTPException(413, f"a body may have {most} bytes here", headers=_CLOSE)
            ended = not message.get("more_body", False)
            return message

        return bounded

    def _dressed(self, send: Send) -> Send:
        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
                if self._context.settings.tls:
                    headers.setdefault("Strict-Transport-Security", "max-age=31536000")
            await send(message)

        return dressed


class Records:
    """Writes one line of log for each request; what changes something, or was refused, goes to the audit log first.

    Neither has query values, bodies or credentials in it.

    Args:
        app: what it surrounds.
        context: the server.
    """

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app, self._context = app, context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        begun, status = time.monotonic(), 0
        scope.setdefault("state", {})["request"] = request = secrets.token_hex(8)

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request
                await self._audit(scope, status)
            elif message["type"] == "websocket.accept":
                status = 101
                await self._audit(scope, status)
            elif message["type"] == "websocket.close" and not status:
                status = 403
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            self._log(scope, request, status, time.monotonic() - begun)

    async def _audit(self, scope: Scope, status: int) -> None:
        method = scope.get("method", "WS")
        caller: Caller | None = scope["state"].get("caller")
        noted: dict[str, Any] = scope["state"].get("noted", {})
        # what strangers can send without end must not push out what users did
        if caller is None and (not noted or status == 429):
            return
        if method in ("GET", "HEAD", "OPTIONS") and status not in (403, 429):
            return
        values = ", ".join(f"{k}={v}" for k, v in {**scope.get("path_params", {}), **noted}.items() if k != "actor")
        actor = caller.user if caller else str(noted.get("actor", ""))
        via = f"{caller.via} {caller.credential}" if caller else ""
        action = f"{method} {_route(scope)}"
        note = lambda: self._context.audit.note(  # noqa: E731
            actor=actor, via=via, address=address_of(scope), action=action, object=values, status=status
        )
        await anyio.to_thread.run_sync(note)

    def _log(self, scope: Scope, request: str, status: int, seconds: float) -> None:
        caller: Caller | None = scope["state"].get("caller")
        fields = {
            "request": request,
            "method": scope.get("method", "WS"),
            "route": _route(scope),
            "status": status,
            "milliseconds": round(1000 * seconds, 1),
            "address": address_of(scope),
            "user": caller.user if caller else None,
        }
        line = " ".join(str(v) for k, v in fields.items() if k != "request" and v is not None)
        _LOG.info(line, extra={"fields": fields})


def _route(scope: Scope) -> str:
    """The route's path with names in place of values; what fits no route is not repeated."""
    return getattr(scope.get("route"), "path", "") or "(no route)"
