"""Packed observations: many of one producer, kind, track and stretch of time as columns in one compressed body.

A column keeps its values exactly: numbers in the narrowest type that holds them all (a score that came from a
float32 model takes four bytes, one that was rounded in decimal takes eight), times as ticks of their own time base.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from onlooker.core.errors import StoreError
from onlooker.core.observation import Box, Observation, Producer
from onlooker.core.time import Span, Timestamp
from onlooker.timeline.stores.embedded.codec import clean, data_text, nanoseconds

__all__ = ["DENSE_KINDS", "WINDOW_NS", "DenseRow", "Pack", "dense_row", "is_dense", "pack_rows", "unpack_rows"]

DENSE_KINDS = frozenset({"attention", "face", "motion", "object", "pose"})
"""Kinds of which there may be one or more in every frame."""

WINDOW_NS = 10_000_000_000
"""Length of the stretches of time, aligned to multiples of it, so that an observation's pack is known from it."""

_MAGIC = b"OLD1"
_LIMIT = 2**62


class DenseRow(NamedTuple):
    """One packed observation without what its pack says for all: source, producer, kind, track."""

    start: int
    start_base: Fraction
    end: int
    end_base: Fraction
    ordinal: int
    mark: bytes
    """The first four bytes of the observation's id."""
    score: float | None
    label: str | None
    box: tuple[float, float, float, float] | None
    text: str | None
    data: str | None
    """JSON object, or None where it is empty."""

    @property
    def start_ns(self) -> int:
        """Start in nanoseconds, rounded down."""
        return self.start * self.start_base.numerator * 1_000_000_000 // self.start_base.denominator

    @property
    def end_ns(self) -> int:
        """End in nanoseconds, rounded down."""
        return self.end * self.end_base.numerator * 1_000_000_000 // self.end_base.denominator

    @property
    def span(self) -> Span:
        """The exact span."""
        return Span(Timestamp(self.start, self.start_base), Timestamp(self.end, self.end_base))

    def observation(self, source: str, producer: Producer, kind: str, track: str | None) -> Observation:
        """The whole observation."""
        return Observation(
            span=self.span,
            kind=kind,
            score=self.score,
            label=self.label,
            box=None if self.box is None else Box(*self.box),
            track=track,
            text=self.text,
            data=json.loads(self.data) if self.data else {},
            source=source,
            producer=producer,
            ordinal=self.ordinal,
        )


def is_dense(observation: Observation) -> bool:
    """Whether it is kept packed; decided by the observation alone, so that writing it again finds it there."""
    o = observation
    if o.kind not in DENSE_KINDS or o.vector is not None or o.media or o.attachments:
        return False
    moments = (o.span.start, o.span.end)
    return all(abs(m.pts) < _LIMIT and abs(nanoseconds(m)) < _LIMIT for m in moments) and 0 <= o.ordinal < _LIMIT


def dense_row(observation: Observation) -> DenseRow:
    """The row of a dense observation."""
    o = observation
    score = None if o.score is None or o.score != o.score else float(o.score)
    return DenseRow(
        int(o.span.start.pts),
        o.span.start.time_base,
        int(o.span.end.pts),
        o.span.end.time_base,
        int(o.ordinal),
        bytes.fromhex(o.id[:8]),
        score,
        None if o.label is None else clean(o.label),
        None if o.box is None else (float(o.box[0]), float(o.box[1]), float(o.box[2]), float(o.box[3])),
        None if o.text is None else clean(o.text),
        data_text(o),
    )


# -- columns --


def _narrow(values: NDArray[Any]) -> NDArray[Any]:
    """The same numbers in the smallest type that holds them all."""
    kinds = ("<f2", "<f4") if values.dtype.kind == "f" else ("<i1", "<i2", "<i4")
    for kind in kinds:
        with np.errstate(over="ignore"):
            small = values.astype(kind)
        if ((small.astype(values.dtype) == values) | (values != values)).all():
            return small
    return values


def _put(parts: list[bytes], values: NDArray[Any]) -> str | int | float | None:
    """Append a column, byte planes apart (which compresses better); returns its type, or the one value it has."""
    if len(values) and (values == values[0]).all() and values.dtype.kind == "i":
        return int(values[0])
    small = _narrow(values)
    parts.append(small.view(np.uint8).reshape(len(small), -1).T.tobytes())
    return small.dtype.str


class _Reader:
    def __init__(self, raw: bytes, at: int, count: int) -> None:
        self._raw, self._at, self._count = raw, at, count

    def take(self, form: str | int, wide: str) -> NDArray[Any]:
        if isinstance(form, int):
            return np.full(self._count, form, wide)
        size = np.dtype(form).itemsize
        planes = np.frombuffer(self._raw, np.uint8, size * self._count, self._at).reshape(size, self._count)
        self._at += size * self._count
        return np.ascontiguousarray(planes.T).view(form).reshape(self._count).astype(wide)


