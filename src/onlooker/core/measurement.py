"""Measurements: what an analyzer's heavy part took from one frame, block or packet.

They are small arrays, packed in chunks for the store, so that the light part with memory can be run again
without decoding.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onlooker.core.errors import StoreError
from onlooker.core.time import Span, Timestamp

__all__ = ["Keep", "Measurement", "pack_measurements", "unpack_measurements"]

_MAGIC = b"OLM1"

Keep: TypeAlias = Literal["always", "run", "values"]
"""How long measurements stay in the library: for good, until their run is finished, or from then on without blobs."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was measured at one moment.

    Args:
        time: the frame's, block's or packet's time.
        duration: its duration in seconds.
        values: any array; the dtype and all dimensions but the first must be the same in all measurements
            of one analyzer (detections: (n, 6), a feature: (64,)).
        blob: bytes that go with it (a JPEG candidate), or None.
    """

    time: Timestamp
    duration: Fraction
    values: NDArray[Any]
    blob: bytes | None = None

    @property
    def span(self) -> Span:
        """The stretch of time that it stands for."""
        return Span(self.time, self.time + self.duration)


def _time_base(measurements: Sequence[Measurement]) -> int:
    denominator = 1
    for m in measurements:
        for value in (m.time.value, m.duration):
            d = value.denominator
            if denominator % d:
                denominator = denominator * d // np.gcd(denominator, d).item()
    return denominator


def pack_measurements(measurements: Sequence[Measurement]) -> bytes:
    """One compressed chunk; `unpack_measurements` gives back equal values.

    Raises:
        ValueError: dtypes or trailing dimensions differ.

    >>> m = Measurement(Timestamp(1, Fraction(1, 25)), Fraction(1, 25), np.arange(3))
    >>> [u.time == m.time for u in unpack_measurements(pack_measurements([m]))]
    [True]
    """
    if not measurements:
        return _MAGIC + zlib.compress(b"")
    first = measurements[0].values
    for m in measurements:
        if m.values.dtype != first.dtype or m.values.shape[1:] != first.shape[1:] or m.values.ndim != first.ndim:
            raise ValueError(
                f"values: expected {first.dtype} {first.shape} in every measurement of one analyzer,"
                f" got {m.values.dtype} {m.values.shape}"
            )
    denominator = _time_base(measurements)
    rows = np.array([m.values.shape[0] if m.values.ndim else -1 for m in measurements], np.int64)
    times = [int(m.time.value * denominator) for m in measurements]
    durations = [int(m.duration * denominator) for m in measurements]
    flat = [np.ascontiguousarray(m.values).reshape(-1) for m in measurements]
    stream = io.BytesIO()
    arrays = {
        "rows": rows,
        "times": np.array(times, np.int64),
        "durations": np.array(durations, np.int64),
        "tail": np.array(first.shape[1:], np.int64),
        "values": np.concatenate(flat) if flat else first.reshape(-1),
        "blobs": np.array([-1 if m.blob is None else len(m.blob) for m in measurements], np.int64),
    }
    stream.write(struct.pack("<Q", denominator))
    for name in arrays:
        np.lib.format.write_array(stream, arrays[name], allow_pickle=False)
    for m in measurements:
        stream.write(m.blob or b"")
    return _MAGIC + zlib.compress(stream.getvalue(), 1)


def unpack_measurements(chunk: bytes) -> Iterable[Measurement]:
    """The measurements of one chunk, in order.

    Raises:
        StoreError: the chunk is damaged.
    """
    if chunk[:4] != _MAGIC:
        raise StoreError("a chunk of measurements is damaged: wrong mark", hint="run the analyzer again with --redo")
    try:
        raw = zlib.decompress(chunk[4:])
    except zlib.error as error:
        raise StoreError(f"a chunk of measurements is damaged: {error}") from None
    if not raw:
        return
    stream = io.BytesIO(raw)
    (denominator,) = struct.unpack("<Q", stream.read(8))
    rows, times, durations, tail, values, blobs = (
        np.lib.format.read_array(stream, allow_pickle=False) for _ in range(6)
    )
    base = Fraction(1, int(denominator))
    shape_tail = tuple(int(n) for n in tail)
    width = int(np.prod(shape_tail)) if shape_tail else 1
    at = 0
    for row, time, duration, blob in zip(rows, times, durations, blobs, strict=True):
        count = width * int(row) if row >= 0 else 1
        part = values[at : at + count]
        at += count
        shaped = part.reshape((int(row), *shape_tail)) if row >= 0 else part.reshape(())
        data = stream.read(int(blob)) if blob >= 0 else None
        yield Measurement(Timestamp(int(time), base), int(duration) * base, shaped, data)
