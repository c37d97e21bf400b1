"""Requests, streams and downloads over HTTP, with errors as onlooker's."""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from onlooker.client.errors import ServerUnreachable, error_of
from onlooker.client.sse import Message, messages
from onlooker.core.errors import OnlookerError, StoreBusy

__all__ = ["Transport", "download", "wait"]

_ROOT = "/api/v1"
_CHUNK = 1 << 18
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 20.0
_QUIET = 45.0
"""Seconds without any byte after which a stream counts as lost; the server says something every ten."""


class Transport:
    """One server; see `onlooker.client.Client` for the arguments."""

    def __init__(self, address: str, *, token: str | None, verify: bool | str, timeout: float) -> None:
        import ssl

        trust: Any = ssl.create_default_context(cafile=verify) if isinstance(verify, str) else verify
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=address.rstrip("/"), headers=headers, verify=trust, timeout=timeout)

    @property
    def headers(self) -> httpx.Headers:
        """What is sent with every request."""
        return self._http.headers

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def call(self, method: str, path: str, **more: Any) -> Any:
        """The JSON of an answer."""
        answer = self.answer(method, path, **more)
        try:
            return answer.json()
        except ValueError:
            raise ServerUnreachable("the answer is not JSON", hint="is it the address of onlooker serve?") from None

    def answer(self, method: str, path: str, **more: Any) -> httpx.Response:
        """A whole answer.

        Raises:
            ServerUnreachable: there is none; ApiError, StoreBusy, StoreError: it is an error.
        """
        try:
            answer = self._http.request(method, _ROOT + path, **more)
        except httpx.HTTPError as error:
            raise _lost(error) from None
        if not answer.is_success:
            raise error_of(answer)
        return answer

    @contextlib.contextmanager
    def streaming(self, path: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        """An answer whose body is read bit by bit; 416 is given too."""
        timeout = httpx.Timeout(self._http.timeout.connect, read=_QUIET)
        try:
            with self._http.stream("GET", _ROOT + path, headers=headers, timeout=timeout) as answer:
                if not answer.is_success and answer.status_code != 416:
                    answer.read()
                    raise error_of(answer)
                yield answer
        except httpx.HTTPError as error:
            raise _lost(error) from None

    def messages(self, path: str, last: int | None) -> Iterator[Message]:
        """Server-sent events after the one whose id is ``last``."""
        headers = {"Accept": "text/event-stream"}
        if last is not None:
            headers["Last-Event-ID"] = str(last)
        with self.streaming(path, headers) as answer:
            yield from messages(answer.iter_lines())


def download(server: Transport, path: str, target: Path, attempts: int) -> Path:
    """Fetch a file into ``target``; a part of it that is there is gone on with, unless it was changed since.

    Raises:
        ServerUnreachable, StoreBusy: ``attempts`` connections in a row brought nothing.
    """
    part, tag_file = target.with_name(target.name + ".part"), target.with_name(target.name + ".tag")
    failures = 0
    while True:
        before = _size(part)
        try:
            _fetch(server, path, part, tag_file)
            break
        except (ServerUnreachable, StoreBusy):
            failures = 1 if _size(part) > before else failures + 1
            if failures >= attempts:
                raise
            wait(failures)
    os.replace(part, target)
    tag_file.unlink(missing_ok=True)
    return target


def _fetch(server: Transport, path: str, part: Path, tag_file: Path) -> None:
    have = _size(part)
    tag = tag_file.read_text() if have and tag_file.exists() else ""
    headers = {"Range": f"bytes={have}-", "If-Range": tag} if tag else {}
    with server.streaming(path, headers) as answer:
        if answer.status_code == 416:
            return  # all of it was there already
        tag_file.write_text(answer.headers.get("etag", ""))
        with part.open("ab" if answer.status_code == 206 else "wb") as file:
            for chunk in answer.iter_bytes(_CHUNK):
                file.write(chunk)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def wait(failures: int) -> None:
    """Back off with jitter, so that many clients do not come back at once."""
    longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(failures - 1, 16))
    time.sleep(longest * random.uniform(0.5, 1.0))


def _lost(error: httpx.HTTPError) -> OnlookerError:
    return ServerUnreachable(f"the server does not answer: {type(error).__name__}", hint="check address and network")
