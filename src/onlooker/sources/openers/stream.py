"""Live network streams: RTSP, RTMP, SRT, UDP and RTP."""

from __future__ import annotations

from urllib.parse import urlsplit

from onlooker.core.errors import SourceError
from onlooker.core.media import Source
from onlooker.sources.container import Opened, open_container
from onlooker.sources.identity import address_id
from onlooker.sources.policy import AddressPolicy, without_credentials
from onlooker.sources.recorded import RecordedSource
from onlooker.sources.relay import confined

__all__ = ["PLUGIN", "PROTOCOLS", "StreamOpener"]

PLUGIN = "onlooker.sources.openers.stream:StreamOpener"
PROTOCOLS = {
    "rtsp": "rtsp,rtp,tcp,udp",
    "rtsps": "rtsp,rtp,tcp,tls",
    "rtmp": "rtmp,tcp",
    "rtmps": "rtmp,tcp,tls",
    "srt": "srt,udp",
    "udp": "udp",
    "rtp": "rtp,udp",
    "tcp": "tcp",
}
"""What FFmpeg may use for each scheme of live streams."""
_TIMEOUT = 10.0


class StreamOpener:
    """Opens live streams; they can be read once, as they come."""

    @staticmethod
    def takes(address: str) -> int:
        """3 for the schemes of live streams."""
        return 3 if "://" in address and urlsplit(address).scheme.lower() in PROTOCOLS else 0

    @staticmethod
    def open(address: str, policy: AddressPolicy, known_id: str | None) -> Source:
        """Open a stream.

        Raises:
            ForbiddenAddress: the policy does not allow it.
            SourceError: it can't be reached.
        """
        policy.check(address)
        shown = without_credentials(address)
        scheme = urlsplit(address).scheme.lower()
        options = (
            {"rtsp_transport": "tcp", "fflags": "nobuffer"} if scheme.startswith("rtsp") else {"fflags": "nobuffer"}
        )

        def opener(rotation: int) -> Opened:
            try:
                place, relay = confined(address, policy, _TIMEOUT)
            except OSError as error:
                raise SourceError(
                    f"cannot open {shown!r}: {error.strerror or error}", hint="check the address and the network"
                ) from None
            return open_container(
                place,
                protocols=PROTOCOLS[scheme if relay is None else "rtsp"],
                options=options,
                timeout=_TIMEOUT,
                indirect=scheme.startswith("rt"),
                rotation=rotation,
                shown=shown,
            )

        return RecordedSource(opener, known_id or address_id(shown), shown, None, live=True)
