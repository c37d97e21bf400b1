"""Finds where two series of fingerprints show the same recording.

1. Candidates: samples that share one of four 16-bit bands of their bits vote for the offset between them
   (locality-sensitive hashing with diagonal voting). Only the first of a run of equal bands votes, or still pictures
   would drown everything. Where both series are short, the offsets at which their changes over time correlate best
   are candidates too: they find a piece of a still scene, whose bits hardly change.
2. Each candidate offset is looked at sample by sample: the bits must be near, and stay near.
3. In what is near, the brightness of sixteen parts must go up and down in both alike; this also places the offset
   between samples. A still scene recorded twice is near in 2 and fails here.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers.duplicates.config import DuplicatesConfig
from onlooker.analyzers.duplicates.fingerprint import RATE, Series

__all__ = ["Index", "Match", "find_matches"]

_BANDS, _BITS = 4, 16
_VOTES = 3
_CANDIDATES = 24
_BRIDGE = 8
_TOGETHER = 1.7
_SMOOTH = 5
_SHORT = 6_000_000
_PORTION = 500_000
_WHOLE, _MIDDLE = 0, 1
_VIEWS = ((_WHOLE, _WHOLE), (_WHOLE, _MIDDLE), (_MIDDLE, _WHOLE))


@dataclass(frozen=True)
class Match:
    """The same recording in two places: seconds in the first series, seconds in the second less those in the first,
    mean bits in common 0..1, and correlation of what changes.
    """

    start: float
    end: float
    offset: float
    similarity: float
    movement: float


class Index:
    """Looks up samples of one series by bands of their bits."""

    def __init__(self, series: Series) -> None:
        self.series = series
        self._tables: dict[tuple[int, int], tuple[NDArray[np.int64], NDArray[np.intp]]] = {}
        for view in (_WHOLE, _MIDDLE):
            for band in range(_BANDS):
                keys, at = _changes(series.bits[:, view], band)
                order = np.argsort(keys, kind="stable")
                starts = np.searchsorted(keys[order], np.arange((1 << _BITS) + 1))
                self._tables[view, band] = (starts, at[order])

    def offsets(self, other: Series, *, apart: float | None = None) -> list[float]:
        """Offsets (seconds in the indexed series less seconds in ``other``) with most votes, best first.

        Args:
            other: the series looked up.
            apart: only offsets of at least this many seconds forward (to look for repeats in the same series).
        """
        # votes are counted, not kept: the same picture seen often would make very many of them
        low = int(np.floor((self.series.times[0] - other.times[-1]) * RATE)) - 1
        high = int(np.ceil((self.series.times[-1] - other.times[0]) * RATE)) + 1
        counts = np.zeros(high - low + 1, np.int64)
        for (mine, theirs), band in itertools.product(_VIEWS, range(_BANDS)):
            keys, here = _changes(other.bits[:, theirs], band)
            for offsets in self._votes(mine, band, keys, other.times[here]):
                fit = offsets if apart is None else offsets[offsets >= apart]
                counts += np.bincount(np.round(fit * RATE).astype(np.int64) - low, minlength=len(counts))
        found = _peaks(counts, low)
        if len(self.series) * len(other) <= _SHORT:
            found += [o for o in _alike(self.series, other) if apart is None or o >= apart]
        return sorted(set(found), key=found.index)

    def _votes(
        self, view: int, band: int, keys: NDArray[np.int64], times: NDArray[np.float64]
    ) -> Iterator[NDArray[np.float64]]:
        """Offsets of all samples of the index with these keys from the moments ``times``, in bounded portions."""
        starts, at = self._tables[view, band]
        first, counts = starts[keys], starts[keys + 1] - starts[keys]
        begin = 0
        while begin < len(keys):
            end = begin + max(1, int(np.searchsorted(np.cumsum(counts[begin:]), _PORTION)))
            total = int(counts[begin:end].sum())
            step = np.arange(total) - np.repeat(np.cumsum(counts[begin:end]) - counts[begin:end], counts[begin:end])
            there = at[np.repeat(first[begin:end], counts[begin:end]) + step]
            yield self.series.times[there] - np.repeat(times[begin:end], counts[begin:end])
            begin = end


def _changes(bits: NDArray[np.uint64], band: int) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Keys of one band where they differ from the sample before, and where that is."""
    keys = ((bits >> np.uint64(band * _BITS)) & np.uint64((1 << _BITS) - 1)).astype(np.int64)
    fresh = np.flatnonzero(np.diff(keys, prepend=-1) != 0)
    return keys[fresh], fresh


