"""A smaller network learns from the original, or from several, beside the labels.

Hinton et al. 2015, Distilling the knowledge in a neural network, arXiv 1503.02531; features as Romero et al. 2015,
FitNets, arXiv 1412.6550, or Park et al. 2019, Relational knowledge distillation, arXiv 1904.05068; maps as Zagoruyko
and Komodakis 2017, Paying more attention to attention, arXiv 1612.03928.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, ValidationError

from onlooker.core.errors import UsageError
from onlooker.learning.compress.step import Compression, StepConfig, Subject, Work, settings_of
from onlooker.learning.compress.teaching import FeatureLoss, Teaching, load_teacher
from onlooker.learning.compress.trained import Trained, TrainedConfig, folder_of, needs_run
from onlooker.learning.facts import Facts
from onlooker.learning.model import Model, build_model
from onlooker.learning.parts import load_part
from onlooker.learning.recipe import Recipe, recipe_model
from onlooker.learning.run_folder import load_model

__all__ = ["PART", "Config", "Distil"]


class Config(TrainedConfig):
    """Settings of distillation.

    Attributes:
        epochs: passes over the training part.
        rate: share of the recipe's learning rates.
        student: settings of the recipe of another network, such as ``{inputs: {picture: {network: frame_cnn, ...}}}``,
            which begins at random; none: the model as it is, with its weights.
        soft: share of the teachers' answers in the loss; the rest is that of the labels.
        temperature: of probabilities.
        features: weight of the loss of features; 0: none.
        feature_loss: ``projected`` onto the teacher's, or the ``relations`` between samples.
        attention: weight of the loss of where networks look; 0: none.
    """

    step: Literal["distil"] = "distil"
    epochs: int = Field(default=5, ge=1, le=10_000)
    rate: float = Field(default=1.0, gt=0, le=10)
    student: dict[str, Any] = Field(default_factory=dict)
    soft: float = Field(default=0.7, ge=0, le=1)
    temperature: float = Field(default=4.0, gt=0, le=100)
    features: float = Field(default=0.0, ge=0, le=1000)
    feature_loss: FeatureLoss = "projected"
    attention: float = Field(default=0.0, ge=0, le=100_000)


class Distil(Compression):
    """See the module; the teachers are the original of the search and the ensemble, where one is given."""

    Config: ClassVar[type[StepConfig]] = Config
    trains: ClassVar[bool] = True

    @classmethod
    def refusal(cls, subject: Subject, config: StepConfig) -> str | None:
        """See `Compression.refusal`."""
        if (no := needs_run(subject)) is not None:
            return no
        assert isinstance(config, Config)
        try:
            _made(subject, config)
        except UsageError as error:
            return str(error)
        return None

    @classmethod
    def apply(cls, subject: Subject, config: StepConfig, work: Work) -> Subject:
        """See `Compression.apply`."""
        assert isinstance(config, Config)
        made = _made(subject, config, work.seed)
        teachers = _teachers(work, made[2], list(made[1].tasks))
        with Trained(subject, config, work, made) as trained:
            inputs, _ = trained.refit.first()
            if config.student:
                for name, x in inputs.items():
                    trained.model.network(name).prepare(x)
            weights = {n: head.weight for n, head in trained.recipe.tasks.items()}
            device = trained.refit.peers.device
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(work.seed)
                teaching = Teaching(
                    trained.model, [t.to(device) for t in teachers], weights, inputs, soft=config.soft,
                    temperature=config.temperature, features=config.features, feature_loss=config.feature_loss,
                    attention=config.attention,
                ).to(device)  # fmt: skip
            run = trained.train(teaching)
            teaching.close()
            return trained.finish(run, settings_of(config, teachers=len(teachers)))


def _made(subject: Subject, config: Config, seed: int = 0) -> tuple[Model, Recipe, Facts]:
    """The student, its recipe and facts."""
    folder = folder_of(subject)
    model, recipe, facts = load_model(folder)
    if not config.student:
        return model, recipe, facts
    if others := config.student.keys() - {"inputs", "fusion"}:
        raise UsageError(f"student.{min(others)}: expected settings of inputs or fusion alone")
    if others := config.student.get("inputs", {}).keys() - recipe.inputs.keys():
        raise UsageError(f"student.inputs.{min(others)}: the original has {', '.join(recipe.inputs)}")
    values = recipe.model_dump(mode="json")
    _change(values, config.student)
    try:
        student: Recipe = recipe_model().model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"student.{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    for name, network in student.inputs.items():
        own, other = (load_part("networks", n.network).takes for n in (network, recipe.inputs[name]))
        if own != other:
            raise UsageError(f"student.inputs.{name}: {network.network} takes {own}, the original {other}")
    return build_model(student, facts, seed=seed), student, facts


def _change(values: dict[str, Any], settings: Mapping[str, Any]) -> None:
    """Put settings into values; those of another network or way of fusion replace what was there."""
    for name, value in settings.items():
        held = values.get(name)
        other = isinstance(value, Mapping) and ("network" in value or "kind" in value)
        if isinstance(value, Mapping) and isinstance(held, dict) and not other:
            _change(held, value)
        else:
            values[name] = value


def _teachers(work: Work, facts: Facts, tasks: list[str]) -> list[Model]:
    """The original and the ensemble.

    Raises:
        UsageError: one has no run, or other inputs or tasks than the student.
    """
    if work.original.run is None:
        raise UsageError(
            "distil: only the bundle of the original is known, not its run", hint="compress the folder of the run"
        )
    return [load_teacher(folder, facts, tasks) for folder in (work.original.run, *work.ensemble)]


PART = Distil
