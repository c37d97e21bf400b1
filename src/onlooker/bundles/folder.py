"""Bundles on disk: a flat folder, or a zip of one, read without trust and written as a whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from onlooker.bundles.manifest import FileFact, Manifest, parse_manifest
from onlooker.core.errors import ModelError

__all__ = ["MANIFEST", "Bundle", "load_bundle", "save_bundle", "unpacked"]

MANIFEST = "bundle.json"
_MAX_MANIFEST = 8 * 1024**2
_CHUNK = 1 << 20
# the key of the place of a tensor that an ONNX file keeps in another file, as protobuf writes it
_EXTERNAL = b"\x0a\x08location\x12"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose files were checked.

    Attributes:
        folder: where it lies.
        manifest: its ``bundle.json``.
        digest: SHA-256 of ``bundle.json``, which holds the digests of all other files: 64 hex digits.
    """

    folder: Path
    manifest: Manifest
    digest: str

    def path(self, name: str) -> Path:
        """One of its files."""
        return self.folder / name

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(f.size for f in self.manifest.files.values()) + self.path(MANIFEST).stat().st_size


def load_bundle(folder: str | Path, *, check: bool = True) -> Bundle:
    """Read a bundle.

    Args:
        folder: where it lies.
        check: whether the digests of all files are computed anew; their names and sizes are always compared.

    Raises:
        ModelError: it is no bundle, or a file is missing, altered, extra, a link or no plain file.
    """
    path = Path(folder)
    data = _manifest_bytes(path)
    manifest = parse_manifest(data, str(path / MANIFEST))
    _compare(path, manifest.files)
    for name, fact in manifest.files.items() if check else ():
        if (found := _sha256(path / name)) != fact.sha256:
            raise ModelError(
                f"{path}: {name} was altered: expected sha256 {fact.sha256[:16]}..., got {found[:16]}...",
                hint="get the bundle again; do not use this one",
            )
        if name.endswith(".onnx"):
            _refuse_external(path / name)
    return Bundle(path, manifest, hashlib.sha256(data).hexdigest())


def _manifest_bytes(folder: Path) -> bytes:
    if not folder.is_dir():
        raise ModelError(f"{str(folder)!r} is no folder of a bundle", hint="give the folder that holds bundle.json")
    path = folder / MANIFEST
    if path.is_symlink() or not path.is_file():
        inside = (folder / "bundle" / MANIFEST).is_file()
        hint = f"it holds one in {folder / 'bundle'}: give that" if inside else "give the folder that holds bundle.json"
        raise ModelError(f"{folder} holds no {MANIFEST}", hint=hint)
    if path.stat().st_size > _MAX_MANIFEST:
        raise ModelError(f"{path} is larger than {_MAX_MANIFEST} bytes", hint="do not use it")
    return path.read_bytes()


def _compare(folder: Path, files: Mapping[str, FileFact]) -> None:
    found: dict[str, int] = {}
    for item in sorted(folder.iterdir()):
        facts = item.lstat()
        if not stat.S_ISREG(facts.st_mode):
            raise ModelError(f"{folder}: {item.name} is no plain file", hint="a bundle holds plain files alone")
        found[item.name] = facts.st_size
    found.pop(MANIFEST, None)
    if missing := sorted(set(files) - set(found)):
        raise ModelError(f"{folder}: {missing[0]} is missing", hint="get the bundle again")
    if extra := sorted(set(found) - set(files)):
        raise ModelError(f"{folder}: {extra[0]} does not belong to the bundle", hint="remove it")
    for name, fact in files.items():
        if found[name] != fact.size:
            raise ModelError(
                f"{folder}: {name} was altered: expected {fact.size} bytes, got {found[name]}",
                hint="get the bundle again; do not use this one",
            )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _refuse_external(path: Path) -> None:
    """An ONNX file may name other files to read its weights from, anywhere on the disk."""
    tail = b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            if _EXTERNAL in tail + chunk:
                raise ModelError(
                    f"{path} keeps weights in other files", hint="save the model as one file: onnx.save(model, path)"
                )
            tail = chunk[-len(_EXTERNAL) :]


