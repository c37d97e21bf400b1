"""A candidate beside the bundle in use over stored video: one decode for both, into a library of its own."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from onlooker.core.errors import SourceError
from onlooker.core.observation import Observation
from onlooker.core.store import Failure, Query, Store
from onlooker.pipeline.keeping import Keeper
from onlooker.pipeline.options import RunOptions, RunReport
from onlooker.pipeline.run_local import analyze_paths
from onlooker.pipeline.run_source import Progress
from onlooker.redaction.policy import open_keeper
from onlooker.shadow.candidate import Pair, stages_of
from onlooker.shadow.compare import Comparison, Difference, compare, compared_sources
from onlooker.shadow.moments import moments_of
from onlooker.sources import open_source
from onlooker.timeline import open_store

__all__ = ["Shadow", "ShadowRequest", "keeper_of", "pictured", "run_shadow", "stored_paths"]

LIBRARY = "library"
"""The folder in the shadow's own that holds what both observed."""

_NEAR = 3.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class ShadowRequest:
    """What to compare.

    Args:
        pair: the bundles.
        paths: of the videos.
        folder: where the shadow works; what is done already is not done again.
        profile, settings: see `stages_of`.
        tolerance: see `compare`.
        workers: processes; None: one for each video, at most one for each processor.
    """

    pair: Pair
    paths: Sequence[str]
    folder: Path
    profile: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    tolerance: float = 0.2
    workers: int | None = None


@dataclass(slots=True)
class Shadow:
    """What came of it.

    Args:
        pair: the bundles.
        sources: path by source id.
        comparisons: by source id.
        failures: what could not be looked at.
        observations: by source id, what each of both observed.
        stopped: whether it was stopped before its end.
        live: whether cameras recorded it.
        stills: of cameras, by source id, the folder of their pictures, called by their nanoseconds.
    """

    pair: Pair
    sources: dict[str, str]
    comparisons: dict[str, Comparison]
    failures: list[Failure] = field(default_factory=list[Failure])
    observations: dict[str, tuple[list[Observation], list[Observation]]] = field(default_factory=dict[str, Any])
    stopped: bool = False
    live: bool = False
    stills: dict[str, Path] = field(default_factory=dict[str, Path])

    @property
    def whole(self) -> Comparison:
        """All sources as one."""
        return compared_sources(self.comparisons)

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        return {
            **self.pair.as_dict(),
            **self.whole.as_dict(),
            "live": self.live,
            "sources": [
                {"source": s, "path": self.sources[s], "different": len(c.differences), "agreement": c.agreement}
                for s, c in self.comparisons.items()
            ],
            "failures": [{"source": f.source, **f.as_dict()} for f in self.failures],
        }


def stored_paths(library: Path) -> list[str]:
    """The files of a library's sources that are there.

    Raises:
        StoreError: there is no library.
        SourceError: none of its files is there.
    """
    with closing(open_store(library, create=False, read_only=not os.access(library, os.W_OK))) as store:
        sources = store.sources()
    found = [next((p for p in (s.info.path, *s.paths) if Path(p).is_file()), None) for s in sources]
    paths = [p for p in found if p is not None]
    if not paths:
        raise SourceError(f"{library}: no file of its sources is there", hint="give the videos, or check their paths")
    return paths


def run_shadow(
    request: ShadowRequest,
    *,
    progress: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
) -> Shadow:
    """Run both bundles over the videos and compare what they observe.

    Raises:
        ConfigError: a setting is wrong.
        SourceError: no video could be looked at.
    """
    pair = request.pair
    stages, both = stages_of(pair, request.profile, request.settings)
    options = RunOptions(request.folder / LIBRARY, stages, open_source, open_store, relate=False)
    report = analyze_paths(request.paths, options, workers=request.workers, progress=progress, stop=stop)
    sources = {s.source: s.path for s in report.sources if s.source}
    failures = [f for s in report.sources for f in s.failures if f.analyzer is None or f.analyzer in both]
    if not report.stopped and not any(s.worked for s in report.sources):
        said = next((f.message for f in failures), "there is none")
        raise SourceError(f"no video could be looked at: {said}", hint="see onlooker probe")
    found: dict[str, tuple[list[Observation], list[Observation]]] = {}
    with closing(open_store(options.folder, create=False)) as store:
        for source in sources:
            found[source] = (observed(store, source, pair.name), observed(store, source, pair.other))
    made = Shadow(pair, sources, {}, failures, found, report.stopped)
    kinds = pair.used.manifest.kinds
    for source in _seen_by_both(report, both):
        made.comparisons[source] = compare(source, *found[source], tolerance=request.tolerance, kinds=kinds)
    return made


def _seen_by_both(report: RunReport, both: frozenset[str]) -> list[str]:
    """Sources over which neither failed: where one could not look, nothing can be said of differences."""
    made = []
    for source in report.sources:
        broken = {f.analyzer for f in source.failures if f.stage == "analyze"}
        if source.source and source.worked and not broken & both:
            made.append(source.source)
    return list(dict.fromkeys(made))


def observed(store: Store, source: str, analyzer: str) -> list[Observation]:
    """What an analyzer observed of a source."""
    return list(store.query(Query(sources=(source,), analyzers=(analyzer,))))


def pictured(shadow: Shadow, differences: Sequence[Difference], library: Path | None) -> dict[int, bytes]:
    """Pictures of the moments, by the place of the difference.

    Args:
        shadow: with the paths of the videos.
        differences: of which.
        library: whose privacy setting holds; None: there is none.
    """
    if shadow.live:
        return {n: still for n, d in enumerate(differences) if (still := _still(shadow.stills[d.source], d.middle))}
    wanted: dict[str, dict[int, float]] = {}
    for place, d in enumerate(differences):
        wanted.setdefault(d.source, {})[place] = round(d.middle, 3)
    made: dict[int, bytes] = {}
    keeper = keeper_of(library)
    try:
        for source, moments in wanted.items():
            found = moments_of(shadow.sources[source], moments.values(), keeper)
            made |= {place: found[at] for place, at in moments.items() if at in found}
    finally:
        if keeper is not None:
            keeper.close()
    return made


def _still(folder: Path, at: float) -> bytes | None:
    """The picture nearest to a moment, within three seconds of it."""
    found = [p for p in folder.glob("*.jpg") if p.stem.isdigit()]
    near = min(found, key=lambda p: abs(int(p.stem) / 1e9 - at), default=None)
    return near.read_bytes() if near is not None and abs(int(near.stem) / 1e9 - at) <= _NEAR else None


def keeper_of(library: Path | None) -> Keeper | None:
    """What hides in pictures by a library's privacy setting; None: nothing is hidden."""
    if library is None or not (library / "library.sqlite").exists():
        return None
    with closing(open_store(library, create=False, read_only=not os.access(library, os.W_OK))) as store:
        return open_keeper(store, 1)
