"""Runs an application: TLS, signals, a graceful end, and connections that cannot be held open for nothing."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn

from onlooker.api.protocol import LARGEST_HEAD, guarded_protocol
from onlooker.core.errors import UsageError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from onlooker.api.context import Context

__all__ = ["Running", "Tls", "check_free", "serve"]

_LOG = logging.getLogger("onlooker.server")
_GRACE = 10
_CONNECTIONS = 512
_MESSAGE = 64 * 1024
"""Bytes of the largest message that a WebSocket may send here: they only ever send small ones."""


class Tls:
    """Certificate and key.

    Args:
        certificate: PEM file with the chain.
        key: PEM file.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self.certificate, self.key = certificate, key


class Running(uvicorn.Server):
    """A server that ends its streams before it waits for them.

    Args:
        app: made by `create_app`.
        tls: certificate and key, or None.
        proxies: addresses of proxies whose ``X-Forwarded-For`` and ``-Proto`` are believed.
    """

    def __init__(self, app: FastAPI, *, tls: Tls | None = None, proxies: tuple[str, ...] = ()) -> None:
        context: Context = app.state.context
        self.context, self.tls = context, tls
        settings = context.settings
        super().__init__(
            uvicorn.Config(
                app,
                settings.host,
                settings.port,
                http=guarded_protocol(settings),
                ws="websockets-sansio",
                ws_max_size=_MESSAGE,
                ws_per_message_deflate=False,
                log_config=None,
                access_log=False,
                proxy_headers=bool(proxies),
                forwarded_allow_ips=list(proxies),
                server_header=False,
                limit_concurrency=_CONNECTIONS,
                h11_max_incomplete_event_size=LARGEST_HEAD,
                timeout_graceful_shutdown=_GRACE,
                ssl_certfile=tls.certificate if tls else None,
                ssl_keyfile=tls.key if tls else None,
            )
        )
        self.listening = threading.Event()

    @property
    def address(self) -> str:
        """Where it can be reached, once it is `listening`."""
        scheme = "https" if self.tls else "http"
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
        return f"{scheme}://{shown}:{port}"

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Bind and listen."""
        await super().startup(sockets)
        self.listening.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End: streams are told first, then connections are waited for."""
        self.context.stopping.set()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; a second Ctrl-C does not wait. The signal is not raised again: cameras are stopped after it."""
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True

    def reload_tls(self) -> None:
        """Read certificate and key again; connections that stand keep theirs."""
        if self.tls is not None and self.config.ssl is not None:
            self.config.ssl.load_cert_chain(self.tls.certificate, self.tls.key)


def serve(server: Running, *, ready: Callable[[Running], None], reload: Callable[[], Any] | None = None) -> None:
    """Run until SIGTERM or SIGINT; SIGHUP reads certificate and configuration again.

    Args:
        server: what to run.
        ready: called once it listens.
        reload: reads the configuration again; what it raises is logged, and the old one stays in force.
    """

    def announce() -> None:
        server.listening.wait()
        if server.started:
            ready(server)

    threading.Thread(target=announce, daemon=True).start()
    with _on_hangup(lambda: _reload(server, reload)), contextlib.suppress(KeyboardInterrupt):
        server.run()
    server.listening.set()


def _reload(server: Running, reload: Callable[[], Any] | None) -> None:
    try:
        server.reload_tls()
        changes = reload() if reload is not None else None
        _LOG.info("configuration read again%s", f": {changes}" if changes else "")
    except Exception as error:  # whatever is wrong with the new one, the old one goes on
        _LOG.error("the configuration was not read again: %s", error)


@contextlib.contextmanager
def _on_hangup(action: Callable[[], None]) -> Generator[None]:
    def handle(*_: object) -> None:
        threading.Thread(target=action, name="reload", daemon=True).start()

    before = signal.signal(signal.SIGHUP, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def check_free(host: str, port: int) -> None:
    """Say clearly that a port is taken, before anything is started.

    Raises:
        UsageError: nobody can listen there.
    """
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host} port {port}: {error.strerror or error}", hint="choose another --port or --host"
        ) from None
