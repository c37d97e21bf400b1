"""One or several numbers for the whole input, in the labels' own unit.

Features are pooled; the layer's answer is in deviations from the training part's mean, by which the loss is measured
too: absolute, squared, or Huber's (Huber 1964, Robust estimation of a location parameter).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from onlooker.core.errors import UsageError
from onlooker.learning.datasets.clips import Clip
from onlooker.learning.datasets.manifest import Task
from onlooker.learning.metrics import told
from onlooker.learning.metrics.numbers import correlation, mean_absolute_error, r2, root_mean_squared_error
from onlooker.learning.network import Features
from onlooker.learning.task import Array, Calibration, Head, Metric, Pool, TaskFacts, pooled
from onlooker.learning.tasks._example import Example
from onlooker.learning.tasks._labels import target_of
from onlooker.learning.tasks._scored import LayerConfig, layers

__all__ = ["PART", "Config", "Regression"]


class Config(LayerConfig):
    """Settings of the head.

    Attributes:
        pool: how steps become one: their mean, the last, or the greatest of each number.
        loss: ``l1`` absolute, ``l2`` squared, ``huber`` squared up to ``beta`` and absolute beyond.
        beta: of ``huber``, in deviations.
        names: what each number is called; none: the task's name, with a number behind where there are several.
        low, high: what the numbers are limited to when deployed.
        every_seconds: length of the observations when deployed.
    """

    head: Literal["regression"] = "regression"
    pool: Pool = "mean"
    loss: Literal["l1", "huber", "l2"] = "huber"
    beta: float = Field(default=1.0, gt=0, le=100)
    names: tuple[str, ...] = ()
    low: float | None = Field(default=None, allow_inf_nan=False)
    high: float | None = Field(default=None, allow_inf_nan=False)
    every_seconds: float = Field(default=1.0, gt=0, le=3600)


class Regression(Head):
    """Pooled features (B, T, D) to numbers (B, width) in the labels' unit; labels are (n, width) float32.

    Metrics: ``mae`` and ``rmse`` in the labels' unit, ``r2`` and ``correlation`` (Pearson's), all as means over the
    numbers; ``within_90``, where calibrated: the share of numbers within the error that 90 % of the validation part
    stay below.
    """

    Config = Config
    kinds: ClassVar[tuple[str, ...]] = ("regression",)
    main: ClassVar[Metric] = Metric("mae", higher=False)
    task: ClassVar[str] = "regression"

    def __init__(self, config: Config, facts: TaskFacts, size: int, map_size: int | None = None) -> None:
        super().__init__(config, facts, size, map_size)
        self.config = config
        self.answer = layers(config, size, facts.width)
        self.register_buffer("mean", torch.tensor(facts.mean or (0.0,) * facts.width), persistent=False)
        self.register_buffer("deviation", torch.tensor(facts.deviation or (1.0,) * facts.width), persistent=False)
        self.mean: Tensor
        self.deviation: Tensor

    def forward(self, features: Features) -> Tensor:
        """Numbers (B, width)."""
        return self.answer(pooled(features.steps, self.config.pool)).float() * self.deviation + self.mean

    def loss(self, raw: Tensor, values: Tensor) -> Tensor:
        """(B,): the mean over the numbers, in deviations."""
        wrong = (raw.float() - values) / self.deviation
        nothing = torch.zeros_like(wrong)
        match self.config.loss:
            case "l1":
                return wrong.abs().mean(-1)
            case "l2":
                return (wrong**2).mean(-1)
            case "huber":
                return functional.smooth_l1_loss(wrong, nothing, reduction="none", beta=self.config.beta).mean(-1)

    @classmethod
    def encode(cls, facts: TaskFacts, config: Config, clips: Sequence[Clip]) -> tuple[Array, NDArray[np.bool_]]:
        """Numbers (n, width) float32, 0 where there are none.

        Raises:
            UsageError: labels are of another width.
        """
        target = target_of(facts, config, clips)
        if not target.known.any():
            return np.zeros((len(clips), facts.width), np.float32), target.known
        if (width := target.values.shape[1]) != facts.width:
            sample = clips[int(target.known.argmax())].sample.id
            raise UsageError(
                f"labels of {facts.name} are of width {width}, expected {facts.width}, such as that of sample {sample}",
                hint="all parts that are learned from and measured have as many numbers",
            )
        return target.values, target.known

    @classmethod
    def metrics(cls, raw: Array, values: Array, facts: TaskFacts, calibration: Calibration) -> dict[str, float]:
        """See the class; ``raw`` and ``values`` (n, width)."""
        made = {
            "mae": mean_absolute_error(raw, values),
            "rmse": root_mean_squared_error(raw, values),
            "r2": r2(raw, values),
            "correlation": correlation(raw, values),
        }
        if "error_90" in calibration and len(raw):
            made["within_90"] = float((np.abs(raw - values) <= np.array(calibration["error_90"])).mean())
        return told(made)

    @classmethod
    def by_label(
        cls, raw: Array, values: Array, facts: TaskFacts, calibration: Calibration
    ) -> dict[str, dict[str, float]]:
        """The same for each number, where there are several."""
        if facts.width < 2:
            return {}
        names = _names(facts, ())
        return {
            name: told(
                {
                    "mae": mean_absolute_error(raw[:, [n]], values[:, [n]]),
                    "rmse": root_mean_squared_error(raw[:, [n]], values[:, [n]]),
                    "r2": r2(raw[:, [n]], values[:, [n]]),
                }
            )
            for n, name in enumerate(names)
        }

    @classmethod
    def calibrate(cls, raw: Array, values: Array, facts: TaskFacts) -> Calibration:
        """``error_90``: of each number, the error that 90 % stay below: split conformal prediction.

        Lei et al. 2018, arXiv 1604.04173: the ceil(0.9 (n + 1))-th smallest error; none below ten samples.
        """
        count = len(raw)
        if count < 10:
            return {}
        rank = min(count, int(np.ceil(0.9 * (count + 1))))
        errors = np.sort(np.abs(raw - values), axis=0)[rank - 1]
        return {"error_90": [float(f"{e:.6g}") for e in errors]}

    @classmethod
    def decode(cls, raw: Array, facts: TaskFacts, calibration: Calibration) -> list[Any]:
        """A number, or several."""
        return [row[0] if len(row) == 1 else tuple(row) for row in raw.tolist()]

    @classmethod
    def output(cls, facts: TaskFacts, config: Config, calibration: Calibration) -> dict[str, Any]:
        """Of the task ``regression``.

        Raises:
            UsageError: there are not as many names as numbers.
        """
        made: dict[str, Any] = {"task": cls.task, "labels": _names(facts, config.names)}
        optional = {"kind": config.kind, "unit": facts.task.unit, "low": config.low, "high": config.high}
        made |= {name: value for name, value in optional.items() if value is not None}
        return made | {"every_seconds": config.every_seconds}


def _names(facts: TaskFacts, given: tuple[str, ...]) -> tuple[str, ...]:
    if not given:
        return (facts.name,) if facts.width == 1 else tuple(f"{facts.name} {n + 1}" for n in range(facts.width))
    if len(given) != facts.width:
        raise UsageError(f"tasks.{facts.name}.names: expected {facts.width} names, got {len(given)}")
    return given


EXAMPLE = Example(
    TaskFacts("speed", Task(kind="regression", unit="km/h"), width=2, mean=(50.0, -1.0), deviation=(20.0, 0.1)),
    ((20.0, -1.1), (50.0, -1.0), (90.0, -0.9)),
    lambda values, facts: values,
)
PART = Regression
