"""Which samples show or sound nearly the same.

Pictures are compared by a perceptual hash (signs of the 8 x 8 lowest frequencies of a 32 x 32 cosine transform: Zauner,
"Implementation and benchmarking of perceptual image hash functions", 2010) and by the correlation of 16 x 16 grey
thumbnails; both must agree. Of a video five frames are looked at. Sounds are compared by the correlation of their
spectra over time: 32 bands, 32 moments.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from onlooker.core.errors import OnlookerError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Media, Sample
from onlooker.learning.datasets.media import frames_at, open_picture, read_sound

__all__ = ["Likeness", "Pair", "Prints", "near_pairs", "prints_of"]

_FRAMES = (0.1, 0.3, 0.5, 0.7, 0.9)
_THUMB, _BANDS, _MOMENTS, _SOUND_RATE = 16, 32, 32, 8000
_BLOCK = 2048
_LONGEST_SOUND = 30.0
_PLAIN = 4.0  # levels: below this deviation nothing is seen


@dataclass(frozen=True, slots=True)
class Likeness:
    """Limits.

    Args:
        picture: least correlation of thumbnails.
        bits: most bits of 64 by which hashes differ.
        frames: share of a video's frames that must have a like one.
        sound: least correlation of spectra.
    """

    picture: float = 0.96
    bits: int = 12
    frames: float = 0.6
    sound: float = 0.985


@dataclass(frozen=True, slots=True)
class Pair:
    """Two samples, by their places, that are nearly the same; ``score`` is their correlation."""

    first: int
    second: int
    sort: str
    score: float


@dataclass(frozen=True, slots=True)
class Prints:
    """Fingerprints of samples.

    Args:
        owner: int64 (n,): whose thumbnail, by place.
        thumbs: float32 (n, 256) without mean, of length 1.
        bits: uint64 (n,).
        count: by place, how many thumbnails a sample has.
        heard: int64 (m,): whose sound.
        sounds: float32 (m, 1024) without mean, of length 1.
        failures: by place, what could not be looked at.
    """

    owner: NDArray[np.int64]
    thumbs: NDArray[np.float32]
    bits: NDArray[np.uint64]
    count: dict[int, int]
    heard: NDArray[np.int64]
    sounds: NDArray[np.float32]
    failures: dict[int, str]


def _cosines() -> NDArray[np.float32]:
    k, n = np.arange(1, 9)[:, None], np.arange(32)[None]
    return np.cos(np.pi * k * (2 * n + 1) / 64).astype(np.float32)


_DCT = _cosines()


def prints_of(
    dataset: Dataset, samples: Sequence[Sample], progress: Callable[[int, int], None] | None = None
) -> Prints:
    """Fingerprints of samples; the same part of a file is looked at once."""
    owner: list[int] = []
    thumbs: list[NDArray[np.float32]] = []
    bits: list[int] = []
    count: dict[int, int] = {}
    heard: list[int] = []
    sounds: list[NDArray[np.float32]] = []
    failures: dict[int, str] = {}
    for place, sample in enumerate(samples):
        try:
            for thumb, hash in _looks(dataset, sample):
                owner.append(place)
                thumbs.append(thumb)
                bits.append(hash)
                count[place] = count.get(place, 0) + 1
            sound = _sound(dataset, sample) if place not in count else None
            if sound is not None:
                heard.append(place)
                sounds.append(sound)
        except OnlookerError as error:
            failures[place] = error.message
        if progress is not None:
            progress(place + 1, len(samples))
    return Prints(
        np.array(owner, np.int64),
        np.array(thumbs, np.float32).reshape(-1, _THUMB * _THUMB),
        np.array(bits, np.uint64),
        count,
        np.array(heard, np.int64),
        np.array(sounds, np.float32).reshape(-1, _BANDS * _MOMENTS),
        failures,
    )


def _looks(dataset: Dataset, sample: Sample) -> Iterator[tuple[NDArray[np.float32], int]]:
    media = sample.of_kind("image", "video")
    if media is None:
        return
    for grey in _pictures(dataset.path(media), media, sample):
        thumb = _unit(np.asarray(Image.fromarray(grey).resize((_THUMB, _THUMB), Image.Resampling.BOX)), _PLAIN)
        if thumb is not None:
            yield thumb, _hash(grey)


def _pictures(path: Path, media: Media, sample: Sample) -> list[Any]:
    if media.kind == "image":
        image = open_picture(path, "grey")
        image.thumbnail((160, 160), Image.Resampling.BOX)
        return [np.asarray(image)]
    if sample.at is not None:
        moments = [sample.at]
    else:
        start, end = sample.span or (0.0, media.seconds or 0.0)
        moments = [start + (end - start) * f for f in _FRAMES]
    frames = frames_at(path, [Fraction(round(m * 1000), 1000) for m in moments], media)
    return [f.image(160, 0, "gray") for f in frames]


def _hash(grey: Any) -> int:
    small = np.asarray(Image.fromarray(grey).resize((32, 32), Image.Resampling.BOX), np.float32)
    low = _DCT @ small @ _DCT.T
    return int(np.packbits((low > np.median(low)).ravel(), bitorder="little").view("<u8")[0])


def _unit(values: Any, least: float) -> NDArray[np.float32] | None:
    """Without mean and of length 1; None where hardly anything changes."""
    flat = np.asarray(values, np.float32).ravel()
    flat = flat - flat.mean()
    size = float(np.linalg.norm(flat))
    return None if size < least * len(flat) ** 0.5 else flat / size


def _sound(dataset: Dataset, sample: Sample) -> NDArray[np.float32] | None:
    media = sample.of_kind("audio")
    if media is None:
        return None
    start, end = sample.span or (0.0, media.seconds or _LONGEST_SOUND)
    samples = read_sound(dataset.path(media), _SOUND_RATE, 1, start, min(end, start + _LONGEST_SOUND))[:, 0]
    if len(samples) < 512:
        return None
    windows = np.lib.stride_tricks.sliding_window_view(samples, 512)[::128] * np.hanning(512).astype(np.float32)
    power = np.abs(np.fft.rfft(windows, axis=1)) ** 2
    edges = np.unique(np.geomspace(2, 257, _BANDS + 12).astype(int))[-(_BANDS + 1) :]
    bands = np.log10(np.add.reduceat(power, edges[:-1], axis=1)[:, :_BANDS] + 1e-6)
    at = np.linspace(0, len(bands), _MOMENTS + 1).astype(int)
    pooled = np.stack([bands[a : max(b, a + 1)].mean(0) for a, b in itertools.pairwise(at)])
    return _unit(pooled - pooled.mean(0), 0.05)


def near_pairs(prints: Prints, limits: Likeness | None = None) -> list[Pair]:
    """All pairs of samples that are nearly the same, the surest first."""
    limits = limits or Likeness()
    found = [*_seen(prints, limits), *_heard(prints, limits)]
    return sorted(found, key=lambda p: (-p.score, p.first, p.second))


def _blocks(vectors: NDArray[np.float32], least: float) -> Iterator[tuple[Any, Any, Any]]:
    """Rows, columns (greater ones only) and products of at least ``least``, by blocks."""
    for top in range(0, len(vectors), _BLOCK):
        rows = vectors[top : top + _BLOCK]
        for left in range(top, len(vectors), _BLOCK):
            product = rows @ vectors[left : left + _BLOCK].T
            y, x = np.nonzero(product >= least)
            keep = x + left > y + top
            yield y[keep] + top, x[keep] + left, product[y[keep], x[keep]]


def _seen(prints: Prints, limits: Likeness) -> Iterator[Pair]:
    best: dict[tuple[int, int], dict[tuple[int, int], float]] = {}
    for y, x, product in _blocks(prints.thumbs, limits.picture):
        first, second = prints.owner[y], prints.owner[x]
        near = np.bitwise_count(prints.bits[y] ^ prints.bits[x]) <= limits.bits
        for n in np.flatnonzero(near & (first != second)):
            pair = best.setdefault((int(first[n]), int(second[n])), {})
            score = float(product[n])
            for side in ((0, int(y[n])), (1, int(x[n]))):
                pair[side] = max(pair.get(side, 0.0), score)
    for (first, second), sides in best.items():
        shares = [sum(s == side for s, _ in sides) / prints.count[place] for side, place in ((0, first), (1, second))]
        if max(shares) >= limits.frames:
            yield Pair(first, second, "picture", round(max(sides.values()), 4))


def _heard(prints: Prints, limits: Likeness) -> Iterator[Pair]:
    for y, x, product in _blocks(prints.sounds, limits.sound):
        for a, b, score in zip(prints.heard[y], prints.heard[x], product, strict=True):
            yield Pair(int(a), int(b), "sound", round(float(score), 4))
