"""The Python API: open a library, analyse into it, and work with what is known.

>>> from onlooker import Library                                       # doctest: +SKIP
>>> with Library.open("lib") as library:                               # doctest: +SKIP
...     library.analyze(["talk.mp4"], only=["shots"])
...     for shot in library.observations(kind="shot"):
...         print(shot.span.start, shot.data["transition"])
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from onlooker.core.errors import UsageError
from onlooker.core.observation import Observation
from onlooker.core.store import Failure, Hit, Query, SourceStatus, Store
from onlooker.core.time import Span, Timestamp

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

    from onlooker.core.analyzer import Quality
    from onlooker.people import People
    from onlooker.pipeline.plan import Plan
    from onlooker.pipeline.profile import Privacy
    from onlooker.pipeline.run_local import RunOptions, RunReport
    from onlooker.pipeline.run_source import Progress
    from onlooker.pipeline.stages import Stage

__all__ = ["Library", "analyze", "run_options"]

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
_FAR = Fraction(10**9)


def run_options(
    folder: str | os.PathLike[str],
    *,
    profile: str | os.PathLike[str] = "default",
    only: Sequence[str] = (),
    quality: Quality | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    redo: bool = False,
) -> RunOptions:
    """What a run works with, from names and settings.

    Args:
        folder: the library folder.
        profile: name of a profile or path of a YAML file.
        only: analyzers to restrict the run to (what they need is added).
        quality: overrides the profile's.
        settings: by analyzer name, settings that override the profile's.
        redo: forget earlier results first.

    Raises:
        ConfigError, UsageError: a name or a setting is wrong.
    """
    from onlooker.pipeline.profile import load_profile
    from onlooker.pipeline.run_local import RunOptions
    from onlooker.pipeline.stages import select_stages
    from onlooker.redaction.policy import adopt, open_keeper
    from onlooker.sources import open_source
    from onlooker.timeline import open_store

    chosen = load_profile(os.fspath(profile))
    merged: dict[str, dict[str, Any]] = {name: dict(own or {}) for name, own in chosen.analyzers.items()}
    for name, own in (settings or {}).items():
        merged.setdefault(name, {}).update(own)
    names = only or tuple(merged)
    policy = _policy(Path(folder), chosen.privacy)
    if policy is not None and not policy.best_shots:
        merged.setdefault("faces", {}).setdefault("best_shot", False)
    stages = select_stages(merged, quality or chosen.quality, names)
    if policy is not None and not policy.keep_embeddings:
        stages = [_without_vectors(stage) for stage in stages]
    return RunOptions(
        Path(folder),
        tuple(stages),
        open_source,
        open_store,
        redo=redo,
        privacy=chosen.privacy,
        adopt=adopt,
        open_keeper=open_keeper,
    )


def _policy(folder: Path, privacy: Privacy | None) -> Privacy | None:
    """What the library will not keep in a run with this setting."""
    from onlooker.redaction.policy import library_policy
    from onlooker.timeline import open_store

    if not (folder / "library.sqlite").exists():
        return privacy
    store = open_store(folder, create=False, read_only=not os.access(folder, os.W_OK))
    try:
        known = library_policy(store)
    finally:
        store.close()
    return privacy if known is None else known if privacy is None else known.joined(privacy)


def _without_vectors(stage: Stage) -> Stage:
    """Measurements that vectors of faces or voices can be made of again do not outlive the run."""
    return replace(stage, needs=replace(stage.needs, keep="run")) if "embedding" in stage.emits else stage


class Library:
    """A folder that holds what is known of a set of sources. Use it as a context manager, or call `close`.

    Attributes:
        store: the store behind it, for what this class does not offer.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    @classmethod
    def open(cls, folder: str | os.PathLike[str], *, create: bool = True, read_only: bool = False) -> Library:
        """Open a library, making it if there is none.

        Raises:
            StoreError: it cannot be opened; StoreTooNew: it was written by a newer onlooker.
        """
        from onlooker.timeline import open_store

        return cls(open_store(Path(folder), create=create, read_only=read_only))

    def __enter__(self) -> Library:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the store; a second call does nothing."""
        self.store.close()

    @property
    def folder(self) -> Path:
        """The library folder."""
        return self.store.folder

    def analyze(
        self,
        paths: Paths,
        *,
        profile: str | os.PathLike[str] = "default",
        only: Sequence[str] = (),
        quality: Quality | None = None,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        workers: int | None = None,
        redo: bool = False,
        progress: Callable[[Progress], None] | None = None,
        stop: threading.Event | None = None,
    ) -> RunReport:
        """Analyse files, folders, globs or addresses into this library; what is done already is not done again.

        Returns:
            A report with one entry for each source and the ``exit_code`` of the command line.
        """
        from onlooker.pipeline.run_local import analyze_paths
        from onlooker.sources import expand_inputs

        options = run_options(self.folder, profile=profile, only=only, quality=quality, settings=settings, redo=redo)
        return analyze_paths(expand_inputs(_texts(paths)), options, workers=workers, progress=progress, stop=stop)

    def plan(self, paths: Paths, **options: Any) -> list[Plan | Failure]:
        """What `analyze` with the same options would do, without doing it."""
        from onlooker.pipeline.run_local import plan_paths
        from onlooker.sources import expand_inputs

        return plan_paths(expand_inputs(_texts(paths)), run_options(self.folder, **options))

    @property
    def people(self) -> People:
        """Who is who: enrol, name, correct, forget."""
        from onlooker.people import People

        return People(self.store)

    def sources(self) -> list[SourceStatus]:
        """All sources, in the order in which they were added."""
        return self.store.sources()

    def failures(self, source: str | None = None) -> list[Failure]:
        """What could not be looked at."""
        return self.store.failures(None if source is None else self.store.source(source).info.id)

    def observations(
        self,
        *,
        kind: str | Sequence[str] = (),
        label: str | Sequence[str] = (),
        source: str | Sequence[str] = (),
        track: str | Sequence[str] = (),
        start: float | None = None,
        end: float | None = None,
        text: str | None = None,
        min_score: float | None = None,
        limit: int | None = None,
    ) -> Iterator[Observation]:
        """Observations that fit all conditions, in order of source and time.

        Args:
            kind: one or several kinds.
            label: one or several labels.
            source: ids (or beginnings of them), paths or file names.
            track: names of tracks.
            start: seconds; only what lasts beyond this moment.
            end: seconds; only what begins before this moment.
            text: words that must all be found.
            min_score: least score.
            limit: at most that many.
        """
        span = None
        if start is not None or end is not None:
            until = Timestamp.of_seconds(_FAR) if end is None else Timestamp.of_seconds(end)
            span = Span(Timestamp.of_seconds(start or 0.0), until)
        query = Query(
            sources=tuple(self.store.source(s).info.id for s in _names(source)),
            kinds=_names(kind),
            labels=_names(label),
            tracks=_names(track),
            span=span,
            text=text,
            min_score=min_score,
            limit=limit,
        )
        return self.store.query(query)

    def search(self, text: str, *, limit: int = 20, **conditions: Any) -> list[Hit]:
        """Full-text search, best first; ``conditions`` are fields of `Query` (kinds, labels, span, ...)."""
        return self.store.search_text(text, Query(limit=limit, **conditions))

    def to_arrow(self, **conditions: Any) -> pyarrow.Table:
        """Observations as an Arrow table; takes the conditions of `observations`. Needs ``onlooker[arrow]``."""
        from onlooker.timeline.arrow import to_arrow

        return to_arrow(self.observations(**conditions))

    def to_pandas(self, **conditions: Any) -> pandas.DataFrame:
        """Observations as a pandas data frame; needs ``onlooker[pandas]``."""
        _need("pandas")
        return self.to_arrow(**conditions).to_pandas()

    def to_polars(self, **conditions: Any) -> polars.DataFrame:
        """Observations as a Polars data frame; needs ``onlooker[polars]``."""
        _need("polars")
        import polars

        frame = polars.from_arrow(self.to_arrow(**conditions))
        assert isinstance(frame, polars.DataFrame)
        return frame


def analyze(paths: Paths, library: str | os.PathLike[str], **options: Any) -> RunReport:
    """Analyse into the library at that folder; takes the options of `Library.analyze`."""
    with Library.open(library) as opened:
        return opened.analyze(paths, **options)


def _texts(paths: Paths) -> list[str]:
    if isinstance(paths, str | os.PathLike):
        return [os.fspath(paths)]
    return [os.fspath(p) for p in paths]


def _names(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _need(package: str) -> None:
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise UsageError(f"{package} is not installed", hint=f"pip install 'onlooker[{package}]'")
