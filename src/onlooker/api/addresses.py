"""Which sources users may name: addresses of the network by policy, local files by folders."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from onlooker.core.errors import ForbiddenAddress, UsageError
from onlooker.sources.policy import AddressPolicy, without_credentials

if TYPE_CHECKING:
    from onlooker.api.settings import ServerSettings

__all__ = ["CAMERA_SCHEMES", "check_address", "policy_of"]

CAMERA_SCHEMES: Final = ("rtsp", "rtsps", "http", "https")
"""What can only be asked for data; schemes that listen, or reach other services, are not offered."""


def policy_of(settings: ServerSettings) -> AddressPolicy:
    """What addresses given by users may lead to."""
    return AddressPolicy(private=settings.private_sources, public=True)


def check_address(address: str, settings: ServerSettings) -> str:
    """An address or path that a user gave, as it may be opened.

    Raises:
        ForbiddenAddress: it leads where users may not lead this server.
        UsageError: it is not an address.
    """
    if not address or len(address) > 2000 or any(ord(c) < 32 for c in address):
        raise UsageError("not an address", hint="write rtsp://..., https://..., or the path of a file")
    if "://" not in address:
        return _check_file(address, settings)
    try:
        parts = urlsplit(address)
        known = parts.scheme.lower() in CAMERA_SCHEMES and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        known = False
    if not known:
        schemes = ", ".join(CAMERA_SCHEMES)
        raise ForbiddenAddress("this sort of address is not allowed here", hint=f"allowed are {schemes}")
    if "\\" in address or "@" in without_credentials(address).partition("://")[2].partition("/")[0]:
        raise UsageError("not an address", hint="encode what is special in user and password")
    if not settings.private_sources:
        _check_known(parts.hostname or "")
    policy_of(settings).check(address)
    return address


def _check_known(host: str) -> None:
    """A name that leads nowhere now could lead anywhere later."""
    try:
        socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        raise UsageError("the host of the address cannot be found", hint="check the name and the network") from None


def _check_file(path: str, settings: ServerSettings) -> str:
    resolved = Path(path).resolve()
    folders = [folder.resolve() for folder in settings.files]
    if not Path(path).is_absolute() or not any(resolved.is_relative_to(folder) for folder in folders):
        # the same words whether it is there or not
        raise ForbiddenAddress(
            "files outside of the folders that the server was given are not allowed", hint="see serve --files"
        )
    if not resolved.is_file():
        raise UsageError("no such file", hint="give the whole path of one file")
    return str(resolved)
