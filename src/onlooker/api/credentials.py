"""Sessions and API tokens: made, looked up by hash, ended."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from onlooker.api.access import EVERY, Caller, Role
from onlooker.api.accounts import Accounts, digest
from onlooker.core.errors import UsageError

if TYPE_CHECKING:
    from onlooker.api.database import ServerDatabase

__all__ = ["PREFIX", "Credentials", "Token"]

PREFIX: Final = "olk"
_TOUCH = 60.0
"""Seconds between notes of when a credential was used last."""
_MOST_SESSIONS = 20
"""Of one user; the one that was used longest ago ends."""


@dataclass(frozen=True, slots=True)
class Token:
    """An API token without its secret."""

    id: str
    user: str
    name: str
    role: Role
    cameras: tuple[str, ...]
    created: float
    expires: float | None
    used: float | None
    revoked: float | None

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        return {
            "id": self.id,
            "user": self.user,
            "name": self.name,
            "role": self.role.name,
            "cameras": [*self.cameras],
            "created": self.created,
            "expires": self.expires,
            "used": self.used,
            "revoked": self.revoked,
        }


def csrf_of(secret: str) -> str:
    """What a page must send along with unsafe requests: what only the session itself is told."""
    return hmac.new(secret.encode(), b"csrf", hashlib.sha256).hexdigest()


class Credentials:
    """What callers bring.

    Args:
        database: where it is kept, as hashes.
        accounts: the users.
        idle: seconds after which an unused session ends; ``longest``: after which any does.
    """

    def __init__(self, database: ServerDatabase, accounts: Accounts, idle: float, longest: float) -> None:
        self._database, self._accounts, self._idle, self._longest = database, accounts, idle, longest

    # -- sessions --

    def start(self, number: int, address: str, agent: str, replaces: str | None = None) -> str:
        """A new session, with a secret that nobody had before; returns the secret."""
        secret, now = secrets.token_urlsafe(32), time.time()
        with self._database.transaction() as connection:
            if replaces:
                connection.execute("DELETE FROM session WHERE hash = ?", (digest(replaces),))
            connection.execute(
                "DELETE FROM session WHERE used < ? OR created < ?", (now - self._idle, now - self._longest)
            )
            connection.execute(
                "DELETE FROM session WHERE hash IN (SELECT hash FROM session WHERE user = ? ORDER BY used DESC"
                " LIMIT -1 OFFSET ?)",
                (number, _MOST_SESSIONS - 1),
            )
            connection.execute(
                "INSERT INTO session VALUES (?, ?, ?, ?, ?, ?)",
                (digest(secret), number, now, now, address, agent[:200]),
            )
        return secret

    def of_session(self, secret: str) -> Caller | None:
        """Whose session it is, or None where there is none (any more)."""
        hashed, now = digest(secret), time.time()
        found = self._database.fetch(
            "SELECT user.number, user.name, session.used FROM session JOIN user ON user.number = session.user"
            " WHERE hash = ? AND session.used >= ? AND session.created >= ?",
            (hashed, now - self._idle, now - self._longest),
        )
        if not found:
            return None
        number, name, used = found[0]
        if now - used > _TOUCH:
            self._database.write("UPDATE session SET used = ? WHERE hash = ?", (now, hashed))
        return Caller(name, number, "session", hashed[:12], self._accounts.grants(number), csrf=csrf_of(secret))

    def end(self, secret: str) -> None:
        """End a session."""
        self._database.write("DELETE FROM session WHERE hash = ?", (digest(secret),))

    def end_all(self, number: int) -> int:
        """End all sessions of a user; returns how many there were."""
        return self._database.write("DELETE FROM session WHERE user = ?", (number,))

    # -- tokens --

    def issue(
        self,
        user: str,
        name: str,
        role: Role = Role.viewer,
        cameras: Sequence[str] = (EVERY,),
        seconds: float | None = None,
    ) -> tuple[Token, str]:
        """A new token, and the text that is shown this once.

        Args:
            user: whose; it never may do more than the user.
            name: what it is for.
            role: greatest role that it gives.
            cameras: those that it is for; ``*`` for all of the user's.
            seconds: after which it is void; None: never.
        """
        owner = self._accounts.get(user)
        if not cameras or any(not c or len(c) > 200 for c in cameras):
            raise UsageError("a token is for at least one camera", hint="name cameras, or *")
        identity, secret, now = secrets.token_hex(6), secrets.token_urlsafe(32), time.time()
        expires = None if seconds is None else now + seconds
        self._database.write(
            "INSERT INTO token VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)",
            (identity, owner.number, name[:100], digest(secret), role.name, json.dumps([*cameras]), now, expires),
        )
        token = Token(identity, owner.name, name[:100], role, tuple(cameras), now, expires, None, None)
        return token, f"{PREFIX}_{identity}_{secret}"

    def of_token(self, text: str) -> Caller | None:
        """Whose token it is, or None where it is none, has expired or was revoked."""
        prefix, _, rest = text.partition("_")
        identity, _, secret = rest.partition("_")
        if prefix != PREFIX or not secret:
            return None
        now = time.time()
        found = self._database.fetch(
            "SELECT user.number, user.name, token.hash, role, cameras, used FROM token JOIN user"
            " ON user.number = token.user WHERE id = ? AND revoked IS NULL AND (expires IS NULL OR expires > ?)",
            (identity, now),
        )
        if not found or not hmac.compare_digest(found[0][2], digest(secret)):
            return None
        number, name, _, role, cameras, used = found[0]
        if used is None or now - used > _TOUCH:
            self._database.write("UPDATE token SET used = ? WHERE id = ?", (now, identity))
        grants = self._accounts.grants(number)
        return Caller(name, number, "token", identity, grants, Role[role], tuple(json.loads(cameras)))

    def tokens(self, number: int | None = None) -> list[Token]:
        """Tokens that are not forgotten, of one user or of all, the newest first."""
        rows = self._database.fetch(
            "SELECT id, user.name, token.name, role, cameras, token.created, expires, used, revoked FROM token"
            " JOIN user ON user.number = token.user WHERE ?1 IS NULL OR token.user = ?1 ORDER BY token.created DESC",
            (number,),
        )
        return [Token(i, u, n, Role[r], tuple(json.loads(c)), *times) for i, u, n, r, c, *times in rows]

    def revoke(self, identity: str, number: int | None = None) -> bool:
        """Make a token void (of this user, or of any); False where there is no such good token."""
        sql = "UPDATE token SET revoked = ? WHERE id = ? AND revoked IS NULL AND (?3 IS NULL OR user = ?3)"
        return self._database.write(sql, (time.time(), identity, number)) > 0
