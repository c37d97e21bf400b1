"""Looks that are easy leave the network before its end: a small head on an inner stage answers where it is confident.

Teerapittayanon et al. 2016, BranchyNet: fast inference via early exiting from deep neural networks, arXiv 1709.01686;
the head learns from the full network's answers beside the labels (Hinton et al. 2015, arXiv 1503.02531), as in Phuong
and Lampert 2019, Distillation-based training for multi-exit architectures, ICCV. The network's weights stay as they
are. It pays where many looks are easy: of cameras, most are.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field

from onlooker.bundles.folder import load_bundle
from onlooker.core.errors import ModelError
from onlooker.learning.compress.exiting import choose
from onlooker.learning.compress.exiting_bundle import Placed, deployed
from onlooker.learning.compress.exiting_training import Learning, judged, taught
from onlooker.learning.compress.factoring import milliseconds
from onlooker.learning.compress.onnx_bundle import checked
from onlooker.learning.compress.step import Compression, StepConfig, Subject, Work
from onlooker.learning.compress.trained import Trained, folder_of, needs_run
from onlooker.learning.model import Model
from onlooker.learning.run_folder import RunFolder, load_model

__all__ = ["PART", "Config", "EarlyExit"]


class Config(Learning):
    """Settings of early exit; how it learns is told in `Learning`.

    Attributes:
        max_drop: largest loss of accuracy on the validation part, in points, at the task that loses most.
        place: after so many stages; None: that by which a look takes least time on the average.
        least_gain: a bundle whose looks do not take so many times less time here is refused; 0: none is.
    """

    step: Literal["early_exit"] = "early_exit"
    max_drop: float = Field(default=0.5, ge=0, le=100)
    place: int | None = Field(default=None, ge=1, le=64)
    least_gain: float = Field(default=1.0, ge=0, le=100)


class EarlyExit(Compression):
    """See the module; what comes out is a bundle alone, whose run is that of the full network still."""

    Config: ClassVar[type[StepConfig]] = Config
    trains: ClassVar[bool] = True

    @classmethod
    def refusal(cls, subject: Subject, config: StepConfig) -> str | None:
        """See `Compression.refusal`."""
        assert isinstance(config, Config)
        if (no := needs_run(subject)) is not None:
            return no
        manifest = load_bundle(subject.bundle, check=False).manifest
        if manifest.head is not None or len(manifest.networks) != 1:
            return "it joins several inputs, or reads a text; an exit needs one network of pictures or sound"
        if manifest.networks[0].exit is not None:
            return "it has an early exit already"
        if manifest.networks[0].state is not None:
            return "it runs on a stream with a memory, which must see all of every look: export.streaming: false"
        return _unfit(load_model(folder_of(subject))[0], config)

    @classmethod
    def apply(cls, subject: Subject, config: StepConfig, work: Work) -> Subject:
        """See `Compression.apply`.

        Raises:
            ModelError: no look may leave within ``max_drop``, or nothing is gained.
        """
        assert isinstance(config, Config)
        checked("early_exit", cls.refusal(subject, config))
        with Trained(subject, config, work) as trained, torch.random.fork_rng(devices=[]):
            torch.manual_seed(work.seed)
            placed = _placed(trained, config)
            return deployed(subject, config, work, trained, placed, least_gain=config.least_gain)


def _unfit(model: Model, config: Config) -> str | None:
    for name in model.tasks:
        if (task := model.head(name).task) != "classification":
            return f"{name} is of the kind {task}; an exit is confident of one of several classes alone"
    net = next(iter(model.encoders))
    cuts = model.network(net).cuts
    if cuts < 1:
        return f"the network of {net} has no stages between which it could be cut"
    if config.place is not None and config.place > cuts:
        return f"place: the network of {net} can be cut after 1 to {cuts} stages, not {config.place}"
    return None


def _placed(trained: Trained, config: Config) -> Placed:
    """The exit at the place by which a look takes least time on the average."""
    name = next(iter(trained.recipe.inputs))
    net = trained.model.network(name)
    cuts = [config.place] if config.place is not None else list(range(1, net.cuts + 1))
    heads = taught(trained, cuts, config)
    calibration = RunFolder(folder_of(trained.subject)).read("calibration.json")
    best: tuple[float, Placed] | None = None
    for cut in cuts:
        found, scales = judged(trained, heads[cut], cut, calibration)
        choice = choose(found, config.max_drop / 100)
        if choice is None:
            continue
        placed = Placed(heads[cut], cut, scales, choice, found, calibration)
        spent = _expected(trained, placed) if len(cuts) > 1 else 0.0
        if best is None or spent < best[0]:
            best = spent, placed
    if best is None:
        raise ModelError(
            f"{trained.recipe.name}: no look of the validation part can leave early within max_drop, "
            f"{config.max_drop:g} points", hint="a larger max_drop, or leave the step early_exit out",
        )  # fmt: skip
    return best[1]


def _expected(trained: Trained, placed: Placed) -> float:
    """Milliseconds of a look on the average, by the times of both parts here."""
    early, late = placed.modules(trained)
    x = placed.example(trained)
    with torch.no_grad():
        maps = early.eval()(x)[0]
    return milliseconds(early, x) + (1 - placed.choice.share) * milliseconds(late, maps)


PART = EarlyExit
