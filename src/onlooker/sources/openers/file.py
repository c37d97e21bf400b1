"""Files of any container that FFmpeg reads."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from onlooker.core.errors import SourceError
from onlooker.core.media import Source
from onlooker.sources.container import Opened, open_container
from onlooker.sources.identity import content_id
from onlooker.sources.policy import AddressPolicy
from onlooker.sources.recorded import RecordedSource

__all__ = ["PLUGIN", "FileOpener", "file_address"]

PLUGIN = "onlooker.sources.openers.file:FileOpener"
# formats that read other files or addresses named inside them
_INDIRECT = (b"#EXTM3U", b"ffconcat", b"<?xml", b"<MPD")


class FileOpener:
    """Opens regular files."""

    @staticmethod
    def takes(address: str) -> int:
        """1 for whatever no other opener knows: a path."""
        return 0 if "://" in address and not Path(address).exists() else 1

    @staticmethod
    def open(address: str, policy: AddressPolicy, known_id: str | None) -> Source:
        """Open a path.

        Raises:
            SourceError: missing, not a regular file, empty, a playlist, or not media.
        """
        resolved, path = file_address(address), Path(address)

        def opener(rotation: int) -> Opened:
            return open_container(resolved, protocols="file", rotation=rotation)

        return RecordedSource(opener, known_id or content_id(path), os.path.abspath(address), path.stat().st_size)


def file_address(address: str) -> str:
    """What FFmpeg is given for a path.

    Raises:
        SourceError: missing, not a regular file, empty, not readable, or a playlist.
    """
    path = Path(address)
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"cannot open {address!r}: {reason}", hint="check the path") from None
    if not stat.S_ISREG(status.st_mode):
        raise SourceError(f"{address!r} is not a regular file", hint="give a file, a folder of files or an address")
    if status.st_size == 0:
        raise SourceError(f"{address!r} is empty (0 bytes)", hint="copy or record it again")
    if not os.access(path, os.R_OK):
        raise SourceError(f"cannot read {address!r}: permission denied", hint="check its permissions")
    with path.open("rb") as file:
        head = file.read(256).lstrip()
    if head.startswith(_INDIRECT):
        raise SourceError(
            f"{address!r} is a playlist that refers to other files",
            hint="give the files themselves, or its web address",
        )
    # an absolute path behind file: keeps names such as "concat:x" or "%d.png" from being read as anything else
    return "file:" + str(path.resolve())
