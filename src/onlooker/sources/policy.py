"""Which addresses a source, and what it refers to, may reach."""

from __future__ import annotations

import base64
import http.client
import ipaddress
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from onlooker.core.errors import ForbiddenAddress, SourceError

__all__ = ["DEFAULT_POLICY", "AddressPolicy", "HttpAnswer", "without_credentials"]

_SCHEMES = ("http", "https")
_MOVED = (301, 302, 303, 307, 308)
_REDIRECTS, _TIMEOUT = 6, 20
_SECRET = re.compile(r"((?:passwo?r?d?|pwd|token|secret)=).*?(?=[/&;]|_[a-z]+=|\Z)", re.IGNORECASE)


def without_credentials(address: str) -> str:
    """The address as it may be shown and stored: no user, no password, no query values.

    Some cameras have the password in the path; it is taken out there too.

    >>> without_credentials("rtsp://me:secret@cam/1?token=x")
    'rtsp://cam/1'
    >>> without_credentials("rtsp://cam/user=me_password=secret_channel=1.sdp")
    'rtsp://cam/user=me_password=***_channel=1.sdp'
    """
    parts = urlsplit(address)
    if not parts.scheme or not parts.netloc:
        return address
    host = parts.netloc.rsplit("@", 1)[-1]
    return urlunsplit((parts.scheme, host, _SECRET.sub(r"\1***", parts.path), "", ""))


