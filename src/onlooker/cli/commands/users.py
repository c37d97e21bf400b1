"""``onlooker users``: who may use a library's server, and as what."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onlooker.core.errors import UsageError

if TYPE_CHECKING:
    from onlooker.api.access import Grant
    from onlooker.api.accounts import Accounts, User
    from onlooker.api.credentials import Credentials, Token

__all__ = ["app"]

app = typer.Typer(help="Say who may use a library's server, and as what.", no_args_is_help=True)

DEFAULT = Path("onlooker-library")
Folder = Annotated[Path, typer.Option("--library", envvar="ONLOOKER_LIBRARY", help="The library folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Name = Annotated[str, typer.Argument(help="Name of the user.")]
RoleName = Annotated[str, typer.Option("--role", help="viewer, operator or admin.")]
Cameras = Annotated[
    list[str] | None, typer.Option("--camera", help="On this camera (or source's id) alone; repeatable.")
]
Zones = Annotated[
    list[str] | None, typer.Option("--zone", help="Only what stands in this zone, without pictures; repeatable.")
]
Url = Annotated[str, typer.Option("--url", help="Address of the server, for the link.")]
_URL = "http://127.0.0.1:8080"


@contextmanager
def _opened(folder: Path) -> Iterator[tuple[Accounts, Credentials]]:
    from onlooker.api import need_server
    from onlooker.api.accounts import Accounts
    from onlooker.api.credentials import Credentials
    from onlooker.api.database import ServerDatabase

    need_server()
    if not folder.is_dir():
        raise UsageError(f"there is no library in {folder}", hint="check --library")
    database = ServerDatabase(folder)
    try:
        accounts = Accounts(database)
        yield accounts, Credentials(database, accounts, 0, 0)
    finally:
        database.close()


def _grants(role: str, cameras: list[str] | None, zones: list[str] | None) -> list[Grant]:
    from onlooker.api.access import EVERY, Grant, Role

    if zones and not cameras:
        raise UsageError("--zone needs --camera", hint="say of which camera the zone is")
    return [Grant(c, Role.of(role), tuple(zones or ())) for c in cameras or [EVERY]]


def _say(result: dict[str, Any], as_json: bool, *lines: str) -> None:
    print(json.dumps(result, ensure_ascii=False) if as_json else "\n".join(lines))


def _line(user: User) -> str:
    roles = ", ".join(
        f"{g.role.name} on {'everything' if g.camera == '*' else g.camera}"
        + (f" (zones {', '.join(g.zones)})" if g.zones else "")
        for g in user.grants
    )
    return f"{user.name}: {roles}" + ("" if user.ready else "; no password yet")


@app.command()
def add(
    name: Name,
    role: RoleName = "viewer",
    camera: Cameras = None,
    zone: Zones = None,
    url: Url = _URL,
    library: Folder = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Make a user; prints the link by which they set their password, once.

    \b
    Examples:
      onlooker users add ann --role operator --library lib
      onlooker users add bob --camera front --camera yard --library lib
    """
    with _opened(library) as (accounts, _):
        secret = accounts.add(name, _grants(role, camera, zone))
        user = accounts.get(name)
    link = f"{url.rstrip('/')}/#link={secret}"
    _say({**user.as_dict(), "link": link}, as_json, _line(user), f"within a day: {link}")


@app.command(name="list")
def list_users(library: Folder = DEFAULT, as_json: AsJson = False) -> None:
    """List the users with their roles and tokens.

    \b
    Examples:
      onlooker users list --library lib
    """
    with _opened(library) as (accounts, credentials):
        users, tokens = accounts.list(), credentials.tokens()
    lines: list[str] = []
    for user in users:
        lines.append(_line(user))
        for token in tokens:
            if token.user == user.name:
                lines.append(f"  token {token.id} {token.name}: {_reach(token)}")
    result = {"users": [u.as_dict() for u in users], "tokens": [t.as_dict() for t in tokens]}
    _say(result, as_json, *(lines or ["nobody"]))


def _reach(token: Token) -> str:
    state = "revoked" if token.revoked else "expired" if (token.expires or 2**60) < time.time() else "good"
    return f"{token.role.name} on {', '.join(token.cameras)}, {state}"


@app.command()
def role(
    name: Name,
    role: RoleName,
    camera: Cameras = None,
    zone: Zones = None,
    library: Folder = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Give a user another role, in place of all before.

    \b
    Examples:
      onlooker users role ann --role admin --library lib
      onlooker users role bob --role viewer --camera front --zone door --library lib
    """
    with _opened(library) as (accounts, _):
        user = accounts.set_grants(name, _grants(role, camera, zone))
    _say(user.as_dict(), as_json, _line(user))


@app.command()
def remove(name: Name, library: Folder = DEFAULT, as_json: AsJson = False) -> None:
    """Remove a user with all sessions and tokens.

    \b
    Examples:
      onlooker users remove bob --library lib
    """
    with _opened(library) as (accounts, _):
        accounts.remove(name)
    _say({"removed": name}, as_json, f"{name} was removed")


@app.command()
def token(
    name: Name,
    what: Annotated[str, typer.Option("--name", help="What it is for.")] = "command line",
    role: RoleName = "viewer",
    camera: Cameras = None,
    expires: Annotated[str, typer.Option("--expires", help="After which it is void: 90d, 12h; never.")] = "90d",
    library: Folder = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Make an API token for a user; it is printed this once, and gives no more than the user may.

    \b
    Examples:
      onlooker users token ann --name prometheus --expires 365d --library lib
      onlooker users token ann --role operator --camera front --library lib
    """
    from onlooker.api.access import EVERY, Role
    from onlooker.core.time import parse_age

    seconds = None if expires == "never" else float(parse_age(expires))
    with _opened(library) as (_, credentials):
        made, text = credentials.issue(name, what, Role.of(role), camera or [EVERY], seconds)
    _say({**made.as_dict(), "token": text}, as_json, text)


@app.command()
def revoke(
    what: Annotated[str, typer.Argument(help="Id of a token, or name of a user: all sessions and tokens.")],
    library: Folder = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Make a token void, or log a user out everywhere and make all their tokens void.

    \b
    Examples:
      onlooker users revoke 3f2a9c01d4e5 --library lib
      onlooker users revoke bob --library lib
    """
    with _opened(library) as (accounts, credentials):
        tokens = int(credentials.revoke(what))
        sessions = 0
        if not tokens:
            number = accounts.get(what).number
            tokens = sum(credentials.revoke(t.id) for t in credentials.tokens(number))
            sessions = credentials.end_all(number)
    _say({"tokens": tokens, "sessions": sessions}, as_json, f"{tokens} tokens and {sessions} sessions are void")


@app.command(name="reset-link")
def reset_link(name: Name, url: Url = _URL, library: Folder = DEFAULT, as_json: AsJson = False) -> None:
    """Print a new link by which a user sets the password, once.

    \b
    Examples:
      onlooker users reset-link admin --library lib
    """
    with _opened(library) as (accounts, _):
        link = f"{url.rstrip('/')}/#link={accounts.link(name)}"
    _say({"user": name, "link": link}, as_json, f"within a day: {link}")
