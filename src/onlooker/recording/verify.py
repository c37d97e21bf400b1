"""Looks for anything in a package of evidence that is not as it was when it was made. Works offline."""

from __future__ import annotations

import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from onlooker.core.errors import UsageError
from onlooker.recording.manifest import Manifest, parse_manifest, signed
from onlooker.recording.package import Member, measure, regions

__all__ = ["Finding", "Verdict", "verify_evidence"]

Problem = Literal["changed", "missing", "added", "reordered", "manifest", "container", "signature"]
_MANIFEST, _SIGNATURE = "manifest.json", "signature"
_MOST = 64_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: what sort, which file, and how it shows."""

    problem: Problem
    path: str
    detail: str

    def as_dict(self) -> dict[str, str]:
        """The public JSON form."""
        return {"problem": self.problem, "path": self.path, "detail": self.detail}


@dataclass(slots=True)
class Verdict:
    """What verifying found; ``intact`` if nothing.

    Attributes:
        findings: what is wrong.
        files: how many files the manifest lists.
        root: the manifest's root; compare it with the one that was noted when the package was made.
        public_key: hex of the key that signed it, or None.
        subject: what it is evidence of, as the manifest says.
    """

    findings: list[Finding] = field(default_factory=list[Finding])
    files: int = 0
    root: str = ""
    public_key: str | None = None
    subject: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def intact(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        return {
            "intact": self.intact,
            "files": self.files,
            "root": self.root,
            "public_key": self.public_key,
            "subject": self.subject,
            "findings": [f.as_dict() for f in self.findings],
        }


def verify_evidence(path: Path, *, root: str | None = None, public_key: str | None = None) -> Verdict:
    """Check a package.

    Its own hashes find every change that was not made with intent to hide it; against somebody who makes a whole new
    package give the ``root`` that was noted when it was made, or the ``public_key`` of who signed it.

    Args:
        path: the package.
        root: 64 hex digits that the root must be.
        public_key: hex of the key that must have signed it.

    Raises:
        UsageError: there is no such file, or a signature cannot be checked here.
    """
    if not path.is_file():
        raise UsageError(f"{path} is no file", hint="give the package that onlooker evidence export wrote")
    verdict = Verdict()
    try:
        archive = zipfile.ZipFile(path)
    except _UNREADABLE as error:
        verdict.findings.append(Finding("container", path.name, f"it cannot be opened: {error}"))
        return verdict
    with archive:
        _verify(archive, path, verdict)
    if root is not None and verdict.root != root.strip().lower():
        verdict.findings.append(Finding("manifest", _MANIFEST, f"its root is {verdict.root or 'unknown'}, not {root}"))
    if public_key is not None and verdict.public_key != public_key.strip().lower():
        signer = verdict.public_key or "nobody"
        verdict.findings.append(Finding("signature", _SIGNATURE, f"it was signed by {signer}, not by {public_key}"))
    return verdict


# a damaged ZIP file shows itself in all of these ways
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
    ValueError,
    OSError,
    LookupError,
)


def _verify(archive: zipfile.ZipFile, path: Path, verdict: Verdict) -> None:
    infos = archive.infolist()
    for info in infos:
        if info.compress_type != zipfile.ZIP_STORED:
            verdict.findings.append(Finding("container", info.filename, "it is compressed, which it was not"))
    if verdict.findings:
        return
    data = _read(archive, _MANIFEST)
    if isinstance(data, str):
        verdict.findings.append(Finding("manifest", _MANIFEST, data))
        return
    manifest = parse_manifest(data)
    if isinstance(manifest, str):
        verdict.findings.append(Finding("manifest", _MANIFEST, manifest))
        return
    verdict.files, verdict.root = len(manifest.files), manifest.root
    verdict.public_key, verdict.subject = manifest.public_key, manifest.subject
    front = [_MANIFEST] if manifest.public_key is None else [_MANIFEST, _SIGNATURE]
    wanted = [*front, *(f.path for f in manifest.files)]
    verdict.findings += _names(wanted, [i.filename for i in infos])
    members = [measure(_MANIFEST, data)]
    if manifest.public_key is not None and _SIGNATURE in archive.NameToInfo:
        members += _signature(archive, data, manifest, verdict)
    members += _contents(archive, manifest, verdict)
    if verdict.intact:
        verdict.findings += _container(path, members)


def _read(archive: zipfile.ZipFile, name: str) -> bytes | str:
    """A small file of the package, or why it cannot be read."""
    try:
        with archive.open(name) as file:
            data = file.read(_MOST + 1)
    except KeyError:
        return "it is missing"
    except _UNREADABLE as error:
        return f"it cannot be read: {error}"
    return data if len(data) <= _MOST else "it is too large"


def _names(wanted: Sequence[str], there: Sequence[str]) -> list[Finding]:
    counts = Counter(there)
    found = [Finding("missing", n, "it is not in the package") for n in wanted if n not in counts]
    found += [Finding("added", n, "the manifest does not know it") for n in counts if n not in wanted]
    found += [Finding("added", n, f"it is there {c} times") for n, c in counts.items() if c > 1]
    if not found:
        for n, (right, given) in enumerate(zip(wanted, there, strict=True)):
            if right != given:
                found.append(Finding("reordered", given, f"it stands in place {n}, where {right} should"))
    return found


def _signature(archive: zipfile.ZipFile, data: bytes, manifest: Manifest, verdict: Verdict) -> list[Member]:
    signature = _read(archive, _SIGNATURE)
    if isinstance(signature, str):
        verdict.findings.append(Finding("signature", _SIGNATURE, signature))
        return []
    if manifest.public_key is None or not signed(data, signature, manifest.public_key):
        verdict.findings.append(Finding("signature", _SIGNATURE, "it is not that of the manifest"))
    return [measure(_SIGNATURE, signature)]


def _contents(archive: zipfile.ZipFile, manifest: Manifest, verdict: Verdict) -> list[Member]:
    members: list[Member] = []
    for listed in manifest.files:
        if listed.path not in archive.NameToInfo:
            continue
        try:
            with archive.open(listed.path) as file:
                member = measure(listed.path, file, listed.bytes)
        except _UNREADABLE as error:
            verdict.findings.append(Finding("changed", listed.path, f"it cannot be read: {error}"))
            continue
        members.append(member)
        if member.size != listed.bytes:
            verdict.findings.append(Finding("changed", listed.path, f"its length is not {listed.bytes} bytes"))
        elif member.sha256 != listed.sha256:
            verdict.findings.append(Finding("changed", listed.path, f"its SHA-256 is {member.sha256}"))
    return members


def _container(path: Path, members: Sequence[Member]) -> list[Finding]:
    """The bytes around the files, each of which is known."""
    found: list[Finding] = []
    with path.open("rb") as file:
        at = 0
        for name, length, fixed in regions(members):
            if fixed is None:
                file.seek(length, 1)
            elif (given := file.read(length)) != fixed:
                first = next((n for n, (a, b) in enumerate(zip(given, fixed, strict=False)) if a != b), len(given))
                found.append(Finding("container", name, f"byte {at + first} of the package is not as it was"))
            at += length
        if file.read(1):
            found.append(Finding("container", path.name, f"there is something after its end, byte {at}"))
    return found
