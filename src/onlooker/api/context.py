"""What the routes of one server share."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.requests import HTTPConnection

from onlooker.api.access import EVERY, Access, Caller, Role, names_of
from onlooker.api.accounts import Accounts
from onlooker.api.attempts import Attempts
from onlooker.api.audit import Audit
from onlooker.api.credentials import Credentials
from onlooker.api.database import ServerDatabase
from onlooker.api.problems import ProblemError, not_found
from onlooker.core.errors import UsageError
from onlooker.core.media import SourceInfo

if TYPE_CHECKING:
    from onlooker.api.jobs import Jobs
    from onlooker.api.settings import ServerSettings
    from onlooker.api.tail import EventTail
    from onlooker.core.event import Event
    from onlooker.core.store import SourceStatus, Store
    from onlooker.events import Journal
    from onlooker.recording import Recordings
    from onlooker.rules import RuleFile
    from onlooker.station import Changes, Station

__all__ = ["Context", "context_of"]


@dataclass
class Context:
    """One server's parts.

    Args:
        folder: the library folder.
        settings: how the server is set up.
        database: users, sessions, jobs, the audit log.
        store: what the library knows.
        journal: its events.
        recordings: what its cameras recorded.
        station: the cameras that this process watches, or None.
        config: the watch configuration that the station was made of, to be read again, or None.
    """

    folder: Path
    settings: ServerSettings
    database: ServerDatabase
    store: Store
    journal: Journal
    recordings: Recordings
    station: Station | None
    config: Path | None
    accounts: Accounts
    credentials: Credentials
    attempts: Attempts
    audit: Audit
    jobs: Jobs
    tail: EventTail
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _streams: Counter[str] = field(default_factory=Counter[str])
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _reloading: threading.Lock = field(default_factory=threading.Lock)
    _infos: dict[str, SourceInfo] = field(default_factory=dict[str, SourceInfo])

    # -- sources --

    def info(self, source: str) -> SourceInfo | None:
        """What is known of a source by its whole id, or None."""
        known = self._infos.get(source)
        if known is None:
            try:
                known = self.store.source(source).info
            except UsageError:
                return None
            if known.id != source:
                return None
            self._infos[source] = known
        return known

    def access(self, caller: Caller, source: str, camera: str | None = None) -> Access | None:
        """What the caller may do with a source; of one that the library does not know only callers over all."""
        info = self.info(source)
        if info is not None:
            return caller.access(names_of(info))
        watched = {c.source: c.name for c in self.station.status()} if self.station else {}
        if source in watched:
            return caller.access((source, watched[source]))
        return caller.access((EVERY,)) if caller.overall else None

    def source(self, caller: Caller, source: str, role: Role = Role.viewer) -> SourceStatus:
        """A source, the whole picture of which the caller has the role on.

        Raises:
            ProblemError: 404 where it is not there or not to be seen, 403 where the role is not enough.
        """
        access = self.access(caller, source)
        if self.info(source) is None or access is None or access.zones is not None:
            raise not_found("source")
        if access.role < role:
            raise ProblemError(403, f"it takes the role {role.name} on this source")
        try:
            return self.store.source(source)
        except UsageError:
            self._infos.pop(source, None)
            raise not_found("source") from None

    def reachable(self, caller: Caller) -> list[str]:
        """Ids of the sources of which the caller may see something, be it in some zones alone."""
        known = {s.info.id: names_of(s.info) for s in self.store.sources()}
        if self.station is not None:
            known |= {c.source: (c.source, c.name) for c in self.station.status()}
        return [identity for identity, names in known.items() if caller.access(names) is not None]

    def visible(self, caller: Caller) -> list[SourceStatus]:
        """The sources that the caller may see all of."""
        return [s for s in self.store.sources() if caller.may(Role.viewer, names_of(s.info))]

    def forget(self, source: str) -> None:
        """A source is gone."""
        self._infos.pop(source, None)

    def camera(self, caller: Caller, name: str, role: Role = Role.viewer) -> str:
        """A camera's name, the whole picture of which the caller has the role on.

        Raises:
            ProblemError: 404 where there is none or it is not to be seen, 403 where the role is not enough.
        """
        sources = [s.info for s in self.store.sources() if s.info.live and s.info.path == name]
        watched = [c.source for c in self.station.status() if c.name == name] if self.station else []
        access = caller.access((name, *(i.id for i in sources), *watched))
        if access is None or access.zones is not None or not (sources or watched):
            raise not_found("camera")
        if access.role < role:
            raise ProblemError(403, f"it takes the role {role.name} on this camera")
        return name

    def reload(self) -> Changes:
        """Read the watch configuration again; returns what changed.

        Raises:
            ProblemError: 409: there is none.
            ConfigError: it is wrong; the old one stays in force.
        """
        from onlooker.api.camera_settings import added, merged
        from onlooker.station import load_watch

        if self.station is None or self.config is None:
            raise ProblemError(409, "no cameras are watched here", hint="onlooker serve --config")
        with self._reloading:
            return self.station.reload(merged(load_watch(self.config), added(self.database)))

    # -- privacy --

    def check_unhidden(self, caller: Caller, names: Sequence[str]) -> None:
        """Refuse video as it was coded where the library hides people or things in pictures, to all but admins.

        Raises:
            ProblemError: 403.
        """
        from onlooker.redaction.policy import library_policy

        policy = library_policy(self.store)
        if policy is not None and policy.hide and not caller.may(Role.admin, names):
            hidden = ", ".join(policy.hide)
            raise ProblemError(403, f"the library hides {hidden}: its video takes the role admin", hint="see pictures")

    # -- rules and zones --

    @property
    def rules(self) -> RuleFile | None:
        """The rules in force, or None."""
        return self.station.rules if self.station else None

    def stands_in(self, info: SourceInfo, zones: frozenset[str], box: tuple[float, ...] | None) -> bool:
        """Whether a box stands in one of the zones; without rules that say where they are, nothing does."""
        from onlooker.core.observation import Box
        from onlooker.rules.places import foot

        rules = self.rules
        if box is None or rules is None:
            return False
        places = rules.places(info)
        at = foot(Box(*box))
        return any(places.inside(zone, at) for zone in zones if zone in places.zones)

    def sees_event(self, caller: Caller, event: Event, role: Role = Role.viewer) -> bool:
        """Whether the caller has the role on what an event is about."""
        access = self.access(caller, event.source)
        if access is None or access.role < role:
            return False
        if access.zones is None:
            return True
        info = self.info(event.source)
        return info is not None and self.stands_in(info, access.zones, event.box)

    # -- streams --

    @contextmanager
    def stream(self, caller: Caller) -> Iterator[None]:
        """Count a stream of a user.

        Raises:
            ProblemError: 429: there are too many.
        """
        with self._lock:
            if self._streams[caller.user] >= self.settings.streams:
                raise ProblemError(429, "too many streams at once", headers={"Retry-After": "30"})
            self._streams[caller.user] += 1
        try:
            yield
        finally:
            with self._lock:
                self._streams[caller.user] -= 1


def context_of(connection: HTTPConnection) -> Context:
    """The server that a request came to."""
    return connection.app.state.context
