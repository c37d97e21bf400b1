"""The client: each method is one route; streams go on over lost connections, downloads resume."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar
from urllib.parse import quote

from pydantic import BaseModel

from onlooker.client.errors import ServerUnreachable
from onlooker.client.models import Camera, Event, EventState, Hit, Job, Me, Observation, Source
from onlooker.client.transport import Transport, download, wait
from onlooker.core.errors import StoreBusy

__all__ = ["Client"]

M = TypeVar("M", bound=BaseModel)
Words = str | Sequence[str] | None


class Client:
    """A connection to a server. Use it as a context manager, or call `close`. Thread-safe, except for `login`.

    Args:
        address: such as ``https://cameras.example:8443``.
        token: an API token; without one, call `login`.
        verify: whether the server's certificate is checked, or the path of a PEM file with the one to trust.
        timeout: seconds to wait for an answer.

    Raises (all methods):
        NotLoggedIn, NotAllowed, NotFound, TooManyRequests, ApiError: the server refused.
        ServerUnreachable: it does not answer; StoreBusy, StoreError: it could not.
    """

    def __init__(
        self, address: str, *, token: str | None = None, verify: bool | str = True, timeout: float = 30.0
    ) -> None:
        self._server = Transport(address, token=token, verify=verify, timeout=timeout)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; a session stays: see `logout`."""
        self._server.close()

    # -- account --

    def login(self, user: str, password: str) -> Me:
        """Start a session, which this client then uses."""
        return self._entered(self._server.call("POST", "/login", json={"user": user, "password": password}))

    def use_link(self, secret: str, password: str) -> Me:
        """Set a password by the secret of a one-time link, and start a session."""
        return self._entered(self._server.call("POST", "/link", json={"secret": secret, "password": password}))

    def _entered(self, told: Any) -> Me:
        me = Me.model_validate(told)
        self._server.headers["X-CSRF-Token"] = me.csrf
        return me

    def logout(self) -> None:
        """End the session."""
        self._server.call("POST", "/logout")
        self._server.headers.pop("X-CSRF-Token", None)

    def me(self) -> Me:
        """Who one is, and what one may do."""
        return Me.model_validate(self._server.call("GET", "/me"))

    # -- what is known --

    def sources(self) -> list[Source]:
        """The sources that one may see."""
        return self._list(Source, self._server.call("GET", "/sources")["sources"])

    def source(self, id: str) -> Source:
        """One source; counts and failures are fields of it."""
        return Source.model_validate(self._server.call("GET", f"/sources/{_part(id)}"))

    def observations(
        self,
        *,
        source: Words = None,
        kind: Words = None,
        label: Words = None,
        track: Words = None,
        start: float | None = None,
        end: float | None = None,
        text: str | None = None,
        min_score: float | None = None,
        limit: int | None = None,
        page: int = 500,
    ) -> Iterator[Observation]:
        """Observations that fit all conditions, in order of source and time; pages are fetched as they are needed.

        Names may be one or several, any of which; ``start`` and ``end`` are seconds of the source; the words of
        ``text`` must all be found; ``page`` is how many are asked for at once, up to 1000.
        """
        conditions = _query(
            {
                "source": source,
                "kind": kind,
                "label": label,
                "track": track,
                "from": start,
                "to": end,
                "text": text,
                "min_score": min_score,
            }
        )
        yield from self._pages(Observation, "/observations", "observations", conditions, limit, page)

    def observation(self, id: str) -> Observation:
        """One observation by its whole id."""
        return Observation.model_validate(self._server.call("GET", f"/observations/{_part(id)}"))

    def search(
        self,
        text: str | None = None,
        *,
        person: Words = None,
        like: str | None = None,
        meaning: bool | None = None,
        source: Words = None,
        kind: Words = None,
        label: Words = None,
        start: float | None = None,
        end: float | None = None,
        order: Literal["best", "time", "score"] | None = None,
        limit: int = 20,
        offset: int = 0,
    ) -> list[Hit]:
        """Moments that fit words, somebody's name, or the likeness of an observation; best first."""
        values = {
            "text": text,
            "person": person,
            "like": like,
            "meaning": meaning,
            "source": source,
            "kind": kind,
            "label": label,
            "from": start,
            "to": end,
            "order": order,
            "limit": limit,
            "offset": offset,
        }
        return self._list(Hit, self._server.call("GET", "/search", params=_query(values))["hits"])

    # -- events --

    def events(
        self,
        *,
        rule: Words = None,
        source: Words = None,
        camera: Words = None,
        state: Words = None,
        severity: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        acknowledged: bool | None = None,
        limit: int | None = 100,
    ) -> Iterator[Event]:
        """Events that fit all conditions, the newest first; ``severity`` is the least."""
        values = {
            "rule": rule,
            "source": source,
            "camera": camera,
            "state": state,
            "severity": severity,
            "since": since,
            "until": until,
            "acknowledged": acknowledged,
        }
        yield from self._pages(Event, "/events", "events", _query(values), limit, 200)

    def event(self, id: str) -> Event:
        """One event by its whole id."""
        return Event.model_validate(self._server.call("GET", f"/events/{_part(id)}"))

    def acknowledge(self, id: str, note: str = "") -> Event:
        """Say that somebody has seen to it."""
        return Event.model_validate(self._server.call("POST", f"/events/{_part(id)}/acknowledge", json={"note": note}))

    def feedback(self, id: str, verdict: Literal["right", "wrong"], note: str = "") -> Event:
        """Say whether it is right, or a false alarm."""
        body = {"verdict": verdict, "note": note}
        return Event.model_validate(self._server.call("POST", f"/events/{_part(id)}/feedback", json=body))

    def stream(
        self, *, after: int | None = None, reconnect: bool = True, stop: Callable[[], bool] | None = None
    ) -> Generator[EventState]:
        """States of events as they come, each once, over lost connections and restarts of the server.

        Args:
            after: the ``sequence`` of the last one that was seen; 0: from the first; None: from now on.
            reconnect: whether a lost connection is made anew; otherwise the iterator ends.
            stop: asked now and then; the iterator ends once it says True.
        """
        last, failures = after, 0
        while not (stop and stop()):
            try:
                for told in self._server.messages("/stream/events", last):
                    failures = 0
                    if told.id is not None:
                        last = int(told.id)
                    if stop and stop():
                        return
                    if told.event in ("new", "update", "end"):
                        yield EventState.model_validate({**told.json(), "sequence": last})
            except (ServerUnreachable, StoreBusy):
                if not reconnect:
                    raise
                failures += 1
                wait(failures)
                continue
            if not reconnect:
                return
            wait(1)

    # -- cameras and jobs --

    def cameras(self) -> list[Camera]:
        """How the cameras are doing."""
        return self._list(Camera, self._server.call("GET", "/cameras")["cameras"])

    def picture(self, camera: str, width: int | None = None) -> bytes:
        """The newest picture of a camera (JPEG)."""
        path = f"/cameras/{_part(camera)}/picture"
        return self._server.answer("GET", path, params=_query({"width": width})).content

    def start_job(
        self,
        *,
        sources: Sequence[str] = (),
        addresses: Sequence[str] = (),
        profile: str = "default",
        only: Sequence[str] = (),
        quality: Literal["fast", "balanced", "best"] | None = None,
        redo: bool = False,
    ) -> Job:
        """Start an analysis of known sources or of addresses that the server's policy allows."""
        body = {
            "sources": list(sources),
            "addresses": list(addresses),
            "profile": profile,
            "only": list(only),
            "quality": quality,
            "redo": redo,
        }
        return Job.model_validate(self._server.call("POST", "/jobs", json=body))

    def jobs(self) -> list[Job]:
        """Analyses, the newest first."""
        return self._list(Job, self._server.call("GET", "/jobs")["jobs"])

    def job(self, id: str) -> Job:
        """One analysis."""
        return Job.model_validate(self._server.call("GET", f"/jobs/{_part(id)}"))

    def cancel_job(self, id: str) -> None:
        """Stop an analysis, keeping what it did."""
        self._server.call("DELETE", f"/jobs/{_part(id)}")

    def follow_job(self, id: str) -> Iterator[Job]:
        """An analysis whenever it changes, to its end, over lost connections."""
        failures = 0
        while True:
            try:
                for told in self._server.messages(f"/jobs/{_part(id)}/progress", None):
                    failures, job = 0, Job.model_validate(told.json())
                    yield job
                    if job.over:
                        return
            except (ServerUnreachable, StoreBusy):
                failures += 1
            wait(max(1, failures))

    # -- files --

    def download(self, path: str, out: str | os.PathLike[str], *, attempts: int = 5) -> Path:
        """Fetch a file of the library, as told in ``media`` or ``evidence``, and go on where a lost connection ended.

        A part that an earlier call left (``<out>.part``) is gone on with, unless the file was changed since.

        Args:
            path: relative to the library, such as ``events/<id>/clip.mp4``.
            out: the file to write; it appears when it is whole.
            attempts: connections without any progress before giving up.
        """
        return download(self._server, f"/files/{quote(path)}", Path(out), attempts)

    # -- inside --

    def _pages(
        self, model: type[M], path: str, field: str, conditions: dict[str, Any], limit: int | None, page: int
    ) -> Iterator[M]:
        offset = 0
        while limit is None or offset < limit:
            size = page if limit is None else min(page, limit - offset)
            told = self._server.call("GET", path, params={**conditions, "limit": size, "offset": offset})
            yield from self._list(model, told[field])
            offset += len(told[field])
            if not told["more"]:
                return

    @staticmethod
    def _list(model: type[M], told: list[Any]) -> list[M]:
        return [model.model_validate(one) for one in told]


def _part(text: str) -> str:
    return quote(text, safe="")


def _query(values: dict[str, Any]) -> dict[str, Any]:
    """Without what was not given, as a server reads it."""
    kept = {k: v for k, v in values.items() if v is not None}
    return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in kept.items()}
