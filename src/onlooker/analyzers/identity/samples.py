"""Vectors of people: how they are summed up, compared, and written down."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers.identity.config import MODALITIES, Modality
from onlooker.analyzers.identity.thresholds import discount

__all__ = ["MODALITIES", "SPACES", "Modality", "Sample", "decode", "distances", "encode", "mean_sample"]

SPACES: dict[Modality, str] = {"face": "face-identity", "voice": "voice-resemblyzer"}
"""The vector spaces of ``embedding`` observations, by their label."""

Floats: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Sample:
    """A vector of a face or voice: of one picture, one track, or the mean of several.

    Args:
        vector: (d,) of length 1.
        unity: length of the mean of the unit vectors that it was made of: 1 for a single one.
    """

    vector: Floats
    unity: float = 1.0


def mean_sample(samples: Sequence[Sample]) -> Sample:
    """The mean of at least one.

    >>> round(mean_sample([Sample(np.float32([1, 0])), Sample(np.float32([0, 1]))]).unity, 3)
    0.707
    """
    mean = np.mean([s.vector * s.unity for s in samples], axis=0, dtype=np.float64)
    length = float(np.linalg.norm(mean))
    return Sample(np.asarray(mean / max(length, 1e-9), np.float32), length)


def distances(seen: Sequence[Sample], known: Sequence[Sample], modality: Modality) -> NDArray[np.float64]:
    """(seen, known): 0 for the same vector, about 1 for vectors that have nothing in common.

    One less the cosine, discounted where one of both is a mean: what makes single pictures differ cancels out in a
    mean, which is therefore nearer to everybody. With the discount one threshold serves for all
    (benchmarks/identity_fit.py).
    """
    if not seen or not known:
        return np.zeros((len(seen), len(known)))
    cosine = np.stack([s.vector for s in seen]).astype(np.float64) @ np.stack([k.vector for k in known]).T
    unity = np.outer([s.unity for s in seen], [k.unity for k in known])
    return 1.0 - cosine * np.clip(unity, 1e-9, 1.0) ** discount(modality)


def encode(vector: Floats) -> str:
    """The vector as text.

    >>> decode(encode(np.float32([0.5, -1]))).tolist()
    [0.5, -1.0]
    """
    return base64.b64encode(np.asarray(vector, "<f4").tobytes()).decode()


def decode(text: str) -> Floats:
    """The vector of `encode`."""
    return np.frombuffer(base64.b64decode(text), "<f4").astype(np.float32)