class HttpAnswer(SourceError):
    """A web server answered, but not with what was asked for; ``code`` is its status."""

    def __init__(self, message: str, *, hint: str | None = None, code: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.code = code


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """What is allowed.

    Args:
        private: whether the address that the user gives may be loopback or private. What it refers to (playlist
            entries) may then reach only the same host there, and any public host.
        public: whether public hosts may be reached.
        files: whether paths and cameras of this machine may be opened; only what watches cameras asks.
    """

    private: bool = True
    public: bool = True
    files: bool = True

    def check(self, address: str) -> None:
        """Check an address that the user gave.

        Raises:
            ForbiddenAddress: the policy does not allow it.
        """
        self._allow(address, _is_private(urlsplit(address).hostname or ""))

    def _allow(self, address: str, private: bool) -> None:
        if (private and not self.private) or (not private and not self.public):
            raise ForbiddenAddress(
                f"{without_credentials(address)} is a {'private' if private else 'public'} address",
                hint="the source policy does not allow it",
            )

    @property
    def restricted(self) -> bool:
        """Whether there are network addresses that are not allowed."""
        return not (self.private and self.public)

    def pinned(self, address: str) -> str:
        """Check an address, and say to which numeric one to connect: a name may be another one's a moment later.

        Raises:
            ForbiddenAddress: the policy does not allow it.
            SourceError: there is no such host.
        """
        host = urlsplit(address).hostname or ""
        found = _addresses(host)
        if not found:
            raise SourceError(f"there is no host called {host!r}", hint="check the address and the network")
        self._allow(address, _any_private(found))
        return found[0]

    def check_local(self, address: str) -> None:
        """Check a path or a camera of this machine.

        Raises:
            ForbiddenAddress: the policy does not allow it.
        """
        if not self.files:
            raise ForbiddenAddress(f"{address!r} is on this machine", hint="the source policy does not allow it")

    def settle(self, address: str, timeout: float = _TIMEOUT) -> tuple[str, bool]:
        """Follow redirects, checking each, and look at what answers.

        Args:
            address: http or https.
            timeout: seconds for each answer.

        Returns:
            The address that answers, and whether it is a playlist that refers to other addresses.

        Raises:
            ForbiddenAddress: the address, or one it redirects to, is not allowed.
            HttpAnswer: the server says no.
            SourceError: nothing answers.
        """
        self.check(address)
        for _ in range(_REDIRECTS):
            try:
                with _OPENER.open(_request(address), timeout=timeout) as answer:
                    kind = answer.headers.get("Content-Type", "").lower()
                    head = answer.read(512).lstrip(b"\xef\xbb\xbf \r\n\t")
            except urllib.error.HTTPError as error:
                with error:
                    target = error.headers.get("Location")
                    asks = error.headers.get("WWW-Authenticate", "").lower()
                if error.code == 401 and asks.startswith("digest") and urlsplit(address).username:
                    return address, _listed(address)  # what opens it knows how to answer
                if error.code not in _MOVED or not target:
                    raise HttpAnswer(
                        f"cannot open {without_credentials(address)}: the server answers {error.code} {error.reason}",
                        hint="check the address",
                        code=error.code,
                    ) from None
                target = urljoin(address, target)
                self._check_entry(target, address, "it redirects to")
                address = target
                continue
            except (OSError, ValueError, http.client.HTTPException) as error:
                reason = getattr(error, "reason", None) or error
                raise SourceError(
                    f"cannot open {without_credentials(address)}: {reason}", hint="check the address and the network"
                ) from None
            listed = _listed(address) or "mpegurl" in kind or "dash+xml" in kind or b"<MPD" in head
            return address, listed or head.startswith(b"#EXTM3U")
        raise SourceError(f"{without_credentials(address)} redirects again and again", hint="check the address")

    def _check_entry(self, url: str, base: str, says: str) -> None:
        entry, origin = urlsplit(url), urlsplit(base)
        same = (entry.hostname, entry.port) == (origin.hostname, origin.port)
        allowed = same or (self.public and not _is_private(entry.hostname or ""))
        if entry.scheme not in _SCHEMES or not allowed:
            raise ForbiddenAddress(
                f"{without_credentials(base)} is refused: {says} {without_credentials(url)}",
                hint="only web addresses, public or of its own host",
            )

    def guard(self, address: str, timeout: float = _TIMEOUT) -> Callable[..., Any]:
        """An ``io_open`` for PyAV that refuses entries of a playlist that lead elsewhere than allowed."""

        def open_entry(url: str, flags: int, options: dict[str, Any]) -> Any:
            self._check_entry(url, address, "the playlist refers to")
            return _OPENER.open(_request(url), timeout=timeout)

        return open_entry


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect could lead to an address that was not checked."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


def _listed(address: str) -> bool:
    return urlsplit(address).path.lower().endswith((".m3u8", ".mpd"))


def _request(address: str) -> urllib.request.Request:
    """A request with the user and password of the address, if it has some, as a header."""
    parts = urlsplit(address)
    plain = urlunsplit((parts.scheme, parts.netloc.rsplit("@", 1)[-1], parts.path or "/", parts.query, ""))
    request = urllib.request.Request(plain, headers={"User-Agent": "onlooker"})
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        request.add_header("Authorization", "Basic " + base64.b64encode(pair.encode()).decode())
    return request


def _addresses(host: str) -> list[str]:
    try:
        return [str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):
        return []


def _any_private(addresses: list[str]) -> bool:
    return not all(_is_public(ipaddress.ip_address(a.split("%")[0])) for a in addresses)


def _is_private(host: str) -> bool:
    return _any_private(_addresses(host))


_CARRIERS = tuple(ipaddress.ip_network(n) for n in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96"))


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address is of the open internet; one of IPv6 that stands for one of IPv4 is what that one is.

    >>> [_is_public(ipaddress.ip_address(a)) for a in ("1.1.1.1", "64:ff9b::7f00:1", "2002:7f00:1::", "224.0.0.1")]
    [True, False, False, False]
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address in ipaddress.ip_network("64:ff9b:1::/48"):
            return False  # for translation within a network (RFC 8215)
        if address.sixtofour is not None:
            return _is_public(address.sixtofour)
        if any(address in network for network in _CARRIERS):
            return _is_public(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    return address.is_global and not address.is_multicast


DEFAULT_POLICY = AddressPolicy()
