"""The stored video that an improvement works with: the library's files, and what both bundles observe of them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from onlooker.core.errors import Interrupted, UsageError
from onlooker.core.observation import Observation
from onlooker.core.store import Store
from onlooker.improving.feedback import Feedback, collect
from onlooker.pipeline.options import RunOptions
from onlooker.pipeline.run_local import analyze_paths
from onlooker.pipeline.run_source import Progress
from onlooker.pipeline.stages import select_stages
from onlooker.redaction.policy import library_policy
from onlooker.shadow.stored import LIBRARY, observed
from onlooker.sources import open_source
from onlooker.sources.identity import file_of
from onlooker.timeline import open_store

__all__ = ["Footage", "look_back", "open_footage"]

_GONE = "its video is not there as it was analysed, or it is a live camera"


@dataclass(frozen=True, slots=True)
class Footage:
    """What a library holds.

    Args:
        files: by source id, the video and its seconds.
        feedback: on what is there.
        unusable: why other feedback cannot be used, by its key.
    """

    files: Mapping[str, tuple[Path, float]]
    feedback: tuple[Feedback, ...]
    unusable: Mapping[str, str]


def open_footage(library: Path, name: str, *, hidden: bool) -> Footage:
    """The files and the feedback on a bundle.

    Args:
        library: its folder.
        name: of the bundle.
        hidden: whether videos may be learned from as they are where the library hides people.

    Raises:
        UsageError: the library hides people, or nothing was said of the bundle.
    """
    with closing(open_store(library, create=False, read_only=not os.access(library, os.W_OK))) as store:
        policy = library_policy(store)
        if policy is not None and policy.hide and not hidden:
            raise UsageError(
                f"the library hides {', '.join(policy.hide)}, and learning looks at videos as they are",
                hint="say --with-hidden if that is allowed",
            )
        feedback = collect(library, name, store)
        files = _files(store)
    if not feedback:
        raise UsageError(
            f"nothing was said of {name}", hint="onlooker feedback wrong|right|missed, or onlooker events feedback"
        )
    gone = {f.key: _GONE for f in feedback if f.said.source not in files}
    return Footage(files, tuple(f for f in feedback if f.key not in gone), gone)


def _files(store: Store) -> dict[str, tuple[Path, float]]:
    made: dict[str, tuple[Path, float]] = {}
    for source in store.sources():
        if source.info.duration is None:
            continue
        path = file_of((source.info.path, *source.paths), source.info.id, store.cached_id)
        if path is not None:
            made[source.info.id] = (path.resolve(), float(source.info.duration))
    return made


def look_back(
    name: str,
    files: Mapping[str, tuple[Path, float]],
    folder: Path,
    *,
    progress: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
) -> dict[str, list[Observation]]:
    """What the bundle in use observes of the stored video, by source id; kept for the shadows that come.

    Videos at which it could not look are left out.

    Raises:
        Interrupted: it was stopped.
    """
    stages = tuple(select_stages({name: {}}, "balanced", (name,)))
    options = RunOptions(folder / LIBRARY, stages, open_source, open_store, relate=False)
    report = analyze_paths(_paths(files.values()), options, progress=progress, stop=stop)
    if report.stopped:
        raise Interrupted("stopped", hint="the same command goes on from here")
    with closing(open_store(options.folder, create=False)) as store:
        looked = [s for s in report.sources if s.source in files and all(f.analyzer != name for f in s.failures)]
        return {s.source: observed(store, s.source, name) for s in looked}


def _paths(files: Iterable[tuple[Path, float]]) -> Sequence[str]:
    return [str(path) for path, _ in files]
