"""What a task's head is: it turns features into numbers, and knows loss, metrics, calibration and deployed form.

A head is one module in ``onlooker.learning.tasks`` with its ``Config`` and ``PART``, the class. Class methods need no
weights: ``onlooker evaluate`` uses them on what a bundle gives.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from onlooker.learning.datasets.clips import Clip
from onlooker.learning.datasets.manifest import Task
from onlooker.learning.network import Features

__all__ = ["Array", "Calibration", "Head", "HeadConfig", "Metric", "Pool", "TaskFacts", "as_tensor", "pooled"]

Array: TypeAlias = NDArray[Any]
Pool: TypeAlias = Literal["mean", "last", "max"]
Calibration: TypeAlias = dict[str, Any]
"""Plain JSON: ``temperature``, ``thresholds`` by label, ... as the bundle's output takes them."""


class HeadConfig(BaseModel):
    """Base of a head's settings; ``head`` is a literal with the module's name.

    Attributes:
        of: the dataset's task that it learns; None: the one of its own name.
        weight: of its loss among the others.
        inputs: names of the inputs that it may use; None: all, joined.
        kind: of the observations when deployed; None: the output's own default.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    head: str
    of: str | None = None
    weight: float = Field(default=1.0, ge=0)
    inputs: tuple[str, ...] | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """What is known of a task before training; plain data that is kept in the run folder.

    Args:
        name: of the head in the recipe.
        task: of the dataset.
        classes: labels in the order of their numbers (identities of an identity task).
        counts: how often each is named in the training part; empty where there are no classes.
        steps: T of the features.
        seconds: length of the input's time, or None for single pictures.
        width: numbers of a regression label.
        mean, deviation: of regression labels in the training part, each of ``width``.
        crop: how pictures are brought to size (see `Pictures`), for labels that are places.
    """

    name: str
    task: Task
    classes: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    steps: int = 1
    seconds: float | None = None
    width: int = 1
    mean: tuple[float, ...] = field(default=())
    deviation: tuple[float, ...] = field(default=())
    crop: Literal["none", "centre", "pad", "box"] = "none"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric by name and which way is better."""

    name: str
    higher: bool = True


def pooled(steps: Tensor, pool: Pool) -> Tensor:
    """(B, D) of (B, T, D)."""
    if pool == "last":
        return steps[:, -1]
    return steps.amax(1) if pool == "max" else steps.mean(1)


class Head(nn.Module):
    """Turns features into the numbers of one task.

    Class attributes:
        Config: its settings.
        kinds: of dataset tasks that it learns from.
        main: the metric by which runs are compared and stopped early.
        task: of the bundle's output.
        windowed: whether it pools over all steps, so that a streaming form has to keep the last of them.
    """

    Config: ClassVar[type[HeadConfig]]
    kinds: ClassVar[tuple[str, ...]]
    main: ClassVar[Metric]
    task: ClassVar[str]
    windowed: ClassVar[bool] = True

    @abstractmethod
    def __init__(self, config: HeadConfig, facts: TaskFacts, size: int, map_size: int | None = None) -> None:
        """Make it with random weights.

        Args:
            config: its settings.
            facts: of the task.
            size: D of the features.
            map_size: C of their maps, or None.
        """
        super().__init__()

    @abstractmethod
    def forward(self, features: Features) -> Tensor:
        """Raw numbers (B, ...), as the bundle's output takes them (with the batch in place of 1)."""

    @abstractmethod
    def loss(self, raw: Tensor, values: Tensor) -> Tensor:
        """(B,): the loss of each sample; those without a label are left out by the caller."""

    @classmethod
    @abstractmethod
    def encode(cls, facts: TaskFacts, config: HeadConfig, clips: Sequence[Clip]) -> tuple[Array, NDArray[np.bool_]]:
        """Labels as an array (n, ...) and where there are any, bool (n,)."""

    @classmethod
    @abstractmethod
    def metrics(cls, raw: Array, values: Array, facts: TaskFacts, calibration: Calibration) -> dict[str, float]:
        """All metrics over labelled samples; `main` is among them. Values that cannot be told are left out."""

    @classmethod
    def resampled(
        cls, raw: Array, values: Array, facts: TaskFacts, calibration: Calibration
    ) -> Callable[[NDArray[np.intp]], dict[str, float]]:
        """What gives the metrics of any choice of the samples by their numbers, each as often as it is named.

        For bootstrapping: what is costly and of a single sample is done once.
        """
        return lambda rows: cls.metrics(raw[rows], values[rows], facts, calibration)

    @classmethod
    def by_label(
        cls, raw: Array, values: Array, facts: TaskFacts, calibration: Calibration
    ) -> dict[str, dict[str, float]]:
        """Metrics of each label by itself; empty where there are none."""
        return {}

    @classmethod
    @abstractmethod
    def decode(cls, raw: Array, facts: TaskFacts, calibration: Calibration) -> list[Any]:
        """The answer for each sample in the form of the task's labels (see `Task.parse`), where it has one.

        Spans begin at 0, the beginning of the input's time, and have scores, as boxes have.
        """

    @classmethod
    @abstractmethod
    def calibrate(cls, raw: Array, values: Array, facts: TaskFacts) -> Calibration:
        """What makes raw numbers into good probabilities and decisions, from samples of the validation part."""

    @classmethod
    @abstractmethod
    def output(cls, facts: TaskFacts, config: HeadConfig, calibration: Calibration) -> dict[str, Any]:
        """The fields of the bundle's output, ``name`` and ``tensor`` left out."""


def as_tensor(values: Array) -> Tensor:
    """A tensor of an array, int64 for numbers of classes, else float32."""
    return torch.from_numpy(values.astype(np.int64 if values.dtype.kind in "iu" else np.float32))
