"""Scores of labels from what a network gave."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onlooker.bundles.outputs import Classification, MultiLabel, Ordinal, Scored

__all__ = ["exclusive", "probabilities"]

Floats = NDArray[np.float64]


def probabilities(output: Scored, values: NDArray[np.float32]) -> Floats:
    """(labels,) probabilities of one moment's numbers, calibrated by the temperature.

    >>> output = Classification(task="classification", name="light", tensor="y", labels=("red", "green"))
    >>> probabilities(output, np.zeros(2, np.float32)).tolist()
    [0.5, 0.5]
    """
    numbers = values.astype(np.float64)
    if output.activation == "none":
        return np.clip(numbers, 0.0, 1.0)
    numbers = numbers / output.temperature
    if output.activation == "softmax":
        powers = np.exp(numbers - numbers.max())
        return powers / powers.sum()
    above = 1 / (1 + np.exp(-np.clip(numbers, -60, 60)))
    if output.activation == "sigmoid":
        return above
    # higher than a level is never more probable than higher than the one below it
    above = np.concatenate([[1.0], np.minimum.accumulate(above), [0.0]])
    return above[:-1] - above[1:]


def exclusive(output: Scored, scores: Floats) -> int | None:
    """The one label that holds, where only one can: the most probable class, the middle level; None: any may hold."""
    if isinstance(output, Ordinal):
        return int((np.cumsum(scores) < scores.sum() / 2).sum())
    if isinstance(output, Classification) or (not isinstance(output, MultiLabel) and output.activation == "softmax"):
        return int(scores.argmax())
    return None
