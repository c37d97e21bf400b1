"""Derived files of a library: ``media/<source id>/<name>``."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from onlooker.core.errors import StoreError, UsageError
from onlooker.core.observation import Attachment

__all__ = ["delete_media", "media_bytes", "media_files", "media_folder", "remove_media", "store_attachment"]

_SOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")


def media_folder(folder: Path, source: str) -> Path:
    """Where the media of ``source`` lie.

    Raises:
        UsageError: the id could lead out of the library.
    """
    if not _SOURCE.fullmatch(source) or ".." in source:
        raise UsageError(f"not a source id: {source!r}", hint="an id is made of letters, digits, '-', '_' and '.'")
    return folder / "media" / source


def _checked(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    bad = (
        not name
        or path.is_absolute()
        or "\\" in name
        or ":" in name
        or any(ord(c) < 32 for c in name)
        or any(part in ("..", ".") or len(part.encode(errors="replace")) > 200 for part in name.split("/"))
        or any(_RESERVED.fullmatch(part) for part in path.parts)
        or path.as_posix() != name
    )
    if bad:
        raise UsageError(
            f"not a name for a derived file: {name!r}",
            hint="relative, forward slashes, no '..', no device names, such as keyframes/000123.jpg",
        )
    return path


def store_attachment(folder: Path, source: str, attachment: Attachment) -> str:
    """Write a derived file; a reader sees the old one or the new one, never a part.

    The bytes go to a temporary file which is then renamed. They are not forced to the disk (fsync): like the
    database's commits they survive a killed process but, in the seconds after a power cut, may be missing, and
    `onlooker library check` then names the file.

    Returns:
        The path relative to ``folder``, with forward slashes.

    Raises:
        UsageError: the name or the source id leads out of the source's folder.
        StoreError: disk full, read-only.
    """
    name = _checked(attachment.name)
    base = media_folder(folder, source)
    target = base / name
    relative = (PurePosixPath("media") / source / name).as_posix()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # a link planted inside the library must not lead the write elsewhere
        if not target.parent.resolve().is_relative_to((folder / "media").resolve()):
            raise UsageError(f"{target.parent} leads out of the library", hint="remove the link")
        if target.is_file() and target.stat().st_size == len(attachment.data) and _same(target, attachment.data):
            return relative
        handle, temporary = tempfile.mkstemp(prefix=".writing-", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(attachment.data)
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
    except OSError as error:
        reason = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the quota is used up", errno.EFBIG: "too large"}
        said = reason.get(error.errno or 0, error.strerror or str(error))
        raise StoreError(f"cannot write {target}: {said}", hint="free space or choose another --library") from error
    return relative


def _same(path: Path, data: bytes) -> bool:
    return path.read_bytes() == data


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def media_files(folder: Path, source: str | None = None) -> Iterator[str]:
    """Paths, relative to ``folder``, of the derived files (of one source)."""
    base = folder / "media" if source is None else media_folder(folder, source)
    for where, _, names in os.walk(base):
        for name in names:
            yield (Path(where) / name).relative_to(folder).as_posix()


def media_bytes(folder: Path, source: str | None = None) -> int:
    """How many bytes the derived files take."""
    total = 0
    for name in media_files(folder, source):
        with contextlib.suppress(FileNotFoundError):
            total += (folder / name).stat().st_size
    return total


def delete_media(folder: Path, paths: Iterable[str]) -> int:
    """Delete files named by observations, and the folders they leave empty; returns how many there were.

    A path that leads out of the media folder is left alone.
    """
    base, count = (folder / "media").resolve(), 0
    for path in paths:
        target = folder / path
        if not target.parent.resolve().is_relative_to(base) or target.parent.resolve() == base:
            continue
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):
            target.unlink()
            count += 1
        with contextlib.suppress(OSError):  # not empty, or gone already
            target.parent.rmdir()
    return count


def remove_media(folder: Path, source: str) -> None:
    """Delete all derived files of a source."""
    base = media_folder(folder, source)
    if base.is_symlink():
        base.unlink()
    elif base.exists():
        shutil.rmtree(base, ignore_errors=True)
