"""Which addresses a source, and what it refers to, may reach."""

from __future__ import annotations

import ipaddress
import socket
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from onlooker.core.errors import ForbiddenAddress

__all__ = ["DEFAULT_POLICY", "AddressPolicy", "without_credentials"]

_SCHEMES = ("http", "https")


def without_credentials(address: str) -> str:
    """The address as it may be shown and stored: no user, no password, no query values.

    >>> without_credentials("rtsp://me:secret@cam/1?token=x")
    'rtsp://cam/1'
    """
    parts = urlsplit(address)
    if not parts.scheme or not parts.netloc:
        return address
    host = parts.netloc.rsplit("@", 1)[-1]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """What is allowed.

    Args:
        private: whether the address that the user gives may be loopback or private. What it refers to (playlist
            entries) may then reach only the same host there, and any public host.
        public: whether public hosts may be reached.
    """

    private: bool = True
    public: bool = True

    def check(self, address: str) -> None:
        """Check an address that the user gave.

        Raises:
            ForbiddenAddress: the policy does not allow it.
        """
        host = urlsplit(address).hostname or ""
        private = _is_private(host)
        if (private and not self.private) or (not private and not self.public):
            raise ForbiddenAddress(
                f"{without_credentials(address)} is a {'private' if private else 'public'} address",
                hint="the source policy does not allow it",
            )

    def guard(self, address: str) -> Callable[..., Any]:
        """An ``io_open`` for PyAV that refuses entries of a playlist that lead elsewhere than allowed."""
        origin = urlsplit(address)

        def open_entry(url: str, flags: int, options: dict[str, Any]) -> Any:
            entry = urlsplit(url)
            same = (entry.hostname, entry.port) == (origin.hostname, origin.port)
            if entry.scheme not in _SCHEMES or (not same and _is_private(entry.hostname or "")):
                raise ForbiddenAddress(
                    f"the playlist refers to {without_credentials(url)}",
                    hint="only web addresses, public or of its own host",
                )
            return _OPENER.open(url, timeout=20)

        return open_entry


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect could lead to an address that was not checked."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


def _is_private(host: str) -> bool:
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return False
    return any(not ipaddress.ip_address(str(a).split("%")[0]).is_global for a in found)


DEFAULT_POLICY = AddressPolicy()
