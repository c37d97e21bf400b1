"""Layers of low rank become two smaller ones, where that is less work and less time, and the whole is fine-tuned.

Denton et al. 2014, Exploiting linear structure within convolutional networks, arXiv 1404.0736; Zhang et al. 2016,
Accelerating very deep convolutional networks, arXiv 1505.06798.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from onlooker.core.errors import ModelError
from onlooker.learning.compress.factoring import factored
from onlooker.learning.compress.narrow import put
from onlooker.learning.compress.step import Compression, StepConfig, Subject, Work, settings_of
from onlooker.learning.compress.trained import Trained, TrainedConfig, needs_run

__all__ = ["PART", "Config", "LowRank"]


class Config(TrainedConfig):
    """Settings of factors of low rank.

    Attributes:
        energy: share of the squared singular values of a layer's weights that its factors keep.
        gain: factors are taken where their multiply-adds and their time are at most this share of the layer's.
        round_to: ranks are a multiple of this.
        measure: measure the time of layers and factors here, in OpenVINO on one thread; else multiply-adds alone count.
    """

    step: Literal["low_rank"] = "low_rank"
    energy: float = Field(default=0.9, gt=0, lt=1)
    gain: float = Field(default=0.85, gt=0, le=1)
    round_to: int = Field(default=4, ge=1, le=256)
    measure: bool = True


class LowRank(Compression):
    """See the module; which layers are in two factors is said in the head of the run's file of weights."""

    Config: ClassVar[type[StepConfig]] = Config
    trains: ClassVar[bool] = True

    @classmethod
    def refusal(cls, subject: Subject, config: StepConfig) -> str | None:
        """See `Compression.refusal`; that no layer pays is only known when it is tried."""
        return needs_run(subject)

    @classmethod
    def apply(cls, subject: Subject, config: StepConfig, work: Work) -> Subject:
        """See `Compression.apply`.

        Raises:
            ModelError: there is no layer for which it pays.
        """
        assert isinstance(config, Config)
        with Trained(subject, config, work) as trained:
            inputs, _ = trained.refit.first()
            found = factored(
                trained.model, {n: x[:1] for n, x in inputs.items()}, energy=config.energy, gain=config.gain,
                round_to=config.round_to, measure=config.measure,
            )  # fmt: skip
            if not found:
                raise ModelError(
                    f"{trained.recipe.name}: no layer is less work and less time in two factors",
                    hint="a lower energy, or leave the step low_rank out",
                )
            for one in found:
                put(trained.model, one.name, one.module)
            run = trained.train()
            return trained.finish(run, settings_of(config, layers=", ".join(f"{f.name} {f.rank}" for f in found)))


PART = LowRank
