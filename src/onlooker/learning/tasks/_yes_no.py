"""Labels that hold side by side, for whole inputs (n, labels) or for each step (n, T, labels)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from onlooker.learning.metrics import told
from onlooker.learning.metrics.calibration import binary_nll, calibration_error, fitted_temperature, sigmoid
from onlooker.learning.metrics.curves import average_precision, best_threshold, roc_auc
from onlooker.learning.metrics.labels import counted_table
from onlooker.learning.task import Array, Calibration, TaskFacts

__all__ = [
    "BinaryLoss",
    "calibrated_labels",
    "decisions",
    "flat",
    "kept_threshold",
    "positive_weights",
    "score_metrics",
    "score_table",
    "scores_of",
    "steps_of",
    "thresholds_of",
]

_LEAST, _MOST = 0.01, 0.99


def positive_weights(counts: Sequence[int], labels: int) -> Tensor:
    """(labels,): how much positives of each weigh: the count of the most frequent over its own, at most 100."""
    held = np.array(counts, np.float64) if counts else np.ones(labels)
    return torch.from_numpy(np.clip(held.max() / np.maximum(held, 1), 1, 100).astype(np.float32))


class BinaryLoss(nn.Module):
    """Binary cross-entropy of logits and labels in 0..1, of the same shape as they are.

    Args:
        weights: (labels,) of positives.
        smoothing: how far labels are drawn towards one half.
        positive, negative: powers of the focal factors of positives and negatives.
    """

    def __init__(self, weights: Tensor, smoothing: float = 0.0, positive: float = 0.0, negative: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("weights", weights, persistent=False)
        self.weights: Tensor
        self.smoothing, self.positive, self.negative = smoothing, positive, negative

    def forward(self, raw: Tensor, values: Tensor) -> Tensor:
        """The loss of each number."""
        raw = raw.float()
        true = values * (1 - self.smoothing) + self.smoothing / 2
        yes, no = -functional.logsigmoid(raw), -functional.logsigmoid(-raw)
        if self.positive:
            yes = yes * torch.sigmoid(-raw).clamp(min=1e-6) ** self.positive
        if self.negative:
            no = no * torch.sigmoid(raw).clamp(min=1e-6) ** self.negative
        return true * yes * self.weights + (1 - true) * no


def flat(values: Array) -> Array:
    """(rows, labels) of (..., labels)."""
    return values.reshape(-1, values.shape[-1])


def steps_of(values: Array, *others: Array) -> tuple[Array, ...]:
    """(steps, labels) of each (n, T, labels), without those behind a row's last, where ``values`` are NaN."""
    there = ~np.isnan(flat(values)[:, 0])
    return tuple(flat(v)[there] for v in (values, *others))


def scores_of(raw: Array, calibration: Calibration) -> NDArray[np.float64]:
    """Calibrated probabilities of logits."""
    return sigmoid(raw / calibration.get("temperature", 1.0))


def thresholds_of(facts: TaskFacts, calibration: Calibration) -> NDArray[np.float64]:
    """(labels,): the threshold of each, one half where it was not calibrated."""
    given = calibration.get("thresholds", {})
    return np.array([given.get(label, 0.5) for label in facts.classes])


def decisions(raw: Array, facts: TaskFacts, calibration: Calibration) -> NDArray[np.bool_]:
    """Which labels are decided for, of the shape of ``raw``."""
    return scores_of(raw, calibration) >= thresholds_of(facts, calibration)


def score_metrics(scores: Array, found: Array, true: Array) -> dict[str, float]:
    """``map``, ``auc``, ``macro_f1``, ``micro_f1`` and ``calibration_error``, those that can be told.

    Args:
        scores: (rows, labels), 0..1.
        found: of the same shape, bool: what was decided for.
        true: of the same shape, bool.
    """
    there = [n for n in range(true.shape[1]) if true[:, n].any()]
    areas = [a for n in there if (a := roc_auc(scores[:, n], true[:, n])) is not None]
    right, total = (found & true).sum(0), found.sum(0) + true.sum(0)
    used = total > 0
    made: dict[str, float | None] = {
        "map": float(np.mean([average_precision(scores[:, n], true[:, n]) or 0.0 for n in there])) if there else None,
        "auc": float(np.mean(areas)) if areas else None,
        "macro_f1": float((2 * right[used] / total[used]).mean()) if used.any() else None,
        "micro_f1": float(2 * right.sum() / total.sum()) if used.any() else None,
        "calibration_error": calibration_error(scores.ravel(), true.ravel()),
    }
    return told(made)


def score_table(scores: Array, found: Array, true: Array, labels: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """By label ``precision``, ``recall``, ``f1``, ``ap`` and ``support``, where told; see `score_metrics`."""
    table = counted_table((found & true).sum(0), found.sum(0), true.sum(0), labels)
    for n, row in enumerate(table.values()):
        row.update(told({"ap": average_precision(scores[:, n], true[:, n])}))
    return table


def kept_threshold(threshold: float) -> float:
    """Within 0.01..0.99, with four digits; never rounded up, so that the score it was chosen by still reaches it."""
    return math.floor(min(max(threshold, _LEAST), _MOST) * 10_000) / 10_000


def calibrated_labels(raw: Array, values: Array, facts: TaskFacts) -> Calibration:
    """The temperature with the least negative log-likelihood, then by label the threshold with the best F1."""
    raw, true = flat(raw), flat(values) > 0.5
    if not len(raw):
        return {}
    temperature = round(fitted_temperature(lambda t: binary_nll(raw / t, true) or 0.0), 4)
    scores = sigmoid(raw / temperature)
    best: dict[str, Any] = {}
    for n, label in enumerate(facts.classes):
        found = best_threshold(scores[:, n], true[:, n])
        if found is not None:
            best[label] = kept_threshold(found[0])
    return {"temperature": temperature, "thresholds": best}
