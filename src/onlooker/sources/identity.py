"""A file's identity is its content: the first 32 hex digits of SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from onlooker.core.errors import SourceError

__all__ = ["Cached", "address_id", "content_id", "file_of", "sequence_id"]

Cached = Callable[[str, int, int], str | None]
"""``Store.cached_id``."""


def content_id(path: Path) -> str:
    """Digest of a file's bytes.

    Raises:
        SourceError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except OSError as error:
        raise SourceError(
            f"cannot read {str(path)!r}: {error.strerror or error}", hint="check its permissions"
        ) from None


def file_of(paths: Iterable[str], id: str, cached: Cached | None) -> Path | None:
    """The first of the paths at which a file still holds what a source was made of.

    Args:
        paths: where the source was seen.
        id: of the source, the digest of its content.
        cached: spares reading files that did not change.
    """
    there = (p for p in map(Path, dict.fromkeys(paths)) if p.is_file())
    return next((p for p in there if _current_id(p, cached) == id), None)


def _current_id(path: Path, cached: Cached | None) -> str | None:
    """The digest of what a file holds now, or None where it cannot be read."""
    try:
        stat = path.stat()
        known = cached(str(path.resolve()), stat.st_size, stat.st_mtime_ns) if cached is not None else None
        return known or content_id(path)
    except (OSError, SourceError):
        return None


def sequence_id(paths: Sequence[Path]) -> str:
    """Digest of an image sequence: the pictures' digests in their order."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(content_id(path).encode())
    return digest.hexdigest()[:32]


def address_id(address: str) -> str:
    """Digest of an address without credentials, for what has no content to digest."""
    return hashlib.sha256(address.encode()).hexdigest()[:32]
