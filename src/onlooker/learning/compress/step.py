"""What a step of compression is: one module in ``steps/`` with ``PART``, whose name is its module's."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeAlias

from pydantic import BaseModel, ConfigDict

from onlooker.bundles.manifest import Step
from onlooker.learning.datasets.dataset import Dataset

__all__ = ["Compression", "Settings", "StepConfig", "Subject", "Told", "Work", "settings_of"]

Told: TypeAlias = Callable[[str, int, int], None]
"""Told what is done, how far, and of how many."""


class StepConfig(BaseModel):
    """Base of the settings of a step; each adds ``step: Literal["its_name"]`` and says what its settings mean."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    step: str


Settings: TypeAlias = dict[str, bool | int | float | str]
"""Of a step, as a lineage tells them."""


def settings_of(config: StepConfig, **more: bool | int | float | str) -> Settings:
    """The settings of a step and what came of it, as a lineage tells them; what is not set is left out."""
    made: Settings = {}
    for name, value in config.model_dump(mode="json", exclude={"step"}, exclude_none=True).items():
        if isinstance(value, bool | int | float | str):
            made[name] = value
        elif value:
            made[name] = json.dumps(value)
    return made | more


@dataclass(frozen=True, slots=True)
class Subject:
    """A model on its way, as it goes from step to step.

    Args:
        bundle: the folder of its bundle, as it would be deployed now.
        run: the folder of a run with its weights, which may be narrower than its recipe says; None where only the
            bundle is known, so that no step can train it.
        steps: what was done to the bundle that was given at first, in order.
        cut_short: whether the deadline ended the learning of one of them.
    """

    bundle: Path
    run: Path | None = None
    steps: tuple[Step, ...] = ()
    cut_short: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """What a step works with.

    Args:
        folder: an empty folder of its own, for ``bundle/`` and ``run/``.
        dataset: the samples.
        training: the part to learn and calibrate from.
        validation: the part to choose by. The test part is not for steps.
        original: the model that the search began with; the teacher of what is distilled.
        ensemble: folders of further runs that teach.
        deadline: by `time.monotonic`, or None.
        seed: of all chances.
        threads: for training; what is timed has one.
        told: how it goes.
    """

    folder: Path
    dataset: Dataset
    training: str | None
    validation: str | None
    original: Subject
    ensemble: tuple[Path, ...] = ()
    deadline: float | None = None
    seed: int = 0
    threads: int = 1
    told: Told | None = None


class Compression(ABC):
    """A way to make a model smaller or faster.

    Attributes:
        Config: its settings.
        trains: whether it needs a run and changes its weights, so that it comes before what only changes the bundle.
    """

    Config: ClassVar[type[StepConfig]]
    trains: ClassVar[bool]

    @classmethod
    @abstractmethod
    def refusal(cls, subject: Subject, config: StepConfig) -> str | None:
        """Why it cannot be done to this model, in words for people, or None where it can."""

    @classmethod
    @abstractmethod
    def apply(cls, subject: Subject, config: StepConfig, work: Work) -> Subject:
        """The model after it: a new bundle in ``work.folder / "bundle"``, and where there is a run still, its folder.

        The bundle's lineage names the parent's digest and gains the step; its answers are compared with what made it.

        Raises:
            ModelError: the result is no working bundle.
            UsageError: a library is missing.
        """
