"""A way to a stream that leads nowhere else.

FFmpeg looks a host's name up by itself, after it was checked, and follows what an RTSP server redirects to. Where a
policy does not allow every address, the connection is made here, to the address that was checked, and handed on to
FFmpeg over loopback; an answer that redirects ends it.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from urllib.parse import urlsplit, urlunsplit

from onlooker.core.errors import ForbiddenAddress
from onlooker.sources.policy import AddressPolicy, without_credentials

__all__ = ["Relay", "confined"]

_REDIRECT = re.compile(rb"RTSP/\S*\s+3\d\d")
_OVERLAP = 64
_CHUNK = 65536


def confined(address: str, policy: AddressPolicy, timeout: float) -> tuple[str, Relay | None]:
    """What FFmpeg is to open for a stream, so that it reaches nothing but what the policy allows.

    Args:
        address: of a live stream, with a scheme.
        policy: which addresses are allowed.
        timeout: seconds to connect.

    Returns:
        The address to open, and the relay behind it if there is one. The relay ends with either side, or when closed.

    Raises:
        ForbiddenAddress: the policy does not allow it.
        SourceError: there is no such host.
        OSError: the relay cannot connect.
    """
    policy.check(address)
    if not policy.restricted:
        return address, None
    scheme = urlsplit(address).scheme.lower()
    if scheme.startswith("rtmp"):
        raise ForbiddenAddress(
            f"{without_credentials(address)} is refused: servers of {scheme} may lead elsewhere",
            hint="the source policy does not allow all addresses",
        )
    host = policy.pinned(address)
    if scheme.startswith("rtsp"):
        relay = Relay(address, host, timeout)
        return relay.address, relay
    parts = urlsplit(address)
    login, _, _ = parts.netloc.rpartition("@")
    place = (f"{login}@" if login else "") + (f"[{host}]" if ":" in host else host)
    return urlunsplit(parts._replace(netloc=place if parts.port is None else f"{place}:{parts.port}")), None


class Relay:
    """Connects to a server at once, and serves one client on loopback.

    Args:
        address: ``rtsp://`` or ``rtsps://``.
        host: the numeric address to connect to.
        timeout: seconds to connect, and for the client to come.

    Raises:
        OSError: it cannot connect.
    """

    def __init__(self, address: str, host: str, timeout: float) -> None:
        self._shown = without_credentials(address)
        parts = urlsplit(address)
        secure = parts.scheme.lower() == "rtsps"
        server = socket.create_connection((host, parts.port or (322 if secure else 554)), timeout=timeout)
        if secure:
            # as FFmpeg does: cameras sign their certificates themselves
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            server = context.wrap_socket(server, server_hostname=parts.hostname)
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(timeout)
        self._client: socket.socket | None = None
        self.redirected = False
        """Whether the server wanted to lead elsewhere."""
        login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        place = f"{login}127.0.0.1:{self._listener.getsockname()[1]}"
        self.address = urlunsplit(("rtsp", place, parts.path, parts.query, ""))
        """What the client is to open; holds the user and the password of the address."""
        threading.Thread(target=self._serve, name="rtsp relay", daemon=True).start()

    def _serve(self) -> None:
        try:
            with self._listener:
                client, _ = self._listener.accept()
            self._client = client
            client.settimeout(None)
            self._server.settimeout(None)
            threading.Thread(target=self._pump, args=(client, self._server), daemon=True).start()
            self._pump(self._server, client, watched=True)
        except OSError:
            pass
        finally:
            self.close()

    def _pump(self, source: socket.socket, target: socket.socket, *, watched: bool = False) -> None:
        tail = b""
        try:
            while data := source.recv(_CHUNK):
                if watched:
                    if _REDIRECT.search(tail + data):
                        self.redirected = True
                        break
                    tail = (tail + data)[-_OVERLAP:]
                target.sendall(data)
        except OSError:
            pass
        finally:
            self.close()

    def check(self) -> None:
        """Say so if the server wanted to lead elsewhere.

        Raises:
            ForbiddenAddress: it did.
        """
        if self.redirected:
            raise ForbiddenAddress(
                f"{self._shown} is refused: it redirects", hint="the source policy does not allow all addresses"
            ) from None

    def close(self) -> None:
        """Break both connections; a second call does nothing."""
        for one in (self._server, self._client):
            if one is not None:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
        with contextlib.suppress(OSError):
            self._listener.close()