def save_bundle(
    target: str | Path, manifest: Manifest | Mapping[str, object], files: Mapping[str, Path | bytes]
) -> Bundle:
    """Write a bundle; a killed process leaves nothing at ``target``.

    Args:
        target: the folder to make; it must not exist.
        manifest: a manifest, or its fields; ``files`` in it is filled in.
        files: the other files by name: where they lie, or their bytes.

    Raises:
        ModelError: the target exists or cannot be written, the manifest is not valid or does not fit the files.
    """
    path = Path(target)
    if path.exists():
        raise ModelError(f"{path} exists already", hint="give another folder")
    try:
        return _saved(path, manifest, files)
    except OSError as error:
        raise ModelError(
            f"cannot write the bundle {path}: {error.strerror or error}",
            hint="check the folder and the space on its disk",
        ) from None


def _saved(path: Path, manifest: Manifest | Mapping[str, object], files: Mapping[str, Path | bytes]) -> Bundle:
    path.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        facts: dict[str, dict[str, object]] = {}
        for name, content in files.items():
            _put(work / Path(name).name, content)
            facts[name] = {"sha256": _sha256(work / Path(name).name), "size": (work / Path(name).name).stat().st_size}
        fields = manifest.model_dump(mode="json", by_alias=True) if isinstance(manifest, Manifest) else dict(manifest)
        text = json.dumps({**fields, "files": facts}, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False)
        _put(work / MANIFEST, (text + "\n").encode())
        load_bundle(work)
        work.chmod(0o755)
        work.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return load_bundle(path, check=False)


def _put(path: Path, content: Path | bytes) -> None:
    with path.open("xb") as file:
        if isinstance(content, bytes):
            file.write(content)
        else:
            with content.open("rb") as given:
                shutil.copyfileobj(given, file, _CHUNK)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def unpacked(archive: str | Path, into: Path) -> Bundle:
    """Take a bundle out of a zip; only files that its ``bundle.json`` names are read, each to its stated size.

    Args:
        archive: the zip; the bundle's files lie at its top, or all in one folder.
        into: an empty folder to write into.

    Raises:
        ModelError: it is no zip of a bundle.
    """
    path = Path(archive)
    try:
        with zipfile.ZipFile(path) as opened:
            members = {i.filename: i for i in opened.infolist() if not i.is_dir()}
            tops = [n for n in members if n == MANIFEST or (n.count("/") == 1 and n.endswith("/" + MANIFEST))]
            if len(tops) != 1:
                # of a zip that was cut short, Python may find the end of one that lies in it
                hint = "zip one bundle's files; or get it again, if it was cut short"
                raise ModelError(f"{path}: expected one {MANIFEST}, got {len(tops)}", hint=hint)
            prefix = tops[0].removesuffix(MANIFEST)
            data = _member(opened, members[tops[0]], _MAX_MANIFEST)
            manifest = parse_manifest(data, f"{path}: {MANIFEST}")
            if extra := sorted(set(members) - {prefix + n for n in (*manifest.files, MANIFEST)}):
                raise ModelError(f"{path}: {extra[0]!r} does not belong to the bundle", hint="do not use it")
            _put(into / MANIFEST, data)
            for name, fact in manifest.files.items():
                if (info := members.get(prefix + name)) is None:
                    raise ModelError(f"{path}: {name} is missing", hint="get the bundle again")
                _extract(opened, info, fact.size, into / name)
    except (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"cannot read the zip {path}: {error}", hint="give a bundle's folder or a zip of it") from None
    try:
        return load_bundle(into)
    except ModelError as error:
        # the folder is gone soon: what is wrong is told of the zip
        raise ModelError(error.message.replace(str(into), str(path)), hint=error.hint) from None


def _member(opened: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> bytes:
    with opened.open(info) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ModelError(f"{info.filename} unpacks to more than {limit} bytes", hint="do not use it")
    return data


def _extract(opened: zipfile.ZipFile, info: zipfile.ZipInfo, size: int, target: Path) -> None:
    left = size
    with opened.open(info) as file, target.open("xb") as out:
        while chunk := file.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                raise ModelError(f"{info.filename} unpacks to more than the {size} bytes stated", hint="do not use it")
            out.write(chunk)
