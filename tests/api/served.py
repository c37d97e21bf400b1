"""A real server in a thread, on a free port, over a small library of two analysed clips and a camera."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from onlooker.api import ServerSettings, create_app
from onlooker.api.access import Grant, Role
from onlooker.api.serving import Running, Tls

PASSWORD = "correct horse battery"


class Served:
    """A running server and what tests need of it."""

    def __init__(self, server: Running) -> None:
        self.server, self.context, self.url = server, server.context, server.address
        self.config = server.context.config or Path()
        self._clients: list[httpx.Client] = []

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def user(self, name: str, *grants: tuple, password: str | None = PASSWORD) -> str:
        """Make a user with a password; each grant is (camera, role[, zones])."""
        made = [Grant(camera, Role[role], tuple(zones[0]) if zones else ()) for camera, role, *zones in grants]
        secret = self.context.accounts.add(name, made)
        if password is not None:
            assert self.context.accounts.use_link(secret, password) == name
        return name

    def token(self, user: str, role: str = "admin", cameras=("*",), seconds: float | None = 3600) -> str:
        return self.context.credentials.issue(user, "test", Role[role], cameras, seconds)[1]

    def as_token(self, token: str | None = None, **more) -> httpx.Client:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return self._kept(httpx.Client(base_url=self.url, headers=headers, timeout=30, verify=False, **more))

    def _kept(self, client: httpx.Client) -> httpx.Client:
        self._clients.append(client)
        return client

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def of(self, user: str, role: str = "admin", cameras=("*",)) -> httpx.Client:
        """A client with a token of a user."""
        return self.as_token(self.token(user, role, cameras))

    def logged_in(self, user: str, password: str = PASSWORD) -> httpx.Client:
        """A client with a session, which sends the CSRF token as a page would."""
        client = self.as_token()
        answer = client.post("/api/v1/login", json={"user": user, "password": password})
        assert answer.status_code == 200, answer.text
        client.headers["X-CSRF-Token"] = answer.json()["csrf"]
        return client


@contextmanager
def serving(folder: Path, station=None, config: Path | None = None, keys=None, **settings) -> Iterator[Served]:
    app = create_app(folder, station, ServerSettings(port=settings.pop("port", 0), **settings), config=config)
    server = Running(app, tls=Tls(*keys) if keys else None)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert server.listening.wait(30)
    running = Served(server)
    try:
        yield running
    finally:
        running.close()
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()
