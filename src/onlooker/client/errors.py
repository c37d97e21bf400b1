"""What a server answered, as errors of onlooker's one tree.

``UsageError`` (what was asked for cannot be)
    ``ApiError``: the server refused; ``status`` and ``problem`` tell more.
        ``NotLoggedIn``: 401. ``NotAllowed``: 403. ``NotFound``: 404, or not to be seen. ``TooManyRequests``: 429.
``SourceError``
    ``ServerUnreachable``: no answer, or a broken one.

A server that is busy or failed (5xx) raises ``StoreBusy`` or ``StoreError``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx

from onlooker.core.errors import OnlookerError, SourceError, StoreBusy, StoreError, UsageError

__all__ = [
    "ApiError",
    "NotAllowed",
    "NotFound",
    "NotLoggedIn",
    "ServerUnreachable",
    "TooManyRequests",
    "error_of",
]


class ApiError(UsageError):
    """The server refused what was asked for.

    Args:
        message: what happened.
        hint: what to do.
        status: the HTTP status.
        problem: the whole answer.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, status: int = 0, problem: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.status, self.problem = status, problem or {}


class NotLoggedIn(ApiError):
    """No credential, or one that is not good any more."""


class NotAllowed(ApiError):
    """The role is not enough."""


class NotFound(ApiError):
    """It is not there, or may not be seen."""


class TooManyRequests(ApiError):
    """Too many attempts, or too many streams; ``retry_after`` says in how many seconds to come again."""

    retry_after: float = 30.0


class ServerUnreachable(SourceError):
    """The server does not answer, or not to the end."""


_KINDS: Mapping[int, type[ApiError]] = {401: NotLoggedIn, 403: NotAllowed, 404: NotFound, 429: TooManyRequests}


def error_of(answer: httpx.Response) -> OnlookerError:
    """The error that an answer (its body read) tells."""
    try:
        told: Any = json.loads(answer.content)
        problem: dict[str, Any] = told if isinstance(told, dict) else {}
    except ValueError:
        problem = {}
    detail, hint = str(problem.get("detail") or f"the server answers {answer.status_code}"), problem.get("hint")
    fields = [f"{e.get('field')}: {e.get('message')}" for e in problem.get("errors") or [] if isinstance(e, dict)]
    if fields:
        detail = f"{detail}: {'; '.join(fields)}"
    if answer.status_code == 503:
        return StoreBusy(detail, hint=hint or "try again")
    if answer.status_code >= 500:
        return StoreError(detail, hint=hint or "see the server's log")
    kind = _KINDS.get(answer.status_code, ApiError)
    error = kind(detail, hint=hint, status=answer.status_code, problem=problem)
    if isinstance(error, TooManyRequests):
        error.retry_after = _seconds(answer.headers.get("retry-after"), error.retry_after)
    return error


def _seconds(text: str | None, otherwise: float) -> float:
    try:
        return float(text) if text is not None else otherwise
    except ValueError:
        return otherwise
