"""Users and the audit log, for admins."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from onlooker.api.access import Grant, Role
from onlooker.api.guard import AdminOverall, Ours
from onlooker.api.models import Done, Limit, Strict
from onlooker.api.problems import ProblemError, responses
from onlooker.api.routers.account import RoleOn, Tokens, known_user

__all__ = ["router"]

router = APIRouter(prefix="/api/v1", tags=["users"])
UserName = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]


class NewUser(Strict):
    """Name and roles."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")
    roles: list[RoleOn] = Field(min_length=1, max_length=500)


class Roles(Strict):
    """Roles in place of those before."""

    roles: list[RoleOn] = Field(min_length=1, max_length=500)


class UserInfo(BaseModel):
    """A user; ``ready`` says whether a password is set."""

    name: str
    roles: list[RoleOn]
    ready: bool
    created: float


class Users(BaseModel):
    """All users."""

    users: list[UserInfo]


class OneTimeLink(BaseModel):
    """Where the user sets the password, once: add it to the server's address."""

    user: str
    link: str


class AuditEntry(BaseModel):
    """Who did what; ``status`` is the HTTP status that it was answered with."""

    number: int
    at: float
    actor: str
    via: str
    address: str
    action: str
    object: str
    status: int


class AuditLog(BaseModel):
    """Entries, the newest first."""

    entries: list[AuditEntry]


def _grants(roles: list[RoleOn]) -> list[Grant]:
    return [Grant(r.camera, Role[r.role], tuple(r.zones)) for r in roles]


@router.get("/users", response_model=Users)
def list_users(context: Ours, _: AdminOverall) -> dict[str, Any]:
    """All users."""
    return {"users": [u.as_dict() for u in context.accounts.list()]}


@router.post("/users", response_model=OneTimeLink, status_code=201, responses=responses(400, 422))
def add_user(context: Ours, _: AdminOverall, body: NewUser) -> dict[str, str]:
    """Make a user; the answer is the one-time link by which they set their password."""
    secret = context.accounts.add(body.name, _grants(body.roles))
    return {"user": body.name, "link": f"/#link={secret}"}


@router.put("/users/{name}/roles", response_model=UserInfo, responses=responses(400, 404, 422))
def set_roles(context: Ours, _: AdminOverall, name: UserName, body: Roles) -> dict[str, Any]:
    """Give a user other roles; it holds at once, for open streams within seconds."""
    return context.accounts.set_grants(known_user(context, name), _grants(body.roles)).as_dict()


@router.post("/users/{name}/link", response_model=OneTimeLink, responses=responses(404))
def reset_link(context: Ours, _: AdminOverall, name: UserName) -> dict[str, str]:
    """A new one-time link for somebody who forgot the password; the old password holds until it is used."""
    user = known_user(context, name)
    return {"user": user, "link": f"/#link={context.accounts.link(user)}"}


@router.delete("/users/{name}", response_model=Done, responses=responses(400, 404))
def remove_user(context: Ours, caller: AdminOverall, name: UserName) -> dict[str, bool]:
    """Remove a user with all sessions and tokens."""
    user = known_user(context, name)
    if user == caller.user:
        raise ProblemError(400, "nobody removes themselves", hint="let another admin do it")
    context.accounts.remove(user)
    return {"done": True}


@router.get("/users/{name}/tokens", response_model=Tokens, responses=responses(404))
def list_user_tokens(context: Ours, _: AdminOverall, name: UserName) -> dict[str, Any]:
    """The tokens of a user."""
    number = context.accounts.get(known_user(context, name)).number
    return {"tokens": [t.as_dict() for t in context.credentials.tokens(number)]}


@router.delete("/users/{name}/credentials", response_model=Done, responses=responses(404))
def revoke_credentials(context: Ours, _: AdminOverall, name: UserName) -> dict[str, bool]:
    """End all sessions and make void all tokens of a user."""
    number = context.accounts.get(known_user(context, name)).number
    context.credentials.end_all(number)
    for token in context.credentials.tokens(number):
        context.credentials.revoke(token.id)
    return {"done": True}


@router.get("/audit", response_model=AuditLog)
def get_audit(
    context: Ours,
    _: AdminOverall,
    before: Annotated[int | None, Query(ge=0, le=2**53)] = None,
    actor: Annotated[str | None, Query(max_length=100)] = None,
    limit: Limit = 100,
) -> dict[str, Any]:
    """The audit log: what changed something, and what was refused."""
    return {"entries": context.audit.entries(before=before, actor=actor, limit=limit)}
