"""One of several levels in order.

CORAL (Cao et al. 2020, arXiv 1901.07884): one number from pooled features and a bias for each step from a level to the
next give levels - 1 logits of 'higher than this level'; since only biases differ, they never contradict each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from onlooker.core.errors import UsageError
from onlooker.learning.datasets.clips import Clip
from onlooker.learning.datasets.manifest import Task
from onlooker.learning.metrics import told
from onlooker.learning.metrics.calibration import calibration_error, fitted_temperature, sigmoid
from onlooker.learning.metrics.labels import accuracy, balanced_accuracy, class_table, confusion, kappa, macro_f1
from onlooker.learning.network import Features
from onlooker.learning.task import Array, Calibration, Head, Metric, Pool, TaskFacts, pooled
from onlooker.learning.tasks._example import Example
from onlooker.learning.tasks._labels import target_of
from onlooker.learning.tasks._scored import ScoredConfig, layers, scored_output

__all__ = ["PART", "Config", "Ordinal"]


class Config(ScoredConfig):
    """Settings of the head.

    Attributes:
        pool: how steps become one: their mean, the last, or the greatest of each number.
        class_weights: ``balanced`` weighs each step from a level to the next by how even it divides the training part.
    """

    head: Literal["ordinal"] = "ordinal"
    pool: Pool = "mean"
    class_weights: Literal["none", "balanced"] = "none"


class Ordinal(Head):
    """Pooled features (B, T, D) to logits (B, levels - 1); labels are numbers of levels (n,), -1 where there is none.

    Decided is the level in the middle of the distribution. Metrics: ``mae``, the mean distance in levels; ``accuracy``;
    ``balanced_accuracy``; ``macro_f1``; ``kappa`` with quadratic weights; ``nll`` and ``calibration_error`` (15 bins)
    of the calibrated probabilities of the levels.
    """

    Config = Config
    kinds: ClassVar[tuple[str, ...]] = ("ordinal",)
    main: ClassVar[Metric] = Metric("mae", higher=False)
    task: ClassVar[str] = "ordinal"

    def __init__(self, config: Config, facts: TaskFacts, size: int, map_size: int | None = None) -> None:
        super().__init__(config, facts, size, map_size)
        steps = len(facts.classes) - 1
        if steps < 1:
            raise UsageError(f"tasks.{facts.name}: expected at least two levels, got {len(facts.classes)}")
        self.config, self.steps = config, steps
        self.answer = layers(config, size, 1)
        self.bias = nn.Parameter(torch.linspace(1, -1, steps + 2)[1:-1].clone())
        self.register_buffer("weights", _weights(facts, config), persistent=False)
        self.weights: Tensor

    def forward(self, features: Features) -> Tensor:
        """Logits (B, levels - 1)."""
        return self.answer(pooled(features.steps, self.config.pool)) + self.bias

    def loss(self, raw: Tensor, values: Tensor) -> Tensor:
        """(B,): weighted mean of the binary cross-entropies; ``values`` levels (B,)."""
        wrong = functional.binary_cross_entropy_with_logits(raw.float(), self._higher(values), reduction="none")
        return (wrong * self.weights).mean(-1)

    def _higher(self, values: Tensor) -> Tensor:
        """(B, levels - 1): whether the label is higher than each level."""
        return (values[:, None] > torch.arange(self.steps, device=values.device)).float()

    @classmethod
    def encode(cls, facts: TaskFacts, config: Config, clips: Sequence[Clip]) -> tuple[Array, NDArray[np.bool_]]:
        """Numbers of levels (n,) int64."""
        target = target_of(facts, config, clips)
        return target.values, target.known

    @classmethod
    def metrics(cls, raw: Array, values: Array, facts: TaskFacts, calibration: Calibration) -> dict[str, float]:
        """See the class; ``raw`` (n, levels - 1), ``values`` (n,)."""
        if not len(raw):
            return {}
        shares = _shares(raw / calibration.get("temperature", 1.0))
        level = _middle(shares)
        table = confusion(level, values, len(facts.classes))
        sure = np.take_along_axis(shares, level[:, None], 1)[:, 0]
        made = {
            "mae": float(np.abs(level - values).mean()),
            "accuracy": accuracy(table),
            "balanced_accuracy": balanced_accuracy(table),
            "macro_f1": macro_f1(table),
            "kappa": kappa(table),
            "nll": _nll(shares, values),
            "calibration_error": calibration_error(sure, level == values),
        }
        return told(made)

    @classmethod
    def by_label(
        cls, raw: Array, values: Array, facts: TaskFacts, calibration: Calibration
    ) -> dict[str, dict[str, float]]:
        """Precision, recall and F1 of each level."""
        table = confusion(_middle(_shares(raw)), values, len(facts.classes))
        return class_table(table, facts.classes)

    @classmethod
    def calibrate(cls, raw: Array, values: Array, facts: TaskFacts) -> Calibration:
        """The temperature with the least negative log-likelihood."""
        if not len(raw):
            return {}
        return {"temperature": round(fitted_temperature(lambda t: _nll(_shares(raw / t), values)), 4)}

    @classmethod
    def decode(cls, raw: Array, facts: TaskFacts, calibration: Calibration) -> list[Any]:
        """The level in the middle of each distribution."""
        return [facts.classes[n] for n in _middle(_shares(raw))]

    @classmethod
    def output(cls, facts: TaskFacts, config: Config, calibration: Calibration) -> dict[str, Any]:
        """Of the task ``ordinal``."""
        return scored_output(cls.task, facts, config, calibration) | {"activation": "cumulative"}


def _shares(raw: Array) -> NDArray[np.float64]:
    """(n, levels) probabilities of the levels."""
    above = np.minimum.accumulate(sigmoid(raw), axis=1)
    edge = np.ones((len(raw), 1))
    return np.concatenate([edge, above], 1) - np.concatenate([above, 0 * edge], 1)


def _middle(shares: Array) -> NDArray[np.int64]:
    """(n,): the first level by which half of the probability is reached."""
    return (shares.cumsum(1)[:, :-1] < 0.5).sum(1)


def _nll(shares: Array, values: Array) -> float:
    true = np.take_along_axis(shares, values.astype(np.int64)[:, None], 1)
    return float(0.0 - np.log(np.maximum(true, 1e-12)).mean())


def _weights(facts: TaskFacts, config: Config) -> Tensor:
    """(levels - 1,): 4 p (1 - p) of the share p of the training part above each level, brought to the mean 1."""
    counts = np.array(facts.counts, np.float64)
    if config.class_weights == "none" or not counts.sum():
        return torch.ones(len(facts.classes) - 1)
    above = counts[::-1].cumsum()[::-1][1:] / counts.sum()
    even = np.maximum(4 * above * (1 - above), 0.01)
    return torch.from_numpy((even / even.mean()).astype(np.float32))


EXAMPLE = Example(
    TaskFacts("crowd", Task(kind="ordinal", classes=("none", "some", "many")), ("none", "some", "many"), (8, 3, 5)),
    ("none", "some", "many"),
    lambda values, facts: np.where(values[:, None] > np.arange(len(facts.classes) - 1), 9.0, -9.0),
)
PART = Ordinal
