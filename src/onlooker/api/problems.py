"""Errors as the API tells them: ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketState

from onlooker.core import errors
from onlooker.core.errors import OnlookerError

__all__ = ["Problem", "ProblemError", "install", "not_found", "problem", "responses"]

_LOG = logging.getLogger("onlooker.api")
_TITLES: Final = {
    400: "Bad request",
    401: "Not logged in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    408: "Too slow",
    409: "Conflict",
    412: "Changed meanwhile",
    413: "Too large",
    415: "Not this kind of body",
    416: "No such range",
    421: "Not this host",
    422: "Wrong content",
    429: "Too many requests",
    500: "Internal error",
    503: "Not available",
}
_STATUS: Final[tuple[tuple[type[OnlookerError], int], ...]] = (
    (errors.UsageError, 400),
    (errors.ConfigError, 422),
    (errors.ForbiddenAddress, 403),
    (errors.SourceError, 422),
    (errors.ModelMissing, 409),
    (errors.ModelError, 409),
    (errors.StoreBusy, 503),
    (errors.Interrupted, 503),
)


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    field: str
    message: str


class Problem(BaseModel):
    """An error.

    Attributes:
        type: which sort, for programs: the name of an error of onlooker, or ``about:blank``.
        status: the HTTP status again.
        detail: what happened; ``hint``: what to do about it.
        errors: the fields that are wrong, where it is about fields.
    """

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    hint: str | None = None
    errors: list[FieldProblem] = Field(default_factory=list)


class ProblemError(Exception):
    """Ends a request with a problem.

    Args:
        status: HTTP status.
        detail: what happened; nothing that the caller may not know.
        hint: what to do.
        headers: of the answer.
    """

    def __init__(
        self, status: int, detail: str, *, hint: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.hint, self.headers = status, detail, hint, headers


def not_found(what: str) -> ProblemError:
    """What is not there, and what the caller may not see: they are told in the same words."""
    return ProblemError(404, f"there is no such {what}", hint="or you may not see it")


def problem(
    status: int,
    detail: str,
    *,
    type: str = "about:blank",
    hint: str | None = None,
    fields: list[FieldProblem] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The answer that tells an error."""
    body = Problem(
        type=type, title=_TITLES.get(status, "Error"), status=status, detail=detail, hint=hint, errors=fields or []
    )
    return JSONResponse(body.model_dump(), status, headers=dict(headers or {}), media_type="application/problem+json")


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route's description says of its errors."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {s: {"description": _TITLES[s], "content": content} for s in sorted({*statuses})}


async def _tell(connection: HTTPConnection, answer: JSONResponse) -> Response | None:
    """The answer to a request; a WebSocket that is not open yet is refused with it, an open one is closed."""
    if not isinstance(connection, WebSocket):
        return answer
    if connection.application_state == WebSocketState.CONNECTING:
        await connection.send_denial_response(answer)
    elif connection.application_state == WebSocketState.CONNECTED:
        with contextlib.suppress(RuntimeError):
            await connection.close(1008 if answer.status_code < 500 else 1011)
    return None


def _of_onlooker(error: OnlookerError) -> JSONResponse:
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
    name = type(error).__name__
    if status == 500:
        _LOG.error("%s: %s", name, error, exc_info=error)
        return problem(500, "the server could not do it", type=name, hint="see the server's log")
    headers = {"Retry-After": "5"} if status == 503 else None
    return problem(status, error.message, type=name, hint=error.hint, headers=headers)


def _of_fields(errors: Sequence[Any]) -> JSONResponse:
    fields = [FieldProblem(field=".".join(str(p) for p in e["loc"]), message=str(e["msg"])) for e in errors[:20]]
    return problem(422, "the request is not as described", hint="see /api/openapi.json", fields=fields)


def install(app: FastAPI) -> None:
    """Make all errors of an app problems."""

    @app.exception_handler(ProblemError)
    async def _own(connection: HTTPConnection, error: ProblemError) -> Response | None:
        return await _tell(connection, problem(error.status, error.detail, hint=error.hint, headers=error.headers))

    @app.exception_handler(OnlookerError)
    async def _known(connection: HTTPConnection, error: OnlookerError) -> Response | None:
        return await _tell(connection, _of_onlooker(error))

    @app.exception_handler(RequestValidationError)
    @app.exception_handler(WebSocketRequestValidationError)
    async def _invalid(connection: HTTPConnection, error: Any) -> Response | None:
        return await _tell(connection, _of_fields(error.errors()))

    @app.exception_handler(HTTPException)
    async def _plain(connection: HTTPConnection, error: HTTPException) -> Response | None:
        return await _tell(connection, problem(error.status_code, str(error.detail), headers=error.headers))

    @app.exception_handler(Exception)
    async def _unexpected(connection: HTTPConnection, error: Exception) -> Response | None:
        answer = problem(500, "the server could not do it", type=type(error).__name__, hint="see the server's log")
        return await _tell(connection, answer)
