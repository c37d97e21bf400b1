"""One of several classes for the whole input.

Logits (B, classes) from pooled features; cross-entropy with label smoothing (Szegedy et al. 2016, arXiv 1512.00567),
class weights and the focal factor (Lin et al. 2017, arXiv 1708.02002); temperature scaling (Guo et al. 2017, arXiv
1706.04599).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from onlooker.core.errors import UsageError
from onlooker.learning.datasets.clips import Clip
from onlooker.learning.datasets.manifest import Task
from onlooker.learning.metrics import told
from onlooker.learning.metrics.calibration import calibration_error, fitted_temperature, nll, softmax
from onlooker.learning.metrics.curves import roc_auc
from onlooker.learning.metrics.labels import accuracy, balanced_accuracy, class_table, confusion, macro_f1
from onlooker.learning.network import Features
from onlooker.learning.task import Array, Calibration, Head, Metric, Pool, TaskFacts, pooled
from onlooker.learning.tasks._example import Example
from onlooker.learning.tasks._labels import target_of
from onlooker.learning.tasks._scored import ScoredConfig, layers, scored_output

__all__ = ["PART", "Classification", "Config"]

_MOST_WEIGHT = 10.0
_MOST_FOR_AUC = 100


class Config(ScoredConfig):
    """Settings of the head.

    Attributes:
        pool: how steps become one: their mean, the last, or the greatest of each number.
        label_smoothing: share of each label that is given to all classes alike in training.
        class_weights: ``balanced`` weighs a class by one over how often it occurs in the training part, but none more
            than ten times as much as the most frequent, and so that the mean weight of a sample is 1.
        focal: the loss is weighted by (1 - probability of the true class) to this power; 0: not.
        members: the features are cut into so many parts of one size, each is answered by itself and has a loss of its
            own, the mean of which is learned from; deployed, the mean of their logits is the answer. For networks that
            have members, see `onlooker.learning.networks.whitened_cnn`.
    """

    head: Literal["classification"] = "classification"
    pool: Pool = "mean"
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    class_weights: Literal["none", "balanced"] = "none"
    focal: float = Field(default=0.0, ge=0, le=10)
    members: int = Field(default=1, ge=1, le=16)


class Classification(Head):
    """Pooled features (B, T, D) to logits (B, classes); labels are class numbers (n,), -1 where there is none.

    Metrics: ``accuracy``; ``balanced_accuracy``, the mean recall of the classes that occur; ``macro_f1``; ``auc``, the
    mean over classes of each against the rest, up to 100 classes; ``top5_accuracy`` with more than five classes;
    ``nll`` and ``calibration_error`` of the calibrated probabilities (15 bins).
    """

    Config = Config
    kinds: ClassVar[tuple[str, ...]] = ("class", "ordinal", "identity")
    main: ClassVar[Metric] = Metric("accuracy")
    task: ClassVar[str] = "classification"

    def __init__(self, config: Config, facts: TaskFacts, size: int, map_size: int | None = None) -> None:
        super().__init__(config, facts, size, map_size)
        self.config, self.classes = config, len(facts.classes)
        if size % config.members:
            raise UsageError(f"tasks.{facts.name}.members: {size} features cannot be cut into {config.members} parts")
        part = size // config.members
        self.answer = layers(config, part, self.classes)
        self.others = nn.ModuleList(layers(config, part, self.classes) for _ in range(config.members - 1))
        self.register_buffer("weights", _weights(facts, config), persistent=False)
        self.weights: Tensor

    def forward(self, features: Features) -> Tensor:
        """Logits (B, classes); in training, of several members each its own (B, members, classes)."""
        each = self.each(pooled(features.steps, self.config.pool))
        if len(each) == 1:
            return each[0]
        logits = torch.stack(each, 1)
        return logits if self.training else logits.mean(1)

    def each(self, x: Tensor) -> list[Tensor]:
        """What each member makes of its part of features (B, D): logits (B, classes)."""
        members = [self.answer, *self.others]
        if len(members) == 1:
            return [self.answer(x)]
        parts = x.split([_width(one) for one in members], 1)
        return [one(part) for one, part in zip(members, parts, strict=True)]

    def loss(self, raw: Tensor, values: Tensor) -> Tensor:
        """(B,) of logits and class numbers (B,); of several members' logits the mean of their losses."""
        if raw.ndim == 3:
            return torch.stack([self.loss(own, values) for own in raw.unbind(1)]).mean(0)
        logarithms = functional.log_softmax(raw.float(), -1)
        true = functional.one_hot(values.clamp(min=0), self.classes).to(torch.float32)
        smooth = true * (1 - self.config.label_smoothing) + self.config.label_smoothing / self.classes
        loss = -(smooth * logarithms).sum(-1) * (true @ self.weights)
        if self.config.focal:
            right = (true * logarithms.exp()).sum(-1)
            loss = loss * (1 - right).clamp(min=1e-6) ** self.config.focal
        return loss

    @classmethod
    def encode(cls, facts: TaskFacts, config: Config, clips: Sequence[Clip]) -> tuple[Array, NDArray[np.bool_]]:
        """Class numbers (n,) int64."""
        target = target_of(facts, config, clips)
        return target.values, target.known

    @classmethod
    def metrics(cls, raw: Array, values: Array, facts: TaskFacts, calibration: Calibration) -> dict[str, float]:
        """See the class; ``raw`` (n, classes), ``values`` (n,)."""
        table = confusion(raw.argmax(1), values, len(facts.classes))
        scaled = raw / calibration.get("temperature", 1.0)
        scores = softmax(scaled)
        made = {
            "accuracy": accuracy(table),
            "balanced_accuracy": balanced_accuracy(table),
            "macro_f1": macro_f1(table),
            "auc": _auc(scores, values),
            "nll": nll(scaled, values),
            "calibration_error": calibration_error(scores.max(1), raw.argmax(1) == values),
        }
        if len(facts.classes) > 5 and len(raw):
            best = np.argpartition(-raw, 5, axis=1)[:, :5]
            made["top5_accuracy"] = float((best == values[:, None]).any(1).mean())
        return told(made)

    @classmethod
    def by_label(
        cls, raw: Array, values: Array, facts: TaskFacts, calibration: Calibration
    ) -> dict[str, dict[str, float]]:
        """Precision, recall and F1 of each class."""
        return class_table(confusion(raw.argmax(1), values, len(facts.classes)), facts.classes)

    @classmethod
    def calibrate(cls, raw: Array, values: Array, facts: TaskFacts) -> Calibration:
        """The temperature with the least negative log-likelihood."""
        if not len(values):
            return {}
        return {"temperature": round(fitted_temperature(lambda t: nll(raw / t, values) or 0.0), 4)}

    @classmethod
    def decode(cls, raw: Array, facts: TaskFacts, calibration: Calibration) -> list[Any]:
        """The most probable class of each."""
        return [facts.classes[n] for n in raw.argmax(1)]

    @classmethod
    def output(cls, facts: TaskFacts, config: Config, calibration: Calibration) -> dict[str, Any]:
        """Of the task ``classification``."""
        return scored_output(cls.task, facts, config, calibration)