def _peaks(counts: NDArray[np.int64], low: int) -> list[float]:
    """Offsets in seconds with many votes; ``counts`` by offset in samples, the first of which is ``low``."""
    if not counts.any():
        return []
    low += int(np.flatnonzero(counts)[0])
    counts = np.trim_zeros(counts)
    around = np.convolve(counts, np.ones(3, np.int64), "same")
    # what chance gives: a copy stands out of its neighbourhood
    usual = np.convolve(np.pad(around, 40, mode="reflect" if len(around) > 40 else "edge"), np.ones(81), "valid") / 81
    enough = np.flatnonzero((around >= _VOTES) & (around >= usual + 2 * np.sqrt(usual) + 1))
    order = enough[np.argsort(-around[enough], kind="stable")]
    peaks: list[int] = []
    for at in order:
        if all(abs(int(at) - p) > 2 for p in peaks):
            peaks.append(int(at))
        if len(peaks) == _CANDIDATES:
            break
    return [(p + low) / RATE for p in peaks]


def _alike(series: Series, other: Series) -> list[float]:
    """Offsets at which the quick changes of the two correlate best, by Fourier transform."""
    mine, theirs = (_grid(s) for s in (series, other))
    size = 1 << int(len(mine) + len(theirs) - 1).bit_length()
    product = np.fft.rfft(mine, size, 0) * np.conj(np.fft.rfft(theirs, size, 0))
    fits = np.fft.irfft(product.sum(1), size)
    # lags from -(len(theirs) - 1) on
    fits = np.concatenate([fits[size - len(theirs) + 1 :], fits[: len(mine)]])
    first = float(series.times[0] - other.times[0])
    order = np.argsort(-fits, kind="stable")[: 3 * _CANDIDATES]
    peaks: list[int] = []
    for at in order:
        if all(abs(int(at) - p) > 2 for p in peaks):
            peaks.append(int(at))
    return [first + (p - len(theirs) + 1) / RATE for p in peaks[: _CANDIDATES // 2]]


def _grid(series: Series) -> NDArray[np.float64]:
    """(n, 16) quick changes on a steady grid of `RATE`, strong ones held back."""
    count = int((series.times[-1] - series.times[0]) * RATE) + 1
    times = series.times[0] + np.arange(count) / RATE
    return np.clip(_quick(_at(series, times)), -3 * 64, 3 * 64)


def _at(series: Series, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 16) brightness of the parts between samples."""
    parts = series.parts.astype(np.float64)
    return np.stack([np.interp(times, series.times, parts[:, i]) for i in range(16)], axis=1)


def find_matches(index: Index, other: Series, config: DuplicatesConfig, *, same: bool = False) -> list[Match]:
    """Stretches of ``other`` that the indexed series shows too.

    Args:
        index: the series that is searched.
        other: the series whose stretches are looked for; ``Match.start`` is a time in it.
        config: limits.
        same: both are one source: only repeats further on are looked for.

    Returns:
        Matches in order of start, none of which lies within another of the same stretch of ``other``.
    """
    if len(other) < 2 or len(index.series) < 2:
        return []
    found: list[Match] = []
    for offset in index.offsets(other, apart=config.apart_seconds if same else None):
        found += _along(index.series, other, offset, config)
    found.sort(key=lambda m: (-(m.end - m.start) * m.similarity, m.start, m.offset))
    kept: list[Match] = []
    for match in found:
        if not any(_covers(k, match) for k in kept):
            kept.append(match)
    return sorted(kept, key=lambda m: (m.start, m.offset))


def _covers(kept: Match, match: Match) -> bool:
    """Whether most of ``match`` is in ``kept``, in both places."""
    shared = min(kept.end, match.end) - max(kept.start, match.start)
    there = min(kept.end + kept.offset, match.end + match.offset) - max(
        kept.start + kept.offset, match.start + match.offset
    )
    return min(shared, there) > 0.5 * (match.end - match.start)


def _along(series: Series, other: Series, offset: float, config: DuplicatesConfig) -> list[Match]:
    """Matches at about one offset."""
    distance, there = _distances(series, other, offset)
    near = _steady(distance) <= config.distance
    made: list[Match] = []
    for first, last in _runs(near, other.times):
        if other.times[last] - other.times[first] + 1 / RATE < config.shortest_seconds:
            continue
        part = slice(first, last + 1)
        movement, exact = _movement(series, other, part, offset)
        similarity = 1 - float(distance[part].mean()) / 64
        # people on one path before one camera come near in either, seldom in both
        if movement < config.movement or movement + similarity < _TOGETHER:
            continue
        here = other.times[part]
        # both sides must be seen there
        end = min(float(here[-1]) + 1 / RATE, float(series.times[there[part][-1]]) + 1 / RATE - exact)
        start = max(float(here[0]), -exact)
        if end - start >= config.shortest_seconds:
            made.append(Match(start, end, exact, similarity, movement))
    return made


def _distances(series: Series, other: Series, offset: float) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """For each sample of ``other`` the bits by which the best of the samples about ``offset`` later differs
    (64 where there is none), and which that is.
    """
    wanted = other.times + offset
    nearest = np.searchsorted(series.times, wanted)
    best = np.full(len(wanted), 64.0)
    which = np.zeros(len(wanted), np.intp)
    for step in (-1, 0):
        at = np.clip(nearest + step, 0, len(series) - 1)
        close = np.abs(series.times[at] - wanted) <= 1.2 / RATE
        each = [np.bitwise_count(series.bits[at, mine] ^ other.bits[:, theirs]) for mine, theirs in _VIEWS]
        bits = np.min(each, axis=0).astype(np.float64)
        better = close & (bits < best)
        best[better] = bits[better]
        which[better] = at[better]
    return best, which


def _steady(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Running median."""
    half = _SMOOTH // 2
    padded = np.pad(values, half, mode="edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, _SMOOTH), axis=1)


def _runs(near: NDArray[np.bool_], times: NDArray[np.float64]) -> list[tuple[int, int]]:
    """First and last index of runs, with gaps of up to two seconds bridged."""
    at = np.flatnonzero(near)
    if not len(at):
        return []
    breaks = np.flatnonzero((np.diff(at) > _BRIDGE) | (np.diff(times[at]) > _BRIDGE / RATE))
    firsts, lasts = np.concatenate([[0], breaks + 1]), np.concatenate([breaks, [len(at) - 1]])
    return [(int(at[a]), int(at[b])) for a, b in zip(firsts, lasts, strict=True)]


def _movement(series: Series, other: Series, part: slice, offset: float) -> tuple[float, float]:
    """Correlation of the quick changes over time, and the offset between samples at which it is best."""
    times = other.times[part]
    mine = _quick(other.parts[part].astype(np.float64))
    energy = float(np.square(mine).sum())
    # less than a tenth of a level is coding noise
    if np.sqrt(energy / mine.size) < 0.1 * 64:
        return 0.0, offset
    best = (0.0, offset)
    for step in np.arange(-8, 9) / (8 * RATE):
        wanted = times + offset + step
        theirs = _quick(_at(series, wanted))
        norm = float(np.sqrt(energy * float(np.square(theirs).sum())))
        fit = float((mine * theirs).sum()) / norm if norm > 0 else 0.0
        if fit > best[0]:
            best = (fit, offset + float(step))
    return best


def _quick(parts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values less their running mean over two seconds: two people on one path differ in their steps."""
    half = min(RATE, len(parts) // 2)
    sums = np.pad(np.pad(parts, ((half, half), (0, 0)), mode="edge").cumsum(0), ((1, 0), (0, 0)))
    return parts - (sums[2 * half + 1 :] - sums[: -2 * half - 1]) / (2 * half + 1)
