"""The container of evidence: a ZIP file (APPNOTE 6.3) of stored files, of which every byte follows from their contents.

Nothing in it is free to choose (no times, no permissions, no comments), so that a changed byte anywhere can be told.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from onlooker.core.errors import UsageError

__all__ = ["Member", "measure", "regions", "write_package"]

_BLOCK = 1 << 20
_MOST_BYTES, _MOST_FILES = 0xFFFFFFFF, 0xFFFF
_VERSION, _NAMES_ARE_UTF8, _DATE = 20, 0x0800, 0x21


@dataclass(frozen=True, slots=True)
class Member:
    """A file in the package.

    Args:
        name: relative, forward slashes, ASCII.
        size: bytes.
        crc: CRC-32 of them, which ZIP asks for.
        sha256: 64 hex digits.
    """

    name: str
    size: int
    crc: int
    sha256: str


def measure(name: str, content: Path | bytes | IO[bytes], most: int | None = None) -> Member:
    """Digest a file; of more than ``most`` bytes only those and one more are read."""
    if isinstance(content, Path):
        with content.open("rb") as file:
            return measure(name, file, most)
    if isinstance(content, bytes):
        return Member(name, len(content), zlib.crc32(content), hashlib.sha256(content).hexdigest())
    digest, crc, size = hashlib.sha256(), 0, 0
    while block := content.read(_BLOCK if most is None else min(_BLOCK, most + 1 - size)):
        digest.update(block)
        crc, size = zlib.crc32(block, crc), size + len(block)
    return Member(name, size, crc, digest.hexdigest())


def regions(members: Sequence[Member]) -> list[tuple[str, int, bytes | None]]:
    """What a package is made of, in order: name, length, and the bytes where they are no file's content.

    Raises:
        UsageError: there is too much for one package.
    """
    parts: list[tuple[str, int, bytes | None]] = []
    entries: list[tuple[str, bytes]] = []
    at = 0
    for m in members:
        size = m.size & _MOST_BYTES
        common = struct.pack("<HHHHIII", _NAMES_ARE_UTF8, 0, 0, _DATE, m.crc, size, size)
        name = m.name.encode("ascii")
        head = struct.pack("<4sH", b"PK\3\4", _VERSION) + common + struct.pack("<HH", len(name), 0) + name
        place = struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0o100644 << 16, at & _MOST_BYTES)
        entries.append((m.name, struct.pack("<4sHH", b"PK\1\2", 3 << 8 | _VERSION, _VERSION) + common + place + name))
        parts += [(f"the head of {m.name}", len(head), head), (m.name, m.size, None)]
        at += len(head) + m.size
    length = sum(len(e) for _, e in entries)
    if at + length > _MOST_BYTES or len(members) > _MOST_FILES:
        raise UsageError("this is more than one package holds (4 GiB)", hint="export shorter stretches")
    parts += [(f"the entry of {name}", len(entry), entry) for name, entry in entries]
    count = len(members)
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, count, count, length, at, 0)
    return [*parts, ("the end of the package", len(end), end)]


def write_package(out: Path, contents: Sequence[tuple[Member, Path | bytes]]) -> None:
    """Write a package, whole or not at all.

    Raises:
        UsageError: there is too much for one package.
        OSError: it cannot be written.
    """
    layout = regions([m for m, _ in contents])
    sources = iter(contents)
    part = out.with_name(f".{out.name}.part")
    try:
        with part.open("wb") as file:
            for _, _, fixed in layout:
                if fixed is not None:
                    file.write(fixed)
                else:
                    _copy(next(sources)[1], file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, out)
    finally:
        part.unlink(missing_ok=True)


def _copy(content: Path | bytes, file: IO[bytes]) -> None:
    if isinstance(content, bytes):
        file.write(content)
        return
    with content.open("rb") as source:
        while block := source.read(_BLOCK):
            file.write(block)
