"""A file's identity is its content: the first 32 hex digits of SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from onlooker.core.errors import SourceError

__all__ = ["address_id", "content_id", "sequence_id"]


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


def sequence_id(paths: Sequence[Path]) -> str:
    """Digest of an image sequence: the pictures' digests in their order."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(content_id(path).encode())
    return digest.hexdigest()[:32]


def address_id(address: str) -> str:
    """Digest of an address without credentials, for what has no content to digest."""
    return hashlib.sha256(address.encode()).hexdigest()[:32]
