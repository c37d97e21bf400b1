"""The weights get used to being rounded to eight bits, and the bundle is: quantisation-aware training.

Jacob et al. 2018, Quantization and training of neural networks for efficient integer-arithmetic-only inference, arXiv
1712.05877. NNCF puts what rounds into the model and finds its ranges on training batches; the weights are trained with
it, the ranges stay. The weights of the run that comes out have full precision still, and the step ``int8`` makes the
bundle of eight bits of them, whatever its form: whole, window by window, or a head over several networks.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field

from onlooker.core.errors import ModelError, UsageError
from onlooker.learning.compress.step import Compression, StepConfig, Subject, Work, settings_of
from onlooker.learning.compress.trained import Trained, TrainedConfig, folder_of, needs_run
from onlooker.learning.model import Model
from onlooker.learning.parts import load_part
from onlooker.learning.run_folder import load_model
from onlooker.learning.silence import quiet

__all__ = ["PART", "Config", "Qat"]

_PUT_IN = "__nncf_hooks."
"""What the names of NNCF's own parameters begin with."""
_COMPILES = "600"
"""Seconds."""


class Config(TrainedConfig):
    """Settings of quantisation-aware training.

    Attributes:
        epochs: passes over the training part.
        rate: share of the recipe's learning rates.
        batches: of the training part, from which the ranges are found.
        preset: ``performance`` rounds activations symmetrically, ``mixed`` where they are so.
        int8: go on with the step ``int8`` in its own settings; else the bundle stays in full precision for it to come.
        least_gain: of that step.
    """

    step: Literal["qat"] = "qat"
    epochs: int = Field(default=1, ge=1, le=10_000)
    rate: float = Field(default=0.1, gt=0, le=10)
    batches: int = Field(default=8, ge=1, le=10_000)
    preset: Literal["performance", "mixed"] = "mixed"
    int8: bool = True
    least_gain: float = Field(default=1.05, ge=0, le=100)


class Qat(Compression):
    """See the module."""

    Config: ClassVar[type[StepConfig]] = Config
    trains: ClassVar[bool] = True

    @classmethod
    def refusal(cls, subject: Subject, config: StepConfig) -> str | None:
        """See `Compression.refusal`; it tries to put NNCF's roundings into the model."""
        assert isinstance(config, Config)
        if (no := needs_run(subject)) is not None:
            return no
        model, recipe, facts = load_model(folder_of(subject))
        noise = {n: torch.rand(1, *facts.shape(n)) for n in recipe.inputs}
        try:
            rounded(model, [(noise, {n: torch.ones(1) for n in noise})], config.preset)
        except ModelError as error:
            return str(error)
        return None

    @classmethod
    def apply(cls, subject: Subject, config: StepConfig, work: Work) -> Subject:
        """See `Compression.apply`."""
        assert isinstance(config, Config)
        model, recipe, facts = load_model(folder_of(subject))
        exact = recipe.training.model_copy(update={"precision": "float32"})
        given = (model, recipe.model_copy(update={"training": exact}), facts)
        with Trained(subject, config, work, given) as trained:
            batches = list(trained.refit.batches(config.batches))
            run = trained.refit.train(rounded(model, batches, config.preset), epochs=config.epochs)
            own = model.state_dict().keys()
            run.standing.weights = {n: w for n, w in run.standing.weights.items() if n in own}
            run.model = model
            made = trained.finish(run, settings_of(config))
        return _in_eight_bits(made, config, work) if config.int8 else made


def _in_eight_bits(exact: Subject, config: Config, work: Work) -> Subject:
    """The same with its bundle in int8, in the place of the exact one."""
    step: type[Compression] = load_part("compress.steps", "int8")
    settings = step.Config.model_validate({"step": "int8", "least_gain": config.least_gain})
    before, folder = work.folder / "exact", work.folder / "int8"
    exact.bundle.rename(before)
    folder.mkdir()
    made = step.apply(replace(exact, bundle=before), settings, replace(work, folder=folder))
    made.bundle.rename(exact.bundle)
    return replace(made, bundle=exact.bundle, cut_short=exact.cut_short)


def rounded(model: Model, batches: list[tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]], preset: str) -> Model:
    """A copy of a model that rounds weights and activations to eight bits, and can be trained.

    Args:
        model: stays as it is.
        batches: inputs and what is there, from which the ranges are found.
        preset: see `Config`.

    Raises:
        ModelError: NNCF cannot trace the model, or has no roundings for this device.
        UsageError: NNCF is not installed.
    """
    try:
        import nncf
        from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters
        from nncf.torch.extensions import EXTENSION_LOAD_TIMEOUT_ENV_VAR, ExtensionLoaderTimeoutException
    except ImportError:
        raise UsageError("qat needs NNCF", hint="pip install 'onlooker[learn,compress]'") from None
    own = (
        nncf.InstallationError, nncf.InternalError, nncf.ParameterNotSupportedError, nncf.UnsupportedModelError,
        nncf.ValidationError, ExtensionLoaderTimeoutException,
    )  # fmt: skip
    # at its first use it compiles, which takes a busy machine longer than the minute that it waits for by itself
    os.environ.setdefault(EXTENSION_LOAD_TIMEOUT_ENV_VAR, _COMPILES)
    samples: Any = [{"inputs": inputs, "present": present} for inputs, present in batches]
    with quiet():
        try:
            made: Any = nncf.quantize(
                model.eval(),
                nncf.Dataset(samples),
                preset=nncf.QuantizationPreset(preset),
                target_device=nncf.TargetDevice.CPU,
                subset_size=len(samples),
                # it would change the weights in place of training them
                advanced_parameters=AdvancedQuantizationParameters(disable_bias_correction=True),
            )
            made(**samples[0])
        except (RuntimeError, ValueError, TypeError, AttributeError, LookupError, *own) as error:
            raise ModelError(
                f"NNCF cannot round this model for training: {type(error).__name__}: {error}",
                hint="leave the step qat out; int8 works without it",
            ) from error
    for name, parameter in made.named_parameters():
        if name.startswith(_PUT_IN):
            parameter.requires_grad_(False)
    return made


PART = Qat
