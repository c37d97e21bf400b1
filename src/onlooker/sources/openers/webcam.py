"""Cameras of this machine, through Video4Linux: ``webcam:0`` or ``/dev/video0``."""

from __future__ import annotations

import re

from onlooker.core.errors import SourceError
from onlooker.core.media import Source
from onlooker.sources.container import Opened, open_container
from onlooker.sources.identity import address_id
from onlooker.sources.policy import AddressPolicy
from onlooker.sources.recorded import RecordedSource

__all__ = ["PLUGIN", "WebcamOpener"]

PLUGIN = "onlooker.sources.openers.webcam:WebcamOpener"
_ADDRESS = re.compile(r"(?:webcam:|/dev/video)(\d{1,3})\Z")


class WebcamOpener:
    """Opens a local camera; it can be read once, as it comes."""

    @staticmethod
    def takes(address: str) -> int:
        """4 for ``webcam:N`` and ``/dev/videoN``."""
        return 4 if _ADDRESS.match(address) else 0

    @staticmethod
    def open(address: str, policy: AddressPolicy, known_id: str | None) -> Source:
        """Open a camera.

        Raises:
            SourceError: there is no such camera, or it is in use.
        """
        found = _ADDRESS.match(address)
        if found is None:
            raise SourceError(f"{address!r} names no camera", hint="write webcam:0")
        device = f"/dev/video{found[1]}"

        def opener(rotation: int) -> Opened:
            return open_container(
                device, protocols="file", container_format="video4linux2", indirect=True, rotation=rotation
            )

        return RecordedSource(opener, known_id or address_id(device), address, None, live=True)
