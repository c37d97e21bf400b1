"""Distances up to which two are taken for one person, by how often that may be wrong.

``thresholds.json`` holds what was measured on people who are in no report: see benchmarks/identity_fit.py, which writes
it. The rate of a single comparison with a stranger is tabled; with n people enrolled there are n comparisons.
"""

from __future__ import annotations

import json
import math
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

__all__ = ["calibration", "discount", "threshold"]


@cache
def calibration() -> dict[str, Any]:
    """By modality: ``table`` of (rate, distance), ``discount``, and whom it was measured on."""
    text = resources.files(__package__ or "").joinpath("thresholds.json").read_text(encoding="utf-8")
    return json.loads(text)


def discount(modality: str) -> float:
    """The power of unity by which the cosine of means is discounted."""
    return float(calibration()[modality]["discount"])


def threshold(modality: str, rate: float, people: int = 1) -> float:
    """The distance up to which a stranger is taken for any of ``people`` with the probability ``rate``.

    >>> threshold("face", 0.001, 1) > threshold("face", 0.001, 50) > threshold("face", 0.00001, 50)
    True
    """
    single = -math.expm1(math.log1p(-rate) / max(1, people))
    table = calibration()[modality]["table"]
    rates = np.log10([r for r, _ in table])
    return float(np.interp(math.log10(single), rates, [d for _, d in table]))
