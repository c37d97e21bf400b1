"""Who calls, and whether the route is for them. Every route has exactly one guard; an app with one that has none
does not start.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from typing import Annotated, Final, cast
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.requests import HTTPConnection

from onlooker.api.access import Caller, Role
from onlooker.api.context import Context, context_of
from onlooker.api.problems import ProblemError

__all__ = [
    "AdminOverall",
    "Everybody",
    "Need",
    "OperatorAny",
    "OperatorOverall",
    "Ours",
    "SessionOnly",
    "ViewerAny",
    "ViewerOverall",
    "caller_again",
    "check_guarded",
    "guard_of",
    "guarded_routes",
]

_SAFE: Final = frozenset(("GET", "HEAD", "OPTIONS"))


class Need:
    """The least that a caller must have before a route looks at what it is asked for.

    Args:
        role: least role; None: everybody, also who is not logged in.
        overall: whether it must be over everything, not only on some camera.
        session: whether it must be somebody who logged in, not a token.
    """

    def __init__(self, role: Role | None, *, overall: bool = False, session: bool = False) -> None:
        self.role, self.overall, self.session = role, overall, session

    async def __call__(self, connection: HTTPConnection) -> Caller | None:
        """The caller; None only where everybody may come.

        Raises:
            ProblemError: 401 without a good credential, 403 where it is not enough.
        """
        if self.role is None:
            return None
        caller = identify(connection)
        if caller is None:
            raise ProblemError(401, "log in, or send a token", headers={"WWW-Authenticate": 'Bearer realm="onlooker"'})
        connection.state.caller = caller
        if caller.via == "session":
            _check_page(connection, caller)
        elif self.session:
            raise ProblemError(403, "it takes a login; tokens may not do this")
        least = caller.overall or 0
        if (least < self.role) if self.overall else not caller.somewhere(self.role):
            where = "everything" if self.overall else "a camera"
            raise ProblemError(403, f"it takes the role {self.role.name} on {where}")
        return caller


def identify(connection: HTTPConnection) -> Caller | None:
    """Whose credential the request brings, or None. A bad token is not made good by a cookie."""
    context = context_of(connection)
    header = connection.headers.get("authorization")
    if header is not None:
        scheme, _, value = header.partition(" ")
        return context.credentials.of_token(value.strip()) if scheme.lower() == "bearer" else None
    secret = connection.cookies.get(context.settings.cookie)
    return context.credentials.of_session(secret) if secret else None


def caller_again(connection: HTTPConnection, need: Need) -> Caller | None:
    """The caller of a long answer as of now: None once the credential was ended or the role taken away."""
    caller = identify(connection)
    if caller is None or need.role is None:
        return None
    good = (caller.overall or 0) >= need.role if need.overall else caller.somewhere(need.role)
    return caller if good else None


def _check_page(connection: HTTPConnection, caller: Caller) -> None:
    """What a browser sends by itself must come from a page of this server."""
    origin, method = connection.headers.get("origin"), connection.scope.get("method", "")
    if connection.scope["type"] == "websocket":
        if origin is None or not _same(origin, connection):
            raise ProblemError(403, "a page of another site asked for it")
        return
    if method in _SAFE:
        return
    if origin is not None and not _same(origin, connection):
        raise ProblemError(403, "a page of another site asked for it")
    sent = connection.headers.get("x-csrf-token", "")
    if not hmac.compare_digest(sent.encode(), caller.csrf.encode()):
        raise ProblemError(403, "the header X-CSRF-Token is missing or wrong", hint="GET /api/v1/me tells it")


def _same(origin: str, connection: HTTPConnection) -> bool:
    try:
        return urlsplit(origin).netloc.lower() == connection.headers.get("host", "").lower()
    except ValueError:
        return False


Ours = Annotated[Context, Depends(context_of)]
Everybody = Annotated[Caller | None, Depends(Need(None))]
ViewerAny = Annotated[Caller, Depends(Need(Role.viewer))]
OperatorAny = Annotated[Caller, Depends(Need(Role.operator))]
ViewerOverall = Annotated[Caller, Depends(Need(Role.viewer, overall=True))]
OperatorOverall = Annotated[Caller, Depends(Need(Role.operator, overall=True))]
AdminOverall = Annotated[Caller, Depends(Need(Role.admin, overall=True))]
SessionOnly = Annotated[Caller, Depends(Need(Role.viewer, session=True))]


def guard_of(route: APIRoute | APIWebSocketRoute) -> Need | None:
    """The guard of a route, or None where it has none."""
    found = [d.call for d in route.dependant.dependencies if isinstance(d.call, Need)]
    return cast(Need, found[0]) if len(found) == 1 else None


def guarded_routes(router: APIRouter) -> Iterator[APIRoute | APIWebSocketRoute]:
    """The routes that must have a guard: all of them.

    Raises:
        RuntimeError: one is of a sort that can have none.
    """
    for route in router.routes:
        if not isinstance(route, APIRoute | APIWebSocketRoute):
            raise RuntimeError(f"{route!r} can have no guard: make it a route of FastAPI")
        yield route


def check_guarded(router: APIRouter) -> None:
    """Refuse a router in which a route has no guard.

    Raises:
        RuntimeError: names the first.
    """
    for route in guarded_routes(router):
        if guard_of(route) is None:
            raise RuntimeError(f"the route {route.path} has no guard, or several: give it one of onlooker.api.guard")
