"""Web addresses that hold a finished video: a file, or an HLS or DASH playlist."""

from __future__ import annotations

from onlooker.core.media import Source
from onlooker.sources.container import Opened, open_container
from onlooker.sources.identity import address_id
from onlooker.sources.policy import AddressPolicy, without_credentials
from onlooker.sources.recorded import RecordedSource

__all__ = ["PLUGIN", "WebOpener"]

PLUGIN = "onlooker.sources.openers.web:WebOpener"
_PROTOCOLS = "http,https,tcp,tls,crypto"


class WebOpener:
    """Opens http and https addresses."""

    @staticmethod
    def takes(address: str) -> int:
        """3 for http and https."""
        return 3 if address.lower().startswith(("http://", "https://")) else 0

    @staticmethod
    def open(address: str, policy: AddressPolicy, known_id: str | None) -> Source:
        """Open an address; its identity is a digest of the address, since the content is not at hand.

        Raises:
            ForbiddenAddress: the policy does not allow it.
            SourceError: it can't be reached or is no media.
        """
        settled, playlist = policy.settle(address)

        def opener(rotation: int) -> Opened:
            return open_container(
                settled,
                protocols=_PROTOCOLS,
                options={"max_redirects": "0"},
                guard=policy.guard(settled) if playlist else None,
                indirect=playlist,
                rotation=rotation,
            )

        shown = without_credentials(address)
        return RecordedSource(opener, known_id or address_id(shown), shown, None)
