"""Logging in and out, one's own password and tokens."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import anyio
from fastapi import APIRouter, Request, Response
from pydantic import Field

from onlooker.api.access import Role
from onlooker.api.guard import Everybody, Ours, SessionOnly, ViewerAny
from onlooker.api.middleware import address_of
from onlooker.api.models import Done, Identity, Strict
from onlooker.api.problems import ProblemError, not_found, responses
from onlooker.core.errors import UsageError

__all__ = ["Me", "RoleOn", "router"]

router = APIRouter(prefix="/api/v1", tags=["account"])
_HASHING = anyio.CapacityLimiter(2)
"""A hash takes 64 MiB and much work on purpose: a crowd at the door must not take more."""
Password = Annotated[str, Field(min_length=1, max_length=256)]
Camera = Annotated[str, Field(min_length=1, max_length=200)]
RoleName = Literal["viewer", "operator", "admin"]


class RoleOn(Strict):
    """A role on a camera (its name, a source's id, or ``*``), or in some of its zones alone."""

    camera: str = Field(min_length=1, max_length=200)
    role: RoleName
    zones: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(default_factory=list, max_length=50)


class Me(Strict):
    """Who is logged in; ``csrf`` goes into the header ``X-CSRF-Token`` of requests that change something."""

    user: str
    roles: list[RoleOn]
    via: Literal["session", "token"]
    csrf: str


class Login(Strict):
    """Name and password."""

    user: str = Field(min_length=1, max_length=100)
    password: Password


class Link(Strict):
    """The secret of a one-time link, and the password to set."""

    secret: str = Field(min_length=1, max_length=200)
    password: Password


class NewPassword(Strict):
    """The password of before, and the new one."""

    old: Password
    new: Password


class NewToken(Strict):
    """What a token is for, and the most that it gives."""

    name: str = Field(min_length=1, max_length=100)
    role: RoleName = "viewer"
    cameras: list[Camera] = Field(default=["*"], min_length=1, max_length=50)
    days: float | None = Field(default=90.0, gt=0, le=3660, description="After which it is void; null: never.")


class TokenInfo(Strict):
    """A token without its secret."""

    id: str
    user: str
    name: str
    role: RoleName
    cameras: list[str]
    created: float
    expires: float | None
    used: float | None
    revoked: float | None


class MadeToken(TokenInfo):
    """A new token; ``token`` is shown this once."""

    token: str


class Tokens(Strict):
    """Tokens, the newest first."""

    tokens: list[TokenInfo]


def _me(context: Ours, response: Response, request: Request, number: int) -> dict[str, Any]:
    """Start a session; whatever session the browser brought ends, so that none can be planted."""
    settings = context.settings
    brought = request.cookies.get(settings.cookie)
    secret = context.credentials.start(
        number, address_of(request.scope), request.headers.get("user-agent", ""), replaces=brought
    )
    response.set_cookie(
        settings.cookie,
        secret,
        max_age=int(settings.session_days * 86_400),
        path="/",
        secure=settings.tls or settings.secure_cookies,
        httponly=True,
        samesite="strict",
    )
    caller = context.credentials.of_session(secret)
    assert caller is not None
    request.state.caller = caller
    return {"user": caller.user, "roles": [g.as_dict() for g in caller.grants], "via": "session", "csrf": caller.csrf}


def _enter(context: Ours, name: str, request: Request) -> None:
    request.state.noted = {"actor": name}
    wait = context.attempts.enter(name, address_of(request.scope))
    if wait:
        headers = {"Retry-After": str(math.ceil(wait))}
        raise ProblemError(429, "too many attempts", hint=f"again in {math.ceil(wait)} s", headers=headers)


@router.post("/login", response_model=Me, responses=responses(401, 422, 429))
async def login(context: Ours, _: Everybody, body: Login, request: Request, response: Response) -> dict[str, Any]:
    """Start a session by name and password."""
    await anyio.to_thread.run_sync(_enter, context, body.user, request)
    user = await anyio.to_thread.run_sync(context.accounts.verify, body.user, body.password, limiter=_HASHING)
    if user is None:
        raise ProblemError(401, "the name or the password is wrong")
    context.attempts.succeeded(body.user, address_of(request.scope))
    return await anyio.to_thread.run_sync(_me, context, response, request, user.number)


@router.post("/link", response_model=Me, responses=responses(400, 401, 422, 429))
async def use_link(context: Ours, _: Everybody, body: Link, request: Request, response: Response) -> dict[str, Any]:
    """Set the password by a one-time link, and log in."""
    await anyio.to_thread.run_sync(_enter, context, "link", request)
    name = await anyio.to_thread.run_sync(context.accounts.use_link, body.secret, body.password, limiter=_HASHING)
    if name is None:
        raise ProblemError(401, "the link was used or is too old", hint="make a new one: onlooker users reset-link")
    context.attempts.succeeded("link", address_of(request.scope))
    return await anyio.to_thread.run_sync(_me, context, response, request, context.accounts.get(name).number)


@router.get("/me", response_model=Me)
def get_me(caller: ViewerAny) -> dict[str, Any]:
    """Who one is, and what one may do."""
    roles = [g.as_dict() for g in caller.grants]
    return {"user": caller.user, "roles": roles, "via": caller.via, "csrf": caller.csrf}


@router.post("/logout", response_model=Done)
def logout(context: Ours, _: SessionOnly, request: Request, response: Response) -> dict[str, bool]:
    """End this session."""
    context.credentials.end(request.cookies[context.settings.cookie])
    response.delete_cookie(
        context.settings.cookie,
        path="/",
        secure=context.settings.tls or context.settings.secure_cookies,
        httponly=True,
        samesite="strict",
    )
    return {"done": True}


@router.post("/password", response_model=Me, responses=responses(400, 401, 422, 429))
async def change_password(
    context: Ours, caller: SessionOnly, body: NewPassword, request: Request, response: Response
) -> dict[str, Any]:
    """Set another password; all other sessions end, and this one is replaced."""
    await anyio.to_thread.run_sync(_enter, context, caller.user, request)
    good = await anyio.to_thread.run_sync(context.accounts.verify, caller.user, body.old, limiter=_HASHING)
    if good is None:
        raise ProblemError(401, "the old password is wrong")
    context.attempts.succeeded(caller.user, address_of(request.scope))
    await anyio.to_thread.run_sync(context.accounts.set_password, caller.user, body.new, limiter=_HASHING)
    return await anyio.to_thread.run_sync(_me, context, response, request, caller.number)


@router.get("/tokens", response_model=Tokens)
def list_tokens(context: Ours, caller: SessionOnly) -> dict[str, Any]:
    """One's own tokens."""
    return {"tokens": [t.as_dict() for t in context.credentials.tokens(caller.number)]}


@router.post("/tokens", response_model=MadeToken, status_code=201, responses=responses(422))
def make_token(context: Ours, caller: SessionOnly, body: NewToken) -> dict[str, Any]:
    """Make a token: it gives no more than one's own roles."""
    seconds = None if body.days is None else body.days * 86_400
    token, text = context.credentials.issue(caller.user, body.name, Role[body.role], body.cameras, seconds)
    return {**token.as_dict(), "token": text}


@router.delete("/tokens/{id}", response_model=Done, responses=responses(404))
def revoke_token(context: Ours, caller: SessionOnly, id: Identity) -> dict[str, bool]:
    """Make one of one's own tokens void."""
    if not context.credentials.revoke(id, caller.number):
        raise not_found("token")
    return {"done": True}


@router.delete("/sessions", response_model=Done)
def end_sessions(context: Ours, caller: SessionOnly) -> dict[str, bool]:
    """Log out everywhere."""
    context.credentials.end_all(caller.number)
    return {"done": True}


def known_user(context: Ours, name: str) -> str:
    """A user's name as it is stored.

    Raises:
        ProblemError: 404.
    """
    try:
        return context.accounts.get(name).name
    except UsageError:
        raise not_found("user") from None
