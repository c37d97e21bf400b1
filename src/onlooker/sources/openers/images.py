"""Image sequences: a folder of pictures, or a pattern such as ``shots/frame_%04d.png``."""

from __future__ import annotations

import os
import re
from pathlib import Path

from onlooker.core.errors import SourceError
from onlooker.core.media import Source
from onlooker.sources.container import Opened, open_container
from onlooker.sources.identity import sequence_id
from onlooker.sources.policy import AddressPolicy
from onlooker.sources.recorded import RecordedSource

__all__ = ["PICTURES", "PLUGIN", "ImagesOpener", "pictures_of"]

PLUGIN = "onlooker.sources.openers.images:ImagesOpener"
PICTURES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"))
_HEADS = (b"\x89PNG", b"\xff\xd8", b"BM", b"II*\0", b"MM\0*", b"RIFF")
_PATTERN = re.compile(r"%0?(\d*)d")


def pictures_of(address: str) -> list[Path]:
    """The pictures of a folder or pattern, in the order of their numbers; empty where it is neither."""
    path = Path(address)
    if path.is_dir():
        found = [p for p in path.iterdir() if p.suffix.lower() in PICTURES and not p.name.startswith(".")]
    elif _PATTERN.search(path.name) and not path.exists():
        shape = re.compile(_PATTERN.sub(r"\\d+", re.escape(path.name).replace("\\%", "%")) + r"\Z")
        found = [p for p in path.parent.glob("*") if shape.match(p.name)] if path.parent.is_dir() else []
    else:
        return []
    return sorted(found, key=lambda p: ([int(n) for n in re.findall(r"\d+", p.stem)], p.name))


class ImagesOpener:
    """Opens image sequences as video of 25 pictures a second."""

    @staticmethod
    def takes(address: str) -> int:
        """2 for a folder of pictures or a pattern that matches some."""
        return 2 if "://" not in address and pictures_of(address) else 0

    @staticmethod
    def open(address: str, policy: AddressPolicy, known_id: str | None) -> Source:
        """Open a folder or pattern.

        Raises:
            SourceError: the pictures are of several types, or can't be decoded.
        """
        pictures = pictures_of(address)
        suffixes = {p.suffix.lower() for p in pictures}
        if len(suffixes) != 1:
            raise SourceError(
                f"{address!r} holds pictures of several types: {', '.join(sorted(suffixes))}",
                hint="keep one type in a sequence",
            )
        lines = ["ffconcat version 1.0"]
        for picture in pictures:
            _check(picture)
            quoted = str(picture.resolve()).replace("'", "'\\''")
            lines += [f"file 'file:{quoted}'", "duration 0.04"]
        text = "\n".join(lines) + "\n"

        def opener(rotation: int) -> Opened:
            return _open_list(text, address, rotation)

        size = sum(p.stat().st_size for p in pictures)
        return RecordedSource(opener, known_id or sequence_id(pictures), os.path.abspath(address), size)


def _check(picture: Path) -> None:
    """The list of pictures is read line by line, and what lies behind a picture's name could be a playlist."""
    if "\n" in str(picture.resolve()) or "\r" in str(picture.resolve()):
        raise SourceError(f"{str(picture)!r} has a line break in its name", hint="rename it")
    try:
        with picture.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise SourceError(f"cannot read {str(picture)!r}: {error.strerror or error}", hint="check it") from None
    if not head.startswith(_HEADS):
        raise SourceError(f"{str(picture)!r} is no picture, whatever its name says", hint="take it out of the sequence")


def _open_list(text: str, address: str, rotation: int) -> Opened:
    import tempfile

    with tempfile.NamedTemporaryFile("w", suffix=".ffconcat", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
        file.flush()
        opened = open_container(
            file.name,
            protocols="file",
            container_format="concat",
            indirect=True,
            options={"safe": "0"},
            rotation=rotation,
        )
    opened.address = address
    return opened