def pack_rows(rows: Sequence[DenseRow]) -> bytes:
    """One compressed body; `unpack_rows` gives back equal rows in the same order."""
    bases = {b: i for i, b in enumerate(dict.fromkeys(b for r in rows for b in (r.start_base, r.end_base)))}
    labels = {name: i for i, name in enumerate(dict.fromkeys(r.label for r in rows))}
    start = np.array([r.start for r in rows], "<i8")
    end = np.array([r.end for r in rows], "<i8")
    nothing = (np.nan,) * 4
    boxes = np.array([nothing if r.box is None else r.box for r in rows], "<f8").reshape(len(rows), 4)
    parts: list[bytes] = []
    header = {
        "count": len(rows),
        "bases": [str(b) for b in bases],
        "labels": list(labels),
        "columns": [
            _put(parts, np.diff(start, prepend=np.int64(0))),
            _put(parts, end - start),
            _put(parts, np.array([bases[r.start_base] for r in rows], "<i8")),
            _put(parts, np.array([bases[r.end_base] for r in rows], "<i8")),
            _put(parts, np.array([r.ordinal for r in rows], "<i8")),
            _put(parts, np.array([labels[r.label] for r in rows], "<i8")),
            _put(parts, np.array([np.nan if r.score is None else r.score for r in rows], "<f8")),
            *(_put(parts, np.ascontiguousarray(boxes[:, i])) for i in range(4)),
        ],
        "texts": [r.text for r in rows] if any(r.text is not None for r in rows) else None,
        "data": [r.data for r in rows] if any(r.data is not None for r in rows) else None,
    }
    head = json.dumps(header, separators=(",", ":")).encode()
    return _MAGIC + zlib.compress(b"".join([struct.pack("<I", len(head)), head, *parts]), 1)


@dataclass(frozen=True)
class Pack:
    """The columns of one body, each of ``count`` values."""

    count: int
    bases: list[Fraction]
    labels: list[str | None]
    columns: list[NDArray[Any]]
    texts: list[str | None] | None
    data: list[str | None] | None
    marks: bytes

    @cached_property
    def score(self) -> NDArray[np.float64]:
        """NaN where there is none."""
        return self.columns[6]

    @cached_property
    def label_index(self) -> NDArray[np.int64]:
        """Into `labels`."""
        return self.columns[5]

    def text(self, index: int) -> str | None:
        """The text of one row."""
        return self.texts[index] if self.texts else None

    @cached_property
    def rows(self) -> list[DenseRow]:
        """All rows, in their order."""
        starts, ends, start_bases, end_bases, ordinals, labels, scores, *sides = (c.tolist() for c in self.columns)
        boxes = zip(*sides, strict=True)
        texts, data = self.texts or [None] * self.count, self.data or [None] * self.count
        made = zip(starts, start_bases, ends, end_bases, ordinals, scores, labels, boxes, texts, data, strict=True)
        return [
            DenseRow(
                start,
                self.bases[start_base],
                end,
                self.bases[end_base],
                ordinal,
                self.marks[4 * i : 4 * i + 4],
                None if score != score else score,
                self.labels[label],
                None if box[0] != box[0] else cast("tuple[float, float, float, float]", box),
                text,
                fields,
            )
            for i, (start, start_base, end, end_base, ordinal, score, label, box, text, fields) in enumerate(made)
        ]


def unpack_rows(body: bytes, marks: bytes) -> Pack:
    """The columns of a body.

    Raises:
        StoreError: it is damaged.
    """
    try:
        if body[:4] != _MAGIC:
            raise ValueError("wrong mark")
        raw = zlib.decompress(body[4:])
        (length,) = struct.unpack_from("<I", raw)
        header = json.loads(raw[4 : 4 + length])
        count = int(header["count"])
        reader = _Reader(raw, 4 + length, count)
        forms = header["columns"]
        columns = [reader.take(form, "<i8" if i < 6 else "<f8") for i, form in enumerate(forms)]
        if len(marks) != 4 * count or len(columns) != 11:
            raise ValueError("lengths differ")
    except (ValueError, KeyError, TypeError, struct.error, zlib.error) as error:
        raise StoreError(
            f"packed observations are damaged: {error}", hint="run the analyzer again with --redo"
        ) from error
    columns[0] = np.cumsum(columns[0])
    columns[1] = columns[1] + columns[0]
    bases = [Fraction(b) for b in header["bases"]]
    return Pack(count, bases, header["labels"], columns, header["texts"], header["data"], marks)
