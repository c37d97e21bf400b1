"""What a run over many sources is given, and what it reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from onlooker.core.store import Failure, Store
from onlooker.pipeline.keeping import OpenKeeper
from onlooker.pipeline.profile import Privacy
from onlooker.pipeline.segments import OpenSource, OpenStore
from onlooker.pipeline.spent import Spent
from onlooker.pipeline.stages import Stage

__all__ = ["RunOptions", "RunReport", "SourceReport"]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a run works with; it travels to worker processes.

    Args:
        folder: the library folder.
        stages: what to run, each after those it needs.
        open_source: ``onlooker.sources.open_source``.
        open_store: ``onlooker.timeline.open_store``.
        redo: forget the stages' earlier results first.
        threads: decoder and model threads of one process; 0 shares the cores evenly.
        privacy: what the library shall not keep from this run on, beside what it does not keep already.
        adopt: makes a library remember ``privacy``, and hides in what it holds already.
        open_keeper: opens what decides, source by source, what is kept.
        relate: whether sources are related to each other (near-duplicates) as each one ends; with several sources it
            is done after all, so that the result does not depend on which ended first.
    """

    folder: Path
    stages: tuple[Stage, ...]
    open_source: OpenSource
    open_store: OpenStore
    redo: bool = False
    threads: int = 0
    relate: bool = True
    privacy: Privacy | None = None
    adopt: Callable[[Store, Privacy], None] | None = None
    open_keeper: OpenKeeper | None = None


@dataclass(frozen=True, slots=True)
class SourceReport:
    """What became of one path. ``source`` is empty where it could not be opened; ``spent`` is the time of each
    analyzer in this process, without segments that other processes measured; ``counted`` is what analyzers counted over
    the whole source, such as looks that were skipped.
    """

    source: str
    path: str
    duration_seconds: float | None
    frames: int
    counts: Mapping[str, int]
    failures: tuple[Failure, ...]
    elapsed_seconds: float
    ran: tuple[str, ...] = ()
    stopped: bool = False
    open: bool = False
    spent: Mapping[str, Spent] = field(default_factory=dict[str, Spent])
    counted: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])

    @property
    def worked(self) -> bool:
        """Whether it was opened, something of it could be read, and at least one analyzer came through."""
        broken = {f.analyzer for f in self.failures if f.stage == "analyze"}
        unread = self.frames == 0 and any(f.stage == "read" for f in self.failures)
        return bool(self.source) and not unread and (not self.ran or any(name not in broken for name in self.ran))

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        return {
            "source": self.source or None,
            "path": self.path,
            "duration_seconds": self.duration_seconds,
            "frames": self.frames,
            "counts": dict(self.counts),
            "failures": [f.as_dict() for f in self.failures],
            "elapsed_seconds": round(self.elapsed_seconds, 3),
            "ran": list(self.ran),
            "analyzers": {name: spent.as_dict() for name, spent in self.spent.items()},
            "counted": {name: dict(counted) for name, counted in self.counted.items()},
        }


@dataclass(frozen=True, slots=True)
class RunReport:
    """What became of a run."""

    sources: tuple[SourceReport, ...]
    elapsed_seconds: float
    stopped: bool = False

    @property
    def exit_code(self) -> int:
        """0 all good, 2 something failed, 3 no source worked, 130 stopped by the user."""
        if self.stopped:
            return 130
        if not any(s.worked for s in self.sources):
            return 3
        return 2 if any(s.failures for s in self.sources) else 0

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        return {
            "sources": [s.as_dict() for s in self.sources],
            "elapsed_seconds": round(self.elapsed_seconds, 3),
            "stopped": self.stopped,
            "exit_code": self.exit_code,
        }
