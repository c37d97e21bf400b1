"""The store protocol: what a library is kept in. The embedded one is in ``onlooker.timeline``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from onlooker.core.measurement import Keep, Measurement
from onlooker.core.media import SourceInfo
from onlooker.core.observation import Attachment, Json, Observation, Producer
from onlooker.core.time import Span, Timestamp

__all__ = ["Batch", "Failure", "Hit", "Query", "RunState", "SourceStatus", "Store"]


@dataclass(frozen=True, slots=True)
class Failure:
    """A stretch that could not be looked at, which is not the same as nothing found there.

    Args:
        source: the source's id, or its path where it could not even be opened.
        stage: ``open``, ``read``, or ``analyze``.
        message: what happened.
        span: where, or None for the whole source.
        analyzer: which analyzer failed, or None where the source itself did.
        retryable: whether trying again can help.
    """

    source: str
    stage: Literal["open", "read", "analyze"]
    message: str
    span: Span | None = None
    analyzer: str | None = None
    retryable: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        return {
            "stage": self.stage,
            "analyzer": self.analyzer,
            "message": self.message,
            "start_seconds": None if self.span is None else round(self.span.start.seconds, 6),
            "end_seconds": None if self.span is None else round(self.span.end.seconds, 6),
            "retryable": self.retryable,
        }


@dataclass(frozen=True, slots=True)
class RunState:
    """How far one producer got on one source.

    Args:
        position: everything before this moment is committed; None: nothing yet.
        complete: whether the source was analysed to its end.
        frames: frames that were read up to ``position``.
        seconds: time spent so far.
    """

    producer: Producer
    position: Timestamp | None = None
    complete: bool = False
    frames: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Batch:
    """What is committed together: all of it or nothing.

    Observations are complete (``source``, ``producer``, ``ordinal`` filled in); writing one that is there
    already changes nothing. ``measurements`` go with their producer. ``states`` replace the stored ones.
    ``erases``: what fits of the source is erased first (see `Store.erase`), so that observations take the place of
    others without a moment in between.
    """

    source: str
    observations: Sequence[Observation] = ()
    measurements: Sequence[tuple[Producer, Sequence[Measurement], Keep]] = ()
    failures: Sequence[Failure] = ()
    states: Sequence[RunState] = ()
    erases: Query | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """Which observations. All given conditions must hold; tuples mean any of.

    Args:
        span: overlapping this stretch.
        track: names of tracks.
        min_score, max_score: inclusive.
        text: words, all of which must stand in the observation's text or label; Chinese of two or more
            characters is found inside longer text.
        order: ``time`` (by source, start) or ``score`` (best first) .
        limit: at most that many; None for all.
        offset: skip that many.
    """

    sources: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    tracks: tuple[str, ...] = ()
    analyzers: tuple[str, ...] = ()
    span: Span | None = None
    min_score: float | None = None
    max_score: float | None = None
    text: str | None = None
    order: Literal["time", "score"] = "time"
    limit: int | None = None
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Hit:
    """A search result: ``score`` is higher for better; comparable within one search only."""

    observation: Observation
    score: float


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """A source as the store knows it: ``paths`` are all the places where it was seen."""

    info: SourceInfo
    paths: tuple[str, ...]
    states: tuple[RunState, ...] = field(default_factory=tuple)


class Store(Protocol):
    """A library's store. Several processes may write at once; readers never block a writer.

    Visibility: for each source and analyzer, readers see one producer: the newest complete one, or, while
    there is none, the one under way; of a live source all that are, since each saw another stretch. Completing a
    newer producer of the same analyzer removes the older one's observations and measurements in the same transaction.
    """

    @property
    def folder(self) -> Path:
        """The library folder; media lie in ``folder / "media" / <source id>``."""
        ...

    def add_source(self, info: SourceInfo) -> None:
        """Make a source known, or add another path under which it is seen."""
        ...

    def sources(self) -> list[SourceStatus]:
        """All sources, in the order in which they were added."""
        ...

    def source(self, ref: str) -> SourceStatus:
        """The source whose id starts with ``ref``, or whose path or file name is ``ref``.

        Raises:
            UsageError: none or several.
        """
        ...

    def remove_source(self, source: str) -> None:
        """Delete a source and all that is stored of it, media included."""
        ...

    def cached_id(self, path: str, size: int, modified_ns: int) -> str | None:
        """The content digest of a file that was seen before with this size and time, or None."""
        ...

    def cache_id(self, path: str, size: int, modified_ns: int, source: str) -> None:
        """Remember a file's content digest."""
        ...

    def commit(self, batch: Batch) -> None:
        """Write a batch in one transaction.

        Raises:
            StoreError: disk full, read-only, damaged.
            StoreBusy: others wrote for too long.
        """
        ...

    def put_media(self, source: str, attachment: Attachment) -> str:
        """Write a derived file beside the source, replacing one of the same name whole or not at all.

        An observation committed with ``attachments`` has them written the same way.

        Returns:
            The path relative to the library folder, to be named in ``Observation.media``.

        Raises:
            UsageError: the name leads out of the source's folder.
            StoreError: disk full, read-only.
        """
        ...

    def states(self, source: str) -> list[RunState]:
        """How far each producer got on ``source``, complete or under way."""
        ...

    def discard(self, source: str, producer: Producer) -> None:
        """Delete all that one producer wrote about one source."""
        ...

    def query(self, query: Query) -> Iterator[Observation]:
        """The visible observations that fit, streamed."""
        ...

    def get(self, observation_id: str) -> Observation:
        """One observation by its id or a unique beginning of it (8 digits or more).

        Raises:
            UsageError: none or several.
        """
        ...

    def counts(self, source: str | None = None) -> Mapping[str, int]:
        """How many visible observations there are of each kind."""
        ...

    def search_text(self, text: str, query: Query) -> list[Hit]:
        """Full-text search, best first, within what ``query`` allows."""
        ...

    def search_vector(self, space: str, vector: NDArray[np.float32], query: Query) -> list[Hit]:
        """Nearest vectors of one space by cosine, best first, within what ``query`` allows."""
        ...

    def measurements(self, source: str, producer: Producer, span: Span | None = None) -> Iterator[Measurement]:
        """Stored measurements in order of time."""
        ...

    def erase(self, query: Query) -> int:
        """Delete the visible observations that fit, dense ones too, with their vectors, words and media, for good.

        Media that other observations of the source still name stay. The measurements from which a stage that is
        decided again would make them stay too: see `edit_measurements`.

        Returns:
            How many there were.

        Raises:
            UsageError: the query has a limit or an offset.
        """
        ...

    def erase_vectors(self, query: Query) -> int:
        """Delete the vectors of the visible observations that fit, for good, and leave the rest of them.

        Returns:
            How many there were.

        Raises:
            UsageError: the query has a limit or an offset.
        """
        ...

    def edit_measurements(self, source: str, analyzer: str, change: Callable[[Measurement], Measurement]) -> int:
        """Replace an analyzer's stored measurements of a source by what ``change`` makes of each, for good.

        ``change`` must leave the time as it is; what it returns as it was given stays.

        Returns:
            How many became others.
        """
        ...

    def scrub(self) -> None:
        """See to it that nothing deleted before is readable in the store's files any more; may rewrite all of them.

        Raises:
            StoreBusy: others are reading or writing.
        """
        ...

    def failures(self, source: str | None = None) -> list[Failure]:
        """Recorded failures."""
        ...

    def clear_failures(self, source: str, analyzers: Iterable[str | None]) -> None:
        """Forget the failures of these analyzers (None: of the source itself) before they are tried again."""
        ...

    def records(self, collection: str) -> Mapping[str, Json]:
        """The library's own small documents (people, corrections, ...) of one collection, by key."""
        ...

    def put_records(self, collection: str, values: Mapping[str, Json]) -> None:
        """Replace records of a collection, all of them or none; None deletes one for good.

        Raises:
            StoreError: disk full, read-only.
        """
        ...

    def retain(self, *, older_than_seconds: Fraction | None = None, max_bytes: int | None = None) -> int:
        """Delete sources added longer ago, then the oldest until the media and rows fit; returns how many."""
        ...

    def close(self) -> None:
        """Close; a second call does nothing."""
        ...
