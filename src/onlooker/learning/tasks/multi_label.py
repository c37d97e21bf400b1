"""Any of several labels for the whole input.

Logits (B, labels) from pooled features; binary cross-entropy with the asymmetric focal factors of Ridnik et al. 2021,
arXiv 2009.14119; a temperature and, by label, the threshold with the best F1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from onlooker.learning.datasets.clips import Clip
from onlooker.learning.datasets.manifest import Task
from onlooker.learning.metrics import told
from onlooker.learning.metrics.calibration import binary_nll
from onlooker.learning.network import Features
from onlooker.learning.task import Array, Calibration, Head, Metric, Pool, TaskFacts, pooled
from onlooker.learning.tasks._example import Example
from onlooker.learning.tasks._labels import target_of
from onlooker.learning.tasks._scored import ScoredConfig, layers, scored_output
from onlooker.learning.tasks._yes_no import (
    BinaryLoss,
    calibrated_labels,
    decisions,
    positive_weights,
    score_metrics,
    score_table,
    scores_of,
)

__all__ = ["PART", "Config", "MultiLabel"]


class Config(ScoredConfig):
    """Settings of the head.

    Attributes:
        pool: how steps become one: their mean, the last, or the greatest of each number.
        label_smoothing: how far labels are drawn from 0 and 1 towards one half in training.
        class_weights: ``balanced`` weighs the positives of a label up by how much rarer it is than the most frequent
            one, at most 100 times.
        focal_positive: the loss of positives is weighted by (1 - probability) to this power; 0: not.
        focal_negative: that of negatives by the probability to this power; 0: not.
    """

    head: Literal["multi_label"] = "multi_label"
    pool: Pool = "mean"
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    class_weights: Literal["none", "balanced"] = "none"
    focal_positive: float = Field(default=0.0, ge=0, le=10)
    focal_negative: float = Field(default=0.0, ge=0, le=10)


class MultiLabel(Head):
    """Pooled features (B, T, D) to logits (B, labels); labels are 0 or 1 (n, labels).

    Metrics: ``map``, the mean average precision of the labels that occur; ``auc``, the mean of those that can be told;
    ``macro_f1``, ``micro_f1`` and ``exact_match``, the share of samples with every label right, at the calibrated
    thresholds; ``nll`` and ``calibration_error`` (15 bins) of the calibrated probabilities.
    """

    Config = Config
    kinds: ClassVar[tuple[str, ...]] = ("multi-label",)
    main: ClassVar[Metric] = Metric("map")
    task: ClassVar[str] = "multi_label"

    def __init__(self, config: Config, facts: TaskFacts, size: int, map_size: int | None = None) -> None:
        super().__init__(config, facts, size, map_size)
        self.config = config
        self.answer = layers(config, size, len(facts.classes))
        weights = positive_weights(facts.counts if config.class_weights == "balanced" else (), len(facts.classes))
        self.binary = BinaryLoss(weights, config.label_smoothing, config.focal_positive, config.focal_negative)

    def forward(self, features: Features) -> Tensor:
        """Logits (B, labels)."""
        return self.answer(pooled(features.steps, self.config.pool))

    def loss(self, raw: Tensor, values: Tensor) -> Tensor:
        """(B,): the mean over labels."""
        return self.binary(raw, values).mean(-1)

    @classmethod
    def encode(cls, facts: TaskFacts, config: Config, clips: Sequence[Clip]) -> tuple[Array, NDArray[np.bool_]]:
        """0 or 1 (n, labels) float32."""
        target = target_of(facts, config, clips)
        return target.values, target.known

    @classmethod
    def metrics(cls, raw: Array, values: Array, facts: TaskFacts, calibration: Calibration) -> dict[str, float]:
        """See the class; ``raw`` and ``values`` (n, labels)."""
        if not len(raw):
            return {}
        found, true = decisions(raw, facts, calibration), values > 0.5
        made = score_metrics(scores_of(raw, calibration), found, true)
        made["exact_match"] = float((found == true).all(1).mean())
        return made | told({"nll": binary_nll(raw / calibration.get("temperature", 1.0), true)})

    @classmethod
    def by_label(
        cls, raw: Array, values: Array, facts: TaskFacts, calibration: Calibration
    ) -> dict[str, dict[str, float]]:
        """Precision, recall, F1 and average precision of each label."""
        found, scores = decisions(raw, facts, calibration), scores_of(raw, calibration)
        return score_table(scores, found, values > 0.5, facts.classes)

    @classmethod
    def calibrate(cls, raw: Array, values: Array, facts: TaskFacts) -> Calibration:
        """The temperature with the least negative log-likelihood, then the threshold of each label with the best F1."""
        return calibrated_labels(raw, values, facts)

    @classmethod
    def decode(cls, raw: Array, facts: TaskFacts, calibration: Calibration) -> list[Any]:
        """The labels whose probability reaches their threshold."""
        return [tuple(np.array(facts.classes)[row].tolist()) for row in decisions(raw, facts, calibration)]

    @classmethod
    def output(cls, facts: TaskFacts, config: Config, calibration: Calibration) -> dict[str, Any]:
        """Of the task ``multi_label``."""
        return scored_output(cls.task, facts, config, calibration)


EXAMPLE = Example(
    TaskFacts("seen", Task(kind="multi-label", classes=("car", "bus", "dog")), ("car", "bus", "dog"), (8, 1, 0)),
    ((), ("car",), ("car", "bus"), ("dog",)),
    lambda values, facts: 18 * values - 9,
)
PART = MultiLabel
