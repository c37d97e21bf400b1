"""Channels are left out for good, those that are worth least, and the rest is fine-tuned, in rounds.

Li et al. 2017, Pruning filters for efficient convnets, arXiv 1608.08710; Molchanov et al. 2019, Importance estimation
for neural network pruning, arXiv 1906.10771; what hangs together is found by Torch-Pruning (Fang et al. 2023, DepGraph,
arXiv 2301.12900).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Literal

import torch
from pydantic import Field

from onlooker.core.errors import ModelError
from onlooker.learning.compress.cutting import Importance, Scores, cut, ratio_for, score_channels, with_gradients
from onlooker.learning.compress.narrow import factored_names
from onlooker.learning.compress.step import Compression, StepConfig, Subject, Work, settings_of
from onlooker.learning.compress.trained import Trained, TrainedConfig, folder_of, needs_run
from onlooker.learning.model import Model
from onlooker.learning.networks._recurrent import RecurrentMaps
from onlooker.learning.run_folder import load_model
from onlooker.learning.training.loop import Run

__all__ = ["PART", "Config", "Prune"]


class Config(TrainedConfig):
    """Settings of pruning.

    Attributes:
        ratio: share of the channels that goes.
        multiply_adds: share of the multiply-adds that is left, in place of ``ratio``.
        rounds: in so many goes, with fine-tuning after each.
        importance: of a channel: ``magnitude`` of its weights, or by ``taylor`` what the loss would change by.
        batches: of the training part, from which ``taylor`` is measured.
        spread: ``even``: the same share of each group of channels; ``free``: those that are worth least of all.
        round_to: channels that are left are a multiple of this, where there are so many.
    """

    step: Literal["prune"] = "prune"
    ratio: float = Field(default=0.5, gt=0, le=0.95)
    multiply_adds: float | None = Field(default=None, gt=0, lt=1)
    rounds: int = Field(default=1, ge=1, le=100)
    importance: Importance = "magnitude"
    batches: int = Field(default=8, ge=1, le=10_000)
    spread: Literal["even", "free"] = "even"
    round_to: int = Field(default=4, ge=1, le=256)


class Prune(Compression):
    """See the module; the new run is narrower than its recipe says and is loaded by the shapes of its weights."""

    Config: ClassVar[type[StepConfig]] = Config
    trains: ClassVar[bool] = True

    @classmethod
    def refusal(cls, subject: Subject, config: StepConfig) -> str | None:
        """See `Compression.refusal`."""
        if (no := needs_run(subject)) is not None:
            return no
        model = load_model(folder_of(subject))[0]
        for name in factored_names(model):
            if isinstance(model.get_submodule(name.rpartition(".")[0]), RecurrentMaps):
                return f"{name} is in two factors, and its gates cannot be cut any more: prune before low_rank"
        return None

    @classmethod
    def apply(cls, subject: Subject, config: StepConfig, work: Work) -> Subject:
        """See `Compression.apply`."""
        assert isinstance(config, Config)
        with Trained(subject, config, work) as trained:
            with _told(trained.recipe.name):
                ratio = _ratio(trained, config)
            each = 1 - (1 - ratio) ** (1 / config.rounds)
            run: Run | None = None
            for _ in range(config.rounds):
                with _told(trained.recipe.name):
                    _cut(trained, config, each)
                run = trained.train()
            assert run is not None
            return trained.finish(run, settings_of(config, ratio=round(ratio, 4)))


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Errors of the trace as those of the model."""
    try:
        yield
    except (RuntimeError, ValueError, TypeError, AttributeError, LookupError, AssertionError) as error:
        raise ModelError(
            f"{name}: its channels cannot be left out: {type(error).__name__}: {error}", hint="leave the step prune out"
        ) from error


def _ratio(trained: Trained, config: Config) -> float:
    if config.multiply_adds is None:
        return config.ratio
    inputs, _ = trained.refit.first()
    scores = _scores(trained, config)

    def trial(model: Model, ratio: float) -> None:
        cut(model, inputs, scores, ratio, round_to=config.round_to, even=config.spread == "even")

    return ratio_for(trained.model, inputs, config.multiply_adds, trial)


def _scores(trained: Trained, config: Config) -> Scores:
    inputs, _ = trained.refit.first()
    if config.importance == "magnitude":
        return score_channels(trained.model, inputs, "magnitude")
    with with_gradients(trained.model, trained.refit.losses(trained.model, config.batches)):
        return score_channels(trained.model, inputs, "taylor")


def _cut(trained: Trained, config: Config, ratio: float) -> None:
    inputs, present = trained.refit.first()
    scores = _scores(trained, config)
    cut(trained.model, inputs, scores, ratio, round_to=config.round_to, even=config.spread == "even")
    with torch.no_grad():
        trained.model.eval()(inputs, present)


PART = Prune
