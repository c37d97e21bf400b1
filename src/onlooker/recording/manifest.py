"""The manifest of evidence: a digest of every file, chained, under one root."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from onlooker.core.errors import UsageError
from onlooker.core.observation import Json
from onlooker.recording.package import Member

__all__ = ["FORMAT", "Listed", "Manifest", "canonical", "chained", "parse_manifest", "public_key_of", "sign", "signed"]

FORMAT = "onlooker evidence 1"
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$")]


class Listed(BaseModel):
    """A file of the package; ``chain`` covers it and all before it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Name
    bytes: int = Field(ge=0)
    sha256: Digest
    chain: Digest


class Manifest(BaseModel):
    """What a package says that it holds.

    Attributes:
        format: always ``onlooker evidence 1``.
        made: when, ISO 8601, UTC.
        software: name and version of what made it.
        subject: event, camera, source and stretch.
        files: in their order.
        public_key: hex of the Ed25519 key that signed it, or None.
        root: covers all of the above.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: str
    made: str
    software: dict[str, str]
    subject: dict[str, Any]
    files: list[Listed]
    public_key: Digest | None
    root: Digest

    def bytes(self) -> bytes:
        """Its one form as JSON."""
        return canonical(self.model_dump())

    def right_root(self) -> str:
        """The root that fits everything else."""
        return hashlib.sha256(canonical(self.model_dump(exclude={"root"}))).hexdigest()


def canonical(value: Any) -> bytes:
    """JSON with sorted keys, no spaces and ASCII alone.

    >>> canonical({"b": 1, "a": None})
    b'{"a":null,"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def chained(members: Sequence[Member]) -> list[Listed]:
    """Each link is the SHA-256 of the link before it and of what is said of the file."""
    link = hashlib.sha256(FORMAT.encode()).hexdigest()
    files: list[Listed] = []
    for m in members:
        said: dict[str, Json] = {"path": m.name, "bytes": m.size, "sha256": m.sha256}
        link = hashlib.sha256(bytes.fromhex(link) + canonical(said)).hexdigest()
        files.append(Listed(path=m.name, bytes=m.size, sha256=m.sha256, chain=link))
    return files


def parse_manifest(data: bytes) -> Manifest | str:
    """The manifest, or what is wrong with it."""
    try:
        manifest = Manifest.model_validate_json(data)
        same = manifest.bytes() == data
    except (ValidationError, ValueError, RecursionError) as error:
        return f"it cannot be read: {str(error).splitlines()[0]}"
    if manifest.format != FORMAT:
        return f"its format is {manifest.format!r}, not {FORMAT!r}"
    if not same:
        return "it is not written as onlooker writes it"
    members = [Member(f.path, f.bytes, 0, f.sha256) for f in manifest.files]
    for given, right in zip(manifest.files, chained(members), strict=True):
        if given != right:
            return f"the chain breaks at {given.path}"
    if manifest.root != manifest.right_root():
        return "its root does not fit what it says"
    return manifest


def _cryptography() -> Any:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        hint = "pip install cryptography"
        raise UsageError("signatures need the package cryptography", hint=hint) from None
    return serialization, ed25519


def _private_key(path: Path) -> Any:
    serialization, ed25519 = _cryptography()
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        hint = "make one with: openssl genpkey -algorithm ed25519 -out key.pem"
        raise UsageError(f"cannot read the key {path}: {error}", hint=hint) from None
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise UsageError(f"{path} is no Ed25519 key", hint="openssl genpkey -algorithm ed25519 -out key.pem")
    return key


def public_key_of(path: Path) -> str:
    """Hex of the public key that a PEM file of a private or public Ed25519 key holds.

    Raises:
        UsageError: it holds none, or the package cryptography is missing.
    """
    serialization, ed25519 = _cryptography()
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise UsageError(f"cannot read the key {path}: {error.strerror}", hint="check the path") from None
    except ValueError:
        key = _private_key(path).public_key()
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise UsageError(f"{path} is no Ed25519 key", hint="openssl pkey -in key.pem -pubout -out public.pem")
    return key.public_bytes_raw().hex()


def sign(data: bytes, key: Path) -> bytes:
    """The Ed25519 signature (RFC 8032), 64 bytes.

    Raises:
        UsageError: the key cannot be used, or the package cryptography is missing.
    """
    return _private_key(key).sign(data)


def signed(data: bytes, signature: bytes, public_key: str) -> bool:
    """Whether a signature is right.

    Raises:
        UsageError: the package cryptography is missing.
    """
    _, ed25519 = _cryptography()
    from cryptography.exceptions import InvalidSignature

    try:
        ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True
