"""The analyzer ``duplicates``; see README.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers.duplicates.config import DuplicatesConfig
from onlooker.analyzers.duplicates.fingerprint import RATE, ROW, Series, dump, fingerprint, load
from onlooker.analyzers.duplicates.match import Index, Match, find_matches
from onlooker.core.analyzer import Analyzer, Context, Needs, Window
from onlooker.core.measurement import Measurement
from onlooker.core.media import Frame, SourceInfo
from onlooker.core.observation import Attachment, Observation, Producer
from onlooker.core.store import Query, Store
from onlooker.core.time import Span, Timestamp

__all__ = ["Duplicates", "find_duplicates", "stored_series"]


class Duplicates(Analyzer[DuplicatesConfig]):
    """Fingerprints of the source, its repeats, and what it shares with other sources of the library."""

    name: ClassVar[str] = "duplicates"
    version: ClassVar[str] = "1"
    emits: ClassVar[tuple[str, ...]] = ("fingerprint", "duplicate")
    Config = DuplicatesConfig
    measurement_fields: ClassVar[frozenset[str] | None] = frozenset()

    def __init__(self, config: DuplicatesConfig) -> None:
        super().__init__(config)
        self._restart("")

    def needs(self) -> Needs:
        """A small grey picture four times a second."""
        return Needs(frames="all", rate=Fraction(RATE), image=((160, 0, "gray"),))

    def open(self, context: Context) -> None:
        """Start without memory."""
        self._restart(context.source.id)

    def _restart(self, source: str) -> None:
        self._source = source
        self._rows: list[NDArray[np.void]] = []
        self._chunk: list[NDArray[np.void]] = []
        self._chunk_start: Timestamp | None = None
        self._end: Timestamp | None = None

    def measure(self, frame: Frame, given: Mapping[str, Measurement]) -> Measurement:
        """One fingerprint as bytes."""
        row = fingerprint(int(frame.time.value * 1000), frame.image(160, 0, "gray"))
        return Measurement(frame.time, frame.duration, np.frombuffer(row.tobytes(), np.uint8))

    def analyze(self, window: Window) -> Iterable[Observation]:
        """A fingerprint file for each stretch that is complete."""
        made: list[Observation] = []
        for m in window.measurements:
            if self._chunk_start is not None and m.time - self._chunk_start >= self.config.chunk_seconds:
                made.append(self._file(m.time))
            if self._chunk_start is None:
                self._chunk_start = m.time
            self._chunk.append(np.frombuffer(m.values.tobytes(), ROW))
            self._end = m.time + m.duration
        return made

    def _file(self, end: Timestamp) -> Observation:
        """What was gathered, up to ``end``, as a file."""
        assert self._chunk_start is not None
        rows = np.concatenate(self._chunk)
        span = Span(self._chunk_start, max(end, self._chunk_start))
        name = f"fingerprints/{int(self._chunk_start.value * 1000):012d}.npy"
        if self.config.repeats:
            self._rows.append(rows)
        self._chunk, self._chunk_start = [], None
        file = Attachment(name, dump(rows), "application/octet-stream")
        return Observation(span, "fingerprint", data={"samples": len(rows)}, attachments=(file,))

    def flush(self) -> Iterable[Observation]:
        """The last fingerprint file, and the repeats."""
        made: list[Observation] = []
        if self._chunk_start is not None:
            made.append(self._file(self._end or self._chunk_start))
        series = Series.of_rows(self._source, self._rows)
        self._restart(self._source)
        if not len(series) or not self.config.repeats:
            return made
        repeats = find_matches(Index(series), series, self.config, same=True)
        return made + [_observation(m, self._source) for m in repeats]

    def relate(self, store: Store, source: SourceInfo, producer: Producer) -> Iterable[Observation]:
        """The stretches of ``source`` that other sources of the library show too."""
        if not self.config.others:
            return
        yield from find_duplicates(store, source.id, self.config)


def find_duplicates(
    store: Store, source: str | None = None, config: DuplicatesConfig | None = None
) -> Iterator[Observation]:
    """Compare fingerprints that the library holds; nothing is decoded.

    Args:
        store: the library's store.
        source: id of the source whose stretches are looked for in all others, or None for all pairs, each once (the
            observation then speaks of the source that was added later).
        config: limits; the defaults with None.

    Yields:
        ``duplicate`` observations with ``source`` filled in and no producer.
    """
    config = config or DuplicatesConfig()
    known = [status.info.id for status in store.sources()]
    wanted = [source] if source is not None else known
    loaded = {i: stored_series(store, i) for i in known} if source is None else {}
    for at, one in enumerate(wanted):
        mine = loaded.get(one) or stored_series(store, one)
        if len(mine) < 2:
            continue
        index = Index(mine)
        for other in known[:at] if source is None else [k for k in known if k != one]:
            theirs = loaded.get(other) or stored_series(store, other)
            for match in find_matches(index, theirs, config):
                # the index holds the source that the observation is about
                turned = Match(
                    match.start + match.offset,
                    match.end + match.offset,
                    -match.offset,
                    match.similarity,
                    match.movement,
                )
                made = _observation(turned, other)
                yield Observation(made.span, made.kind, made.score, made.label, data=made.data, source=one)


def stored_series(store: Store, source: str) -> Series:
    """The fingerprints that the library holds of a source; empty where it has none.

    Raises:
        StoreError: a file is damaged.
    """
    rows: list[NDArray[np.void]] = []
    for observation in store.query(Query(sources=(source,), kinds=("fingerprint",))):
        for name in observation.media:
            path = store.folder / name
            if path.exists():
                rows.append(load(path.read_bytes(), name))
    return Series.of_rows(source, rows)


def _observation(match: Match, other: str) -> Observation:
    start, end = round(match.start * 1000), round(match.end * 1000)
    offset = round(match.offset * 1000)
    millisecond = Fraction(1, 1000)
    data: dict[str, Any] = {
        "other_source": other,
        "other_start_seconds": (start + offset) / 1000,
        "other_end_seconds": (end + offset) / 1000,
        "offset_seconds": offset / 1000,
        "similarity": round(match.similarity, 4),
        "movement": round(match.movement, 4),
    }
    score = round(match.similarity * match.movement, 4)
    span = Span(Timestamp(max(0, start), millisecond), Timestamp(max(0, start, end), millisecond))
    return Observation(span, "duplicate", score=score, data=data)
