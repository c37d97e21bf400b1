"""Which hosts a sink may reach; names are resolved once, so that what was checked is what is reached."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import Protocol

from onlooker.events.failures import Refused, Unreachable

__all__ = ["EVERYWHERE", "Addresses", "Reach", "resolve"]


class Addresses(Protocol):
    """What is allowed; the policy of sources is one."""

    @property
    def private(self) -> bool:
        """Whether loopback and private addresses may be reached."""
        ...

    @property
    def public(self) -> bool:
        """Whether public addresses may be reached."""
        ...


@dataclass(frozen=True, slots=True)
class Reach:
    """A policy for sinks alone.

    Args:
        private: whether loopback and private addresses may be reached.
        public: whether public addresses may be reached.
    """

    private: bool = True
    public: bool = True


EVERYWHERE = Reach()


def resolve(host: str, port: int, allowed: Addresses) -> list[str]:
    """The addresses of a host, all of them allowed.

    Raises:
        Refused: one of them is not.
        Unreachable: the name is not known.

    >>> resolve("127.0.0.1", 80, Reach(private=True))
    ['127.0.0.1']
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"the host {host} cannot be found: {error}", hint="check the name and the network") from None
    addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
    for address in addresses:
        private = _is_private(address)
        if not (allowed.private if private else allowed.public):
            raise Refused(
                f"the host {host} has a {'private' if private else 'public'} address",
                hint="the policy of addresses does not allow it",
            )
    return addresses


def _is_private(address: str) -> bool:
    found = ipaddress.ip_address(address.split("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    return not (mapped or found).is_global or found.is_multicast
