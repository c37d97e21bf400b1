"""Who may do what on which camera: roles, grants, and the caller of a request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal

from onlooker.core.errors import UsageError
from onlooker.core.media import SourceInfo

__all__ = ["EVERY", "Access", "Caller", "Grant", "Role", "checked_grants", "names_of"]

EVERY: Final = "*"
"""In place of a camera's name: all of them, and what belongs to none."""


class Role(IntEnum):
    """A role may do all that a lesser one may."""

    viewer = 1
    operator = 2
    admin = 3

    @classmethod
    def of(cls, name: str) -> Role:
        """The role of that name.

        Raises:
            UsageError: there is none.
        """
        try:
            return cls[name]
        except KeyError:
            raise UsageError(f"no role is called {name!r}", hint="viewer, operator or admin") from None


@dataclass(frozen=True, slots=True)
class Grant:
    """One role on one camera.

    Args:
        camera: name of a camera, id of a source, or ``*`` for all.
        role: what may be done.
        zones: where it is not the whole picture: only what stands in one of these zones, and no pictures.
    """

    camera: str
    role: Role
    zones: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """The public JSON form."""
        return {"camera": self.camera, "role": self.role.name, "zones": [*self.zones]}


@dataclass(frozen=True, slots=True)
class Access:
    """What a caller may do with one source: ``zones`` is None for all of it."""

    role: Role
    zones: frozenset[str] | None = None


def names_of(info: SourceInfo) -> tuple[str, ...]:
    """The names by which grants speak of a source: its id, and of a camera its name.

    A file is never known by a name: whoever names a file would choose who may see it.
    """
    return (info.id, info.path) if info.live else (info.id,)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Args:
        user: name of the user.
        number: of the user.
        via: by which credential.
        credential: its public id, for the audit log.
        grants: of the user.
        cap: greatest role that the credential gives; ``cameras``: those that it is for, ``*`` for all.
        csrf: what unsafe requests of this session must bring; empty for tokens.
    """

    user: str
    number: int
    via: Literal["session", "token"]
    credential: str
    grants: tuple[Grant, ...]
    cap: Role = Role.admin
    cameras: tuple[str, ...] = (EVERY,)
    csrf: str = ""

    def access(self, names: Iterable[str]) -> Access | None:
        """What the caller may do with the source of these names (see `names_of`), or None."""
        known = {*names}
        if EVERY not in self.cameras and not known & {*self.cameras}:
            return None
        fitting = [g for g in self.grants if g.camera == EVERY or g.camera in known]
        whole = [g.role for g in fitting if not g.zones]
        if whole:
            return Access(min(self.cap, max(whole)))
        if not fitting:
            return None
        zones = frozenset(z for g in fitting for z in g.zones)
        return Access(min(self.cap, max(g.role for g in fitting)), zones)

    @property
    def overall(self) -> Role | None:
        """The role over everything, or None."""
        roles = [g.role for g in self.grants if g.camera == EVERY and not g.zones]
        return min(self.cap, max(roles)) if roles and EVERY in self.cameras else None

    def may(self, role: Role, names: Iterable[str]) -> bool:
        """Whether the caller has the role on the whole picture of a source."""
        access = self.access(names)
        return access is not None and access.zones is None and access.role >= role

    def somewhere(self, role: Role) -> bool:
        """Whether the caller has the role anywhere."""
        return self.cap >= role and any(g.role >= role for g in self.grants)


def checked_grants(grants: Sequence[Grant]) -> tuple[Grant, ...]:
    """Grants as they may be stored.

    Raises:
        UsageError: none, a camera twice, an empty name, or zones for an admin.
    """
    if not grants:
        raise UsageError("no role at all", hint="give a role on at least one camera, or on *")
    seen: set[str] = set()
    for grant in grants:
        if not grant.camera or len(grant.camera) > 200 or any(ord(c) < 32 for c in grant.camera):
            raise UsageError(f"not a camera: {grant.camera!r}", hint="its name, a source's id, or *")
        if grant.camera in seen:
            raise UsageError(f"two roles on {grant.camera!r}", hint="give one")
        if grant.zones and grant.role is Role.admin:
            raise UsageError("an admin cannot be kept to zones", hint="make it viewer or operator")
        seen.add(grant.camera)
    return tuple(grants)
