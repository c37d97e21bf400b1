"""Fingerprints: what a picture looks like in 64 bits, and how the brightness of its parts goes, four times a second.

The bits are those of Zauner, "Implementation and benchmarking of perceptual image hash functions" (2010): signs of the
8 x 8 lowest frequencies of a 32 x 32 cosine transform, less their median; once of the whole picture and once of its
middle nine tenths, so that a copy cropped at its edges still has bits in common with the original. They find the same
scene. The brightness of 4 x 4 parts, to a 64th of a level, tells two recordings of one still scene from one recording
copied.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onlooker.core.errors import StoreError
from onlooker.core.media import UInt8Array

__all__ = ["RATE", "ROW", "Series", "dump", "fingerprint", "load"]

RATE = 4
"""Fingerprints a second."""
ROW = np.dtype([("milliseconds", "<u4"), ("bits", "<u8", (2,)), ("parts", "<u2", (16,)), ("plain", "?")])
"""One fingerprint; ``plain``: too little is seen for the bits to mean anything."""
_BORDER = 20


def _cosines() -> NDArray[np.float32]:
    """(8, 32) cosine transform of type 2 for frequencies 1 to 8."""
    k, n = np.arange(1, 9)[:, None], np.arange(32)[None]
    return np.cos(np.pi * k * (2 * n + 1) / 64).astype(np.float32)


_DCT = _cosines()


def _means(grey: UInt8Array, rows: int, columns: int) -> NDArray[np.float32]:
    """(rows, columns) means of the parts of a picture, weighted so that any size is cut evenly."""
    height, width = grey.shape
    means = _weights(height, rows) @ grey.astype(np.float32) @ _weights(width, columns).T
    return means.astype(np.float32)


_cache: dict[tuple[int, int], NDArray[np.float32]] = {}


def _weights(size: int, parts: int) -> NDArray[np.float32]:
    """(parts, size): share of each sample in each part's mean."""
    key = (size, parts)
    if key not in _cache:
        edges = np.linspace(0, size, parts + 1)
        samples = np.arange(size)
        inside = np.minimum(edges[1:, None], samples + 1) - np.maximum(edges[:-1, None], samples)
        _cache[key] = (np.maximum(inside, 0) * parts / size).astype(np.float32)
    return _cache[key]


def _uncropped(grey: UInt8Array) -> UInt8Array:
    """The picture without black borders."""
    rows, columns = np.flatnonzero(grey.max(1) > _BORDER), np.flatnonzero(grey.max(0) > _BORDER)
    if len(rows) < 16 or len(columns) < 16:
        return grey
    return grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def fingerprint(milliseconds: int, grey: UInt8Array) -> NDArray[np.void]:
    """One row of `ROW` for a small grey picture."""
    inside = _uncropped(grey)
    height, width = inside.shape
    middle = inside[height // 20 : height - height // 20, width // 20 : width - width // 20]
    bits, strength = zip(*(_bits(part) for part in (inside, middle)), strict=True)
    parts = np.round(_means(inside, 4, 4).ravel() * 64).astype(np.uint16)
    row = np.zeros(1, ROW)
    row["milliseconds"], row["bits"], row["parts"] = milliseconds, bits, parts
    row["plain"] = strength[0] < 250
    return row


def _bits(grey: UInt8Array) -> tuple[int, float]:
    """The 64 bits, and the largest of the frequencies that they are signs of."""
    low = _DCT @ _means(grey, 32, 32) @ _DCT.T
    return int(np.packbits((low > np.median(low)).ravel(), bitorder="little").view("<u8")[0]), float(np.abs(low).max())


@dataclass(frozen=True)
class Series:
    """The fingerprints of one source, those that say something only.

    Args:
        source: its id.
        times: (n,) seconds, growing.
        bits: (n, 2) uint64, of the whole picture and of its middle.
        parts: (n, 16) brightness in 64ths of a level.
    """

    source: str
    times: NDArray[np.float64]
    bits: NDArray[np.uint64]
    parts: NDArray[np.uint16]

    @classmethod
    def of_rows(cls, source: str, rows: Sequence[NDArray[np.void]]) -> Series:
        """From rows of `ROW` in order of time."""
        joined = np.concatenate(rows) if len(rows) else np.zeros(0, ROW)
        joined = joined[~joined["plain"]]
        times = joined["milliseconds"].astype(np.float64) / 1000
        return cls(source, times, joined["bits"].astype(np.uint64), joined["parts"])

    def __len__(self) -> int:
        return len(self.times)


def dump(rows: NDArray[np.void]) -> bytes:
    """Rows of `ROW` as a file."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, rows, allow_pickle=False)
    return stream.getvalue()


def load(data: bytes, name: str) -> NDArray[np.void]:
    """The rows of a file.

    Raises:
        StoreError: it is damaged.
    """
    hint = "run: onlooker analyze --only duplicates --redo"
    try:
        rows = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except ValueError as error:
        raise StoreError(f"the fingerprint {name} is damaged: {error}", hint=hint) from None
    if rows.dtype != ROW:
        raise StoreError(f"the fingerprint {name} is of another form: {rows.dtype}", hint=hint)
    return rows
