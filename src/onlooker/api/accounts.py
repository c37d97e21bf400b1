"""Users: names, passwords (Argon2id), roles, and the one-time links by which passwords are set."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from onlooker.api.access import EVERY, Grant, Role, checked_grants
from onlooker.core.errors import UsageError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

    from onlooker.api.database import ServerDatabase

__all__ = ["Accounts", "User", "digest"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_LEAST, _MOST = 12, 256


def digest(secret: str) -> str:
    """How a random secret is stored: SHA-256, which is enough for what has 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher()


@cache
def _nobody() -> str:
    """A hash to compare with where there is no user, so that the time does not tell."""
    return _hasher().hash(secrets.token_urlsafe(16))


@dataclass(frozen=True, slots=True)
class User:
    """A user: ``ready`` says whether a password is set."""

    number: int
    name: str
    grants: tuple[Grant, ...]
    ready: bool
    created: float

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        return {
            "name": self.name,
            "roles": [g.as_dict() for g in self.grants],
            "ready": self.ready,
            "created": self.created,
        }


class Accounts:
    """The users of a server.

    Args:
        database: where they are kept.
        link_seconds: how long a one-time link is good.
    """

    def __init__(self, database: ServerDatabase, link_seconds: float = 86_400) -> None:
        self._database, self._link_seconds = database, link_seconds

    def list(self) -> list[User]:
        """All users by name."""
        return [self.get(name) for (name,) in self._database.fetch("SELECT name FROM user ORDER BY name")]

    def get(self, name: str) -> User:
        """One user.

        Raises:
            UsageError: nobody is called so.
        """
        found = self._database.fetch(
            "SELECT number, name, password IS NOT NULL, created FROM user WHERE name = ?", (name,)
        )
        if not found:
            raise UsageError(f"no user is called {name!r}", hint="see: onlooker users list")
        number, name, ready, created = found[0]
        return User(number, name, self.grants(number), bool(ready), created)

    def grants(self, number: int) -> tuple[Grant, ...]:
        """The roles of a user."""
        rows = self._database.fetch("SELECT camera, role, zones FROM access WHERE user = ? ORDER BY camera", (number,))
        return tuple(Grant(camera, Role[role], tuple(json.loads(zones))) for camera, role, zones in rows)

    def add(self, name: str, grants: Sequence[Grant]) -> str:
        """Make a user; returns the secret of a one-time link that sets the password.

        Raises:
            UsageError: the name is taken or not a name.
        """
        if not _NAME.fullmatch(name):
            raise UsageError(f"not a user's name: {name!r}", hint="up to 64 letters, digits, '.', '_', '-' and '@'")
        kept = checked_grants(grants)
        with self._database.transaction() as connection:
            if list(connection.execute("SELECT 1 FROM user WHERE name = ?", (name,))):
                raise UsageError(f"there is a user {name!r} already", hint="choose another name")
            connection.execute("INSERT INTO user (name, created) VALUES (?, ?)", (name, time.time()))
            _put_grants(connection, connection.last_insert_rowid(), kept)
        return self.link(name)

    def first(self) -> tuple[str, str] | None:
        """Where nobody has set a password yet: the name of the one admin, and the secret of a new one-time link."""
        users = self.list()
        if any(u.ready for u in users):
            return None
        admins = [u for u in users if any(g.camera == EVERY and g.role is Role.admin for g in u.grants)]
        if not admins:
            return "admin", self.add("admin", [Grant(EVERY, Role.admin)])
        return admins[0].name, self.link(admins[0].name)

    def set_grants(self, name: str, grants: Sequence[Grant]) -> User:
        """Give a user other roles.

        Raises:
            UsageError: nobody would be left who is admin of everything.
        """
        kept, user = checked_grants(grants), self.get(name)
        with self._database.transaction() as connection:
            before = _has_admin(connection)
            _put_grants(connection, user.number, kept)
            _check_admin(connection, before)
        return self.get(name)

    def remove(self, name: str) -> None:
        """Remove a user with all sessions and tokens.

        Raises:
            UsageError: nobody is called so, or it is the last admin.
        """
        user = self.get(name)
        with self._database.transaction() as connection:
            before = _has_admin(connection)
            connection.execute("DELETE FROM user WHERE number = ?", (user.number,))
            _check_admin(connection, before)

    # -- passwords --

    def link(self, name: str) -> str:
        """A new one-time secret for a user; earlier ones are void."""
        user, secret = self.get(name), secrets.token_urlsafe(32)
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM link WHERE user = ? OR expires < ?", (user.number, time.time()))
            connection.execute(
                "INSERT INTO link VALUES (?, ?, ?)", (digest(secret), user.number, time.time() + self._link_seconds)
            )
        return secret

    def use_link(self, secret: str, password: str) -> str | None:
        """Set the password by a one-time link; returns the user's name, or None where the link is not good.

        All sessions of the user end.

        Raises:
            UsageError: the password is too short or too long; the link stays good.
        """
        found = self._database.fetch(
            "SELECT name FROM user JOIN link ON link.user = user.number WHERE hash = ? AND expires > ?",
            (digest(secret), time.time()),
        )
        if not found:
            return None
        hashed = _hashed(password)
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM link WHERE hash = ?", (digest(secret),))
            if not connection.changes():
                return None
            self._put_password(connection, found[0][0], hashed)
        return found[0][0]

    def set_password(self, name: str, password: str) -> None:
        """Set a password; all sessions of the user end."""
        hashed = _hashed(password)
        with self._database.transaction() as connection:
            self._put_password(connection, name, hashed)

    def _put_password(self, connection: Any, name: str, hashed: str) -> None:
        connection.execute("UPDATE user SET password = ? WHERE name = ?", (hashed, name))
        connection.execute("DELETE FROM session WHERE user = (SELECT number FROM user WHERE name = ?)", (name,))

    def verify(self, name: str, password: str) -> User | None:
        """The user if the password is right; it takes as long where nobody is called so."""
        from argon2.exceptions import InvalidHashError, VerificationError

        found = self._database.fetch("SELECT password FROM user WHERE name = ?", (name,))
        hashed = found[0][0] if found and found[0][0] else None
        try:
            _hasher().verify(hashed or _nobody(), password[: _MOST + 1])
        except (VerificationError, InvalidHashError):
            return None
        if hashed is None:
            return None
        if _hasher().check_needs_rehash(hashed):
            self._database.write("UPDATE user SET password = ? WHERE name = ?", (_hasher().hash(password), name))
        return self.get(name)


def _hashed(password: str) -> str:
    if not _LEAST <= len(password) <= _MOST:
        raise UsageError(f"the password has {len(password)} characters", hint=f"{_LEAST} to {_MOST}")
    return _hasher().hash(password)


def _put_grants(connection: Any, number: int, grants: Sequence[Grant]) -> None:
    connection.execute("DELETE FROM access WHERE user = ?", (number,))
    connection.executemany(
        "INSERT INTO access VALUES (?, ?, ?, ?)",
        [(number, g.camera, g.role.name, json.dumps([*g.zones])) for g in grants],
    )


def _has_admin(connection: Any) -> bool:
    sql = "SELECT 1 FROM access WHERE camera = ? AND role = 'admin' AND zones = '[]' LIMIT 1"
    return bool(list(connection.execute(sql, (EVERY,))))


def _check_admin(connection: Any, before: bool) -> None:
    """Refuse a change after which nobody is admin of everything, where somebody was before."""
    if before and not _has_admin(connection):
        raise UsageError("nobody would be left who is admin of everything", hint="make somebody else admin first")
