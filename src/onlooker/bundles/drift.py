"""What a bundle's inputs and scores looked like on data that it was not trained on, and whether they still do.

The reference holds, of each statistic, deciles and range over the validation part. Over a window of looks two things
are asked. The *population stability index* (Siddiqi 2006, Credit Risk Scorecards), PSI = sum over bins of
(p - q) ln(p / q), says by how much the distribution has moved: from 0.25 on it counts as a major shift; below
chi-square(bins - 1) at 99.9 % times (1/n + 1/m) it may be chance (Yurdakul and Naranjo 2020, J. Risk Model Validation
14(4)). And since the looks of one scene are alike, so that any steady scene fills few bins, the window's *median* must
lie outside of all that whole samples of the reference had. A shift within that range is not told.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from onlooker.bundles.outputs import Scored
from onlooker.bundles.scores import probabilities
from onlooker.bundles.values import Digest, Part, Words

__all__ = [
    "LEAST_LOOKS",
    "LEAST_SAMPLES",
    "MAJOR",
    "PICTURE",
    "SOUND",
    "Distribution",
    "Moved",
    "Reference",
    "distribution_of",
    "moved",
    "picture_statistics",
    "psi",
    "score_name",
    "score_of",
    "sound_statistics",
]

MAJOR = 0.25
"""PSI from which a shift is a major one."""
LEAST_LOOKS, LEAST_SAMPLES = 30, 20
"""So many a window, and a reference, must have."""
PICTURE = ("brightness", "contrast", "sharpness")
SOUND = ("loudness",)
_BINS = 10
_HALF = 0.5
"""Added to each count, so that no bin is empty."""
_SILENCE = 1e-5
Number = Annotated[float, Field(allow_inf_nan=False)]


class Distribution(Part):
    """Of one statistic over the samples of the reference.

    Attributes:
        edges: limits between the bins, growing.
        shares: of the samples in each bin, one more than edges; they sum to 1.
        low, median, high: least, middle and greatest value of a sample.
    """

    edges: Annotated[tuple[Number, ...], Field(max_length=100)]
    shares: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(min_length=1, max_length=101)]
    low: Number
    median: Number
    high: Number

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.shares) != len(self.edges) + 1 or list(self.edges) != sorted(set(self.edges)):
            raise ValueError("edges: expected growing ones, and one share more")
        if not self.low <= self.median <= self.high or abs(sum(self.shares) - 1) > 1e-3:
            raise ValueError("expected low <= median <= high, and shares that sum to 1")
        return self


class Reference(Part):
    """What inputs and scores looked like on data that was not trained on.

    Attributes:
        split: which part of the dataset.
        dataset: its digest.
        count: samples.
        statistics: by name: ``brightness`` (mean luma, 0..1), ``contrast`` (its deviation), ``sharpness`` (deviation
            of the Laplacian over that of the luma), ``loudness`` (dB of full scale), ``score.OUTPUT`` (highest
            probability).
    """

    split: Words = ""
    dataset: Digest | None = None
    count: Annotated[int, Field(ge=1)]
    statistics: dict[str, Distribution]


@dataclass(frozen=True, slots=True)
class Moved:
    """A statistic that has drifted.

    Args:
        name: of the statistic.
        psi: how far.
        median: of the window.
        outside: share of its looks outside of the reference's range.
        looks: of the window.
        reference: what it was.
    """

    name: str
    psi: float
    median: float
    outside: float
    looks: int
    reference: Distribution


def picture_statistics(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(3,): the statistics `PICTURE` of a picture (height, width) or (height, width, 1 or 3) of bytes.

    >>> [round(float(n), 2) for n in picture_statistics(np.full((8, 8, 3), 51, np.uint8))]
    [0.2, 0.0, 0.0]
    """
    pixels = picture.astype(np.float32) / 255
    luma = pixels if pixels.ndim == 2 else pixels.mean(-1)
    contrast = float(luma.std())
    middle = luma[1:-1, 1:-1]
    laplacian = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * middle
    sharpness = float(laplacian.std()) / contrast if contrast > 1e-3 and laplacian.size else 0.0
    return np.array([float(luma.mean()), contrast, sharpness], np.float32)


def sound_statistics(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """(1,): the statistics `SOUND` of mono samples in -1..1."""
    power = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0
    return np.array([20 * math.log10(max(power, _SILENCE))], np.float32)


def score_name(output: str) -> str:
    """Of the statistic of an output's scores."""
    return f"score.{output}"


def score_of(output: Scored, values: NDArray[np.float32]) -> float:
    """The highest probability of one look's numbers; of outputs with steps, over all of them."""
    rows = values.reshape(-1, output.size)
    return max(float(probabilities(output, row).max()) for row in rows)


def distribution_of(values: Sequence[float]) -> Distribution:
    """The distribution of one value for each sample."""
    array = np.asarray(values, np.float64)
    edges = np.unique(np.quantile(array, np.arange(1, _BINS) / _BINS).round(6))
    counts = np.bincount(np.searchsorted(edges, array, side="right"), minlength=len(edges) + 1)
    low, middle, high = float(array.min()), float(np.median(array)), float(array.max())
    return Distribution(
        edges=tuple(edges.tolist()),
        shares=tuple((counts / len(array)).tolist()),
        low=round(low, 6), median=min(max(round(middle, 6), round(low, 6)), round(high, 6)), high=round(high, 6),
    )  # fmt: skip


def psi(reference: Distribution, count: int, values: NDArray[np.float64]) -> float:
    """The population stability index of values against a reference of ``count`` samples.

    >>> same = distribution_of([float(n) for n in range(100)])
    >>> psi(same, 100, np.arange(100.0)) < 0.01, psi(same, 100, np.arange(100.0) + 90) > 1
    (True, True)
    """
    bins = len(reference.shares)
    found = np.bincount(np.searchsorted(reference.edges, values, side="right"), minlength=bins)
    p = (found + _HALF) / (len(values) + _HALF * bins)
    q = (np.asarray(reference.shares) * count + _HALF) / (count + _HALF * bins)
    return float(np.sum((p - q) * np.log(p / q)))


def chance(bins: int, looks: int, count: int) -> float:
    """PSI that chance alone exceeds once in a thousand times; chi-square by Wilson and Hilferty (1931)."""
    free = max(1, bins - 1)
    quantile = free * (1 - 2 / (9 * free) + 3.0902 * math.sqrt(2 / (9 * free))) ** 3
    return quantile * (1 / looks + 1 / count)


def moved(reference: Reference, window: Mapping[str, Sequence[float]]) -> list[Moved]:
    """The statistics of a window of looks that have drifted; see the module.

    Args:
        reference: of the bundle.
        window: by name, a value for each look.
    """
    made: list[Moved] = []
    for name, known in reference.statistics.items():
        values = np.asarray(window.get(name, ()), np.float64)
        if len(values) < LEAST_LOOKS:
            continue
        median = float(np.median(values))
        if known.low <= median <= known.high:
            continue
        index = psi(known, reference.count, values)
        if index >= max(MAJOR, chance(len(known.shares), len(values), reference.count)):
            outside = float(((values < known.low) | (values > known.high)).mean())
            made.append(Moved(name, index, median, outside, len(values), known))
    return made
