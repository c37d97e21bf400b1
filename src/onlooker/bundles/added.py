"""The bundles that were added: kept in the models' cache by name and digest, one version of each name in use.

A name's folder holds a folder for each version, called by the first 16 hex digits of its digest, and ``versions.json``.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, field_validator

from onlooker.bundles.folder import MANIFEST, Bundle, load_bundle, unpacked
from onlooker.bundles.values import Digest, Name, Part
from onlooker.bundles.verify import Verification, verify_bundle
from onlooker.core.errors import ModelError, UsageError
from onlooker.core.plugins import plugin_names
from onlooker.models.entries import cache_folder

__all__ = [
    "Added",
    "Version",
    "add",
    "added_bundle",
    "added_names",
    "bundles_folder",
    "promote",
    "remove",
    "rollback",
    "versions",
]

_SHORT = 16
_INDEX = "versions.json"


class Version(Part):
    """A version of an added bundle: its digest and when it was added (UTC, ISO 8601)."""

    digest: Digest
    added: str


class _Index(Part):
    versions: tuple[Version, ...]
    uses: Annotated[tuple[Digest, ...], Field(min_length=1)]
    """Digests in the order in which they came into use; the last is in use."""

    @field_validator("uses")
    @classmethod
    def _changing(cls, uses: tuple[str, ...]) -> tuple[str, ...]:
        """Where a version between two uses of another was removed, there was no change."""
        return tuple(u for n, u in enumerate(uses) if n == 0 or u != uses[n - 1])


@dataclass(frozen=True, slots=True)
class Added:
    """What came of adding: the bundle in the cache, its checks, whether it is in use and whether it was known."""

    name: str
    bundle: Bundle
    verification: Verification
    in_use: bool
    known: bool


def bundles_folder() -> Path:
    """Where added bundles are kept."""
    return cache_folder() / "bundles"


def added_names() -> list[str]:
    """Names of the added bundles, sorted."""
    folder = bundles_folder()
    return sorted(p.parent.name for p in folder.glob(f"[a-z]*/{_INDEX}")) if folder.is_dir() else []


def add(path: str | Path, name: str | None = None, *, use: bool = True) -> Added:
    """Verify a bundle and copy it into the cache; from then on it is an analyzer of that name.

    Args:
        path: a bundle's folder, or a zip of it.
        name: what it is called; by default as it says itself. A name that is there gets a further version.
        use: whether it is put to use at once; the first version of a name always is.

    Raises:
        ModelError: it is no bundle, or does not do here what it did where it was made.
        UsageError: the name is taken or not possible, or the version in use makes other kinds of observation.
    """
    given = Path(path)
    if not given.exists():
        raise UsageError(f"there is no bundle {str(given)!r}", hint="give a bundle's folder or a zip of it")
    base = bundles_folder()
    base.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".adding-", dir=base) as work:
        copy = Path(work) / "bundle"
        copy.mkdir()
        bundle = unpacked(given, copy) if given.is_file() else _copied(given, copy)
        called = _checked_name(name or bundle.manifest.name)
        verification = verify_bundle(bundle)
        if bad := [c for c in verification.checks if c.state == "bad"]:
            raise ModelError(f"{given}: {bad[0].name}: {bad[0].detail}", hint="see onlooker bundles verify")
        target = base / called / bundle.digest[:_SHORT]
        with _locked(called):
            index = _read(called)
            known = _is_whole(target)
            if not known:
                _same_kinds(called, index, bundle)
                shutil.rmtree(target, ignore_errors=True)
                copy.chmod(0o755)
                copy.replace(target)
            in_use = use or index is None
            _write(called, _with(index, bundle.digest, use=in_use))
    return Added(called, load_bundle(target), verification, in_use, known)


def _copied(given: Path, into: Path) -> Bundle:
    bundle = load_bundle(given, check=False)
    for name in (MANIFEST, *bundle.manifest.files):
        shutil.copyfile(given / name, into / name, follow_symlinks=False)
    return load_bundle(into)


def _checked_name(name: str) -> str:
    class _Named(Part):
        name: Name

    try:
        _Named(name=name)
    except ValidationError:
        raise UsageError(
            f"{name!r} is no name of an analyzer", hint="lower-case letters, digits and _, beginning with a letter"
        ) from None
    if name in plugin_names("analyzers") and name not in added_names():
        raise UsageError(f"an analyzer is called {name} already", hint="give another name: --name")
    return name


def _is_whole(folder: Path) -> bool:
    try:
        load_bundle(folder)
    except ModelError:
        return False
    return True


def _same_kinds(name: str, index: _Index | None, bundle: Bundle) -> None:
    """Profiles and rules rest on what a name makes: versions of it make the same kinds."""
    manifest = bundle.manifest
    if index is None or index.uses[-1] == bundle.digest:
        return
    kinds = load_bundle(_folder(name, index.uses[-1]), check=False).manifest.kinds
    if set(kinds) != set(manifest.kinds):
        raise UsageError(
            f"{name} makes {', '.join(kinds)}; this bundle makes {', '.join(manifest.kinds)}",
            hint="give it another name: --name, or remove the old one first",
        )


def added_bundle(name: str, version: str | None = None, *, check: bool = False) -> Bundle:
    """The version of an added bundle that is in use, or the one whose digest begins with ``version``.

    Raises:
        UsageError: there is none.
        ModelError: it was altered.
    """
    index = _known(name)
    return load_bundle(_folder(name, _matching(name, index, version)), check=check)


def versions(name: str) -> tuple[list[Version], str]:
    """The versions of a name, oldest first, and the digest of the one in use.

    Raises:
        UsageError: there is no such bundle.
    """
    index = _known(name)
    return list(index.versions), index.uses[-1]


def promote(name: str, version: str, *, after: str | None = None) -> str:
    """Put a version to use; returns its digest.

    Args:
        name: of the bundle.
        version: the beginning of its digest.
        after: digest of the version that must be in use until then, since this one was compared with it; None: any.

    Raises:
        UsageError: there is no such bundle or version, or another one is in use than ``after``.
    """
    with _locked(name):
        index = _known(name)
        digest = _matching(name, index, version)
        if after is not None and index.uses[-1] != after:
            raise UsageError(
                f"{name}: {index.uses[-1][:_SHORT]} came into use meanwhile, in place of {after[:_SHORT]}, with which "
                f"{digest[:_SHORT]} was compared",
                hint=f"compare again, or take it all the same: onlooker models promote {name} {digest[:_SHORT]}",
            )
        load_bundle(_folder(name, digest))
        _write(name, _with(index, digest, use=True))
    return digest


def rollback(name: str) -> str:
    """Put the version to use again that was in use before; returns its digest.

    Raises:
        UsageError: there is no such bundle, or none was in use before.
    """
    with _locked(name):
        index = _known(name)
        if len(index.uses) < 2:
            raise UsageError(f"{name}: no other version was in use before", hint=f"see onlooker models versions {name}")
        load_bundle(_folder(name, index.uses[-2]))
        _write(name, _Index(versions=index.versions, uses=index.uses[:-1]))
        return index.uses[-2]


def remove(name: str, version: str | None = None) -> None:
    """Delete a bundle with all its versions, or one version that is not in use.

    Raises:
        UsageError: there is no such bundle or version, or it is in use.
    """
    with _locked(name):
        index = _known(name)
        folder = bundles_folder() / name
        if version is None:
            # without its index it is no bundle any more, whatever happens to the rest
            (folder / _INDEX).unlink()
            shutil.rmtree(folder)
            return
        digest = _matching(name, index, version)
        if digest == index.uses[-1]:
            raise UsageError(f"{name}: the version {digest[:_SHORT]} is in use", hint="promote another one first")
        left = tuple(v for v in index.versions if v.digest != digest)
        _write(name, _Index(versions=left, uses=tuple(u for u in index.uses if u != digest)))
        shutil.rmtree(_folder(name, digest))


def _folder(name: str, digest: str) -> Path:
    return bundles_folder() / name / digest[:_SHORT]


def _matching(name: str, index: _Index, version: str | None) -> str:
    if version is None:
        return index.uses[-1]
    found = [v.digest for v in index.versions if v.digest.startswith(version.lower())] if version else []
    if len(found) != 1:
        raise UsageError(
            f"{name}: {len(found)} versions begin with {version!r}", hint=f"see onlooker models versions {name}"
        )
    return found[0]


def _known(name: str) -> _Index:
    index = _read(name)
    if index is None:
        known = ", ".join(added_names()) or "none"
        raise UsageError(f"no added bundle is called {name!r}", hint=f"known: {known}; see onlooker models add")
    return index


def _read(name: str) -> _Index | None:
    if not name.replace("_", "").isalnum():
        return None
    path = bundles_folder() / name / _INDEX
    try:
        return _Index.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise ModelError(
            f"{path} is damaged: {error}", hint=f"run: onlooker models remove {name}, and add it"
        ) from None


def _with(index: _Index | None, digest: str, *, use: bool) -> _Index:
    old, uses = (index.versions, index.uses) if index else ((), ())
    new = () if any(v.digest == digest for v in old) else (Version(digest=digest, added=_now()),)
    if use and (not uses or uses[-1] != digest):
        uses = (*uses, digest)
    return _Index(versions=(*old, *new), uses=uses)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _write(name: str, index: _Index) -> None:
    path = bundles_folder() / name / _INDEX
    draft = path.with_name(f".{_INDEX}.{os.getpid()}")
    with draft.open("w") as file:
        json.dump(index.model_dump(mode="json"), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


@contextlib.contextmanager
def _locked(name: str) -> Generator[None]:
    if not name.replace("_", "").isalnum():
        raise UsageError(f"no added bundle is called {name!r}", hint=f"known: {', '.join(added_names()) or 'none'}")
    (bundles_folder() / name).mkdir(parents=True, exist_ok=True)
    with (bundles_folder() / f".{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    with contextlib.suppress(OSError):
        (bundles_folder() / name).rmdir()