def _width(layers: nn.Sequential) -> int:
    """Features that layers take, of which pruning may have left less than the settings say."""
    return next(int(layer.in_features) for layer in layers if hasattr(layer, "in_features"))  # type: ignore[arg-type]


def _weights(facts: TaskFacts, config: Config) -> Tensor:
    """(classes,): of each class in the loss."""
    if config.class_weights == "none" or not facts.counts:
        return torch.ones(len(facts.classes))
    counts = np.array(facts.counts, np.float64)
    weights = np.minimum(counts.max() / np.maximum(counts, 1), _MOST_WEIGHT)
    return torch.from_numpy((weights * counts.sum() / (weights @ counts)).astype(np.float32))


def _auc(scores: Array, values: Array) -> float | None:
    """Mean area under the curve of each class against the rest, of those that can be told."""
    if scores.shape[1] > _MOST_FOR_AUC:
        return None
    columns = range(1, 2) if scores.shape[1] == 2 else range(scores.shape[1])
    areas = [roc_auc(scores[:, c], values == c) for c in columns]
    there = [a for a in areas if a is not None]
    return float(np.mean(there)) if there else None


EXAMPLE = Example(
    TaskFacts("light", Task(kind="class", classes=("red", "amber", "green")), ("red", "amber", "green"), (8, 1, 7)),
    ("red", "amber", "green"),
    lambda values, facts: 9 * np.eye(len(facts.classes), dtype=np.float32)[values],
)
PART = Classification
