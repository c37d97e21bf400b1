"""Probabilities from raw numbers, how well they are calibrated, and what calibrates them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Reliability",
    "binary_nll",
    "calibration_error",
    "fitted_temperature",
    "log_softmax",
    "nll",
    "reliability",
    "sigmoid",
    "softmax",
]

Array = NDArray[Any]
_LEAST, _MOST = 0.05, 20.0


def log_softmax(raw: Array) -> NDArray[np.float64]:
    """Logarithms of probabilities over the last axis."""
    shifted = raw - raw.max(-1, keepdims=True).astype(np.float64)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def softmax(raw: Array) -> NDArray[np.float64]:
    """Probabilities over the last axis."""
    return np.exp(log_softmax(raw))


def sigmoid(raw: Array) -> NDArray[np.float64]:
    """Probability of each number by itself."""
    return 0.5 * (1 + np.tanh(0.5 * raw.astype(np.float64)))


def nll(raw: Array, true: Array) -> float | None:
    """Mean negative log-likelihood of the true classes (n,) under logits (n, classes)."""
    if not len(true):
        return None
    return float(0.0 - np.take_along_axis(log_softmax(raw), true.astype(np.int64)[:, None], 1).mean())


def binary_nll(raw: Array, positive: Array) -> float | None:
    """Mean negative log-likelihood of yes or no under logits of the same shape."""
    if not raw.size:
        return None
    numbers = raw.astype(np.float64)
    return float((np.logaddexp(0, numbers) - numbers * positive).mean())


class Reliability(NamedTuple):
    """How confident decisions were and how often they were right, by bins of equal width.

    Args:
        counts: (bins,): decisions.
        confidence: (bins,): their mean confidence, 0 where there are none.
        accuracy: (bins,): their share that was right, 0 where there are none.
    """

    counts: Array
    confidence: Array
    accuracy: Array


def reliability(confidence: Array, right: Array, bins: int = 15) -> Reliability:
    """The diagram of Guo et al. 2017, arXiv 1706.04599.

    Args:
        confidence: (n,), 0..1.
        right: (n,), bool or 0 and 1.
        bins: how many, of equal width.
    """
    number = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    counts = np.bincount(number, minlength=bins)
    held = np.maximum(counts, 1)
    mean = np.bincount(number, confidence, minlength=bins) / held
    return Reliability(counts, mean, np.bincount(number, right.astype(np.float64), minlength=bins) / held)


def calibration_error(confidence: Array, right: Array, bins: int = 15) -> float | None:
    """Expected calibration error: mean distance of confidence and accuracy over bins, weighted by their decisions.

    >>> calibration_error(np.array([0.75, 0.75]), np.array([1, 0]))
    0.25
    """
    if not len(confidence):
        return None
    counts, mean, share = reliability(confidence, right, bins)
    return float((counts * np.abs(mean - share)).sum() / counts.sum())


def fitted_temperature(loss: Callable[[float], float]) -> float:
    """The temperature between 0.05 and 20 with the least loss, to 0.1 %.

    Temperature scaling: Guo et al. 2017, arXiv 1706.04599. The negative log-likelihood is convex in 1 / temperature,
    so that golden-section search on its logarithm finds the least one. Never worse than 1.

    Args:
        loss: mean negative log-likelihood at a temperature.
    """
    golden = (5**0.5 - 1) / 2
    low, high = np.log(_LEAST), np.log(_MOST)
    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = loss(float(np.exp(left))), loss(float(np.exp(right)))
    while high - low > 1e-3:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - golden * (high - low)
            at_left = loss(float(np.exp(left)))
        else:
            low, left, at_left = left, right, at_right
            right = low + golden * (high - low)
            at_right = loss(float(np.exp(right)))
    found = float(np.exp((low + high) / 2))
    return found if loss(found) <= loss(1.0) else 1.0
