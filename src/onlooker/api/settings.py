"""How a server is set up: what may be reached, how long things may take, how much may come."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["ServerSettings"]


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What the operator decides.

    Args:
        host: address that the server binds to.
        port: its port; 0 lets the system choose.
        hosts: further names under which it may be asked for (``Host`` header), besides this machine's own.
        tls: whether it speaks TLS itself; cookies are then sent over TLS alone.
        secure_cookies: cookies over TLS alone although a proxy in front does the TLS.
        private_sources: whether addresses given by users may be of this machine or of internal networks.
        files: folders whose files users may name as sources; none: no local file at all.
        jobs: analyses that run at once; the others wait.
        body_bytes: largest body of a request; ``upload_bytes``: where pictures or recordings are sent.
        body_seconds: in which a body must have come; ``head_seconds``: the head of a request.
        stall_seconds: after which a reader that takes nothing is cut off.
        session_hours: after which an unused session ends; ``session_days``: after which any does.
        link_hours: how long a one-time link is good.
        streams: event streams, live views and pictures in motion of one user at once.
        test_seconds: how long a rule test may take.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    hosts: tuple[str, ...] = ()
    tls: bool = False
    secure_cookies: bool = False
    private_sources: bool = False
    files: tuple[Path, ...] = ()
    jobs: int = 1
    body_bytes: int = 1 << 20
    upload_bytes: int = 32 << 20
    body_seconds: float = 30.0
    head_seconds: float = 15.0
    stall_seconds: float = 60.0
    session_hours: float = 12.0
    session_days: float = 7.0
    link_hours: float = 24.0
    streams: int = 16
    test_seconds: float = 60.0
    _names: frozenset[str] = field(init=False, repr=False, default=frozenset())

    def __post_init__(self) -> None:
        own = {"localhost", socket.gethostname().lower(), *(h.lower() for h in self.hosts)}
        object.__setattr__(self, "_names", frozenset(own))

    @property
    def cookie(self) -> str:
        """Name of the session's cookie; browsers let ``__Host-`` be set over TLS alone, by this very host."""
        return "__Host-onlooker" if self.tls or self.secure_cookies else "onlooker"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    def answers_to(self, host: str) -> bool:
        """Whether a ``Host`` header is of this server: its names, or a bare address, which no foreign name can be.

        >>> ServerSettings().answers_to("127.0.0.1:8080"), ServerSettings().answers_to("evil.example")
        (True, False)
        """
        name = _without_port(host.strip().lower())
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]
