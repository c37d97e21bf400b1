"""Optimisers, schedules and the running mean of weights, from typed settings."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from onlooker.learning.training.muon import Muon

__all__ = ["Mean", "OptimiserConfig", "ScheduleConfig", "make_optimisers", "rate_at"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OptimiserConfig(_Model):
    """What moves the weights.

    Attributes:
        kind: ``adamw`` (Loshchilov and Hutter 2019), ``adam``, ``sgd`` with momentum, or ``muon``: matrices and filters
            by Muon (Jordan et al. 2024), the rest by SGD with Nesterov's momentum.
        rate: the greatest learning rate.
        weight_decay: of matrices and filters; ``adamw`` and ``muon`` decouple it, others add it to the gradient (L2).
        decay_all: of biases and norms too.
        betas: of Adam.
        momentum, nesterov: of SGD and Muon.
        normalise: of ``muon``: weights are brought to a fixed norm before each step.
        iterations: of ``muon``: of Newton and Schulz.
        rest_rate: of ``muon``: the learning rate of what is no matrix, and of heads; None: ``rate``.
        rest_momentum: of ``muon``: the momentum of these.
        rest_decay: of ``muon``: by which share these shrink at each step at the greatest rate.
        bias_rate: factor on the rate of biases of networks.
    """

    kind: Literal["adamw", "adam", "sgd", "muon"] = "adamw"
    rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    decay_all: bool = False
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    nesterov: bool = True
    normalise: bool = False
    iterations: int = Field(default=5, ge=1, le=20)
    rest_rate: float | None = Field(default=None, gt=0)
    rest_momentum: float = Field(default=0.85, ge=0, lt=1)
    rest_decay: float = Field(default=0.0, ge=0, lt=1)
    bias_rate: float = Field(default=1.0, gt=0)


class ScheduleConfig(_Model):
    """The learning rate over the run, as a share of its greatest.

    Attributes:
        kind: ``cosine``, ``linear`` (to ``final``), ``constant``, or ``steps`` (a tenth at each of ``at``).
        warmup: share of the run in which the rate rises from ``begin``.
        begin: share of the rate at the first step of the warm-up.
        final: share of the rate at the end.
        at: shares of the run.
    """

    kind: Literal["cosine", "linear", "constant", "steps"] = "cosine"
    warmup: float = Field(default=0.05, ge=0, lt=1)
    begin: float = Field(default=0.0, ge=0, le=1)
    final: float = Field(default=0.0, ge=0, le=1)
    at: tuple[float, ...] = (0.5, 0.75)


def rate_at(config: ScheduleConfig, step: int, steps: int) -> float:
    """The share of the greatest learning rate at one of ``steps`` steps.

    >>> [round(rate_at(ScheduleConfig(kind="linear", warmup=0.5), s, 4), 2) for s in range(4)]
    [0.5, 1.0, 1.0, 0.5]
    """
    warm = config.warmup * steps
    if step < warm:
        return config.begin + (1 - config.begin) * min(1.0, (step + 1) / warm)
    done = (step - warm) / max(1e-9, steps - warm)
    match config.kind:
        case "constant":
            return 1.0
        case "steps":
            return 0.1 ** sum(step / steps >= place for place in config.at)
        case "linear":
            return 1 - (1 - config.final) * done
        case _:
            return config.final + (1 - config.final) * (1 + math.cos(math.pi * done)) / 2


def make_optimisers(
    model: nn.Module, config: OptimiserConfig, factor: Callable[[str], float], extra: Mapping[str, nn.Parameter]
) -> list[torch.optim.Optimizer]:
    """The optimisers of all parameters that are trained; each group's ``scale`` is its factor on the rate.

    Args:
        model: whose parameters.
        config: the settings.
        factor: on the rate, by a parameter's name.
        extra: further parameters, without decay (weights of tasks).
    """
    groups: dict[tuple[bool, float, float], list[nn.Parameter]] = {}
    rest = (config.rest_rate or config.rate) / config.rate
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        matrix = parameter.ndim >= 2
        by_muon = config.kind == "muon" and matrix and not name.startswith(("heads.", "sides."))
        decay = config.weight_decay if matrix or config.decay_all else 0.0
        scale = factor(name) * (1.0 if by_muon or config.kind != "muon" else rest)
        if parameter.ndim == 1 and name.endswith("bias") and name.startswith("encoders."):
            scale *= config.bias_rate
        if config.kind == "muon" and not by_muon:
            decay = config.rest_decay / (config.rate * scale) if scale else 0.0
        groups.setdefault((by_muon, decay, scale), []).append(parameter)
    if extra:
        groups.setdefault((False, 0.0, 1.0), []).extend(extra.values())

    def made(muon: bool) -> list[dict[str, Any]]:
        return [
            {"params": parameters, "weight_decay": decay, "scale": scale, "lr": config.rate * scale}
            for (by_muon, decay, scale), parameters in groups.items()
            if by_muon == muon
        ]

    optimisers: list[torch.optim.Optimizer] = []
    if plain := made(muon=False):
        optimisers.append(_plain(plain, config))
    if by_muon := made(muon=True):
        own = {"normalise": config.normalise, "iterations": config.iterations}
        optimisers.append(Muon(by_muon, lr=config.rate, momentum=config.momentum, nesterov=config.nesterov, **own))
    return optimisers


def _plain(groups: list[dict[str, Any]], config: OptimiserConfig) -> torch.optim.Optimizer:
    if config.kind == "adamw":
        return torch.optim.AdamW(groups, lr=config.rate, betas=config.betas)
    if config.kind == "adam":
        return torch.optim.Adam(groups, lr=config.rate, betas=config.betas)
    momentum = config.rest_momentum if config.kind == "muon" else config.momentum
    return torch.optim.SGD(groups, lr=config.rate, momentum=momentum, nesterov=config.nesterov and momentum > 0)


class Mean:
    """A running mean of weights and buffers (Polyak and Juditsky 1992), slower at the start so that it soon fits.

    Args:
        model: whose.
        decay: share of the old mean that is kept at each step in the long run.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.count = decay, 0
        self.values: dict[str, Tensor] = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take the weights of now in."""
        self.count += 1
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        lerp: Any = getattr(torch, "_foreach_lerp_")  # noqa: B009
        floats: tuple[list[Tensor], list[Tensor]] = ([], [])
        for name, value in model.state_dict().items():
            if value.dtype.is_floating_point:
                floats[0].append(self.values[name])
                floats[1].append(value)
            else:
                self.values[name].copy_(value)
        lerp(floats[0], floats[1], 1 - decay)
