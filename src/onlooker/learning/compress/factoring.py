"""Layers of low rank as two smaller ones, where that is less work and less time."""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from onlooker.learning.complexity import count
from onlooker.learning.compress.narrow import Factors, Layer
from onlooker.learning.model import Model

__all__ = ["Factored", "factored", "factors_of", "layer_inputs", "milliseconds", "rank_of"]

_WARM, _LOOKS = 5, 25


@dataclass(frozen=True, slots=True)
class Factored:
    """A layer that is better in two factors.

    Args:
        name: of the layer.
        module: the factors.
        rank: of them.
        work: their multiply-adds for those of the layer.
        time: their milliseconds for those of the layer; None where it was not measured.
    """

    name: str
    module: Factors
    rank: int
    work: float
    time: float | None


def layer_inputs(model: Model, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """By name of each linear layer and each convolution without groups that is trained, what it is given."""
    found: dict[str, Tensor] = {}
    hooks: list[Any] = []
    for name, module in _layers(model):

        def keep(_: nn.Module, given: tuple[Tensor, ...], name: str = name) -> None:
            found.setdefault(name, given[0].detach())

        hooks.append(module.register_forward_pre_hook(keep))
    with torch.no_grad():
        model.eval()(inputs)
    for hook in hooks:
        hook.remove()
    return found


def _layers(model: Model) -> Iterator[tuple[str, Layer]]:
    inside = {part for m in model.modules() if isinstance(m, Factors) for part in m}
    for name, module in model.named_modules():
        if isinstance(module, Layer) and module not in inside:
            plain = isinstance(module, nn.Linear) or module.groups == 1
            if plain and module.weight.requires_grad:
                yield name, module


def rank_of(layer: Layer, energy: float, round_to: int) -> int:
    """The least rank that keeps a share of the energy (of squared singular values), as a multiple of ``round_to``."""
    values = torch.linalg.svdvals(layer.weight.detach().float().flatten(1)).square()
    kept = values.cumsum(0) / values.sum().clamp(min=1e-30)
    rank = int((kept < energy).sum()) + 1
    return min(len(values), -(-rank // round_to) * round_to)


@torch.no_grad()
def factors_of(layer: Layer, rank: int) -> Factors:
    """The best factors of a rank, by singular values (Eckart and Young 1936), each with their roots."""
    left, values, right = torch.linalg.svd(layer.weight.float().flatten(1), full_matrices=False)
    root = values[:rank].sqrt()
    made = Factors.like(layer, rank)
    made.first.weight.copy_((root[:, None] * right[:rank]).view(made.first.weight.shape))
    made.second.weight.copy_((left[:, :rank] * root).view(made.second.weight.shape))
    if layer.bias is not None:
        assert made.second.bias is not None
        made.second.bias.copy_(layer.bias)
    return made.train(layer.training)


def factored(
    model: Model, inputs: Mapping[str, Tensor], *, energy: float, gain: float, round_to: int, measure: bool
) -> list[Factored]:
    """The layers for which two factors pay, the model stays as it is.

    Args:
        model: whose layers.
        inputs: one sample.
        energy: share that is kept.
        gain: factors are taken where their multiply-adds and their time are at most this share of the layer's.
        round_to: ranks are a multiple of this.
        measure: measure the time of both here, in OpenVINO with one thread.
    """
    given = layer_inputs(model, inputs)
    made: list[Factored] = []
    for name, layer in _layers(model):
        x = given.get(name)
        if x is None:
            continue
        rank = rank_of(layer, energy, round_to)
        module = factors_of(layer, rank)
        work = count(module, x).multiply_adds / max(1, count(layer, x).multiply_adds)
        if work > gain:
            continue
        spent = milliseconds(module, x) / milliseconds(layer, x) if measure else None
        if spent is None or spent <= gain:
            made.append(Factored(name, module, rank, work, spent))
    return made


def milliseconds(module: nn.Module, x: Tensor) -> float:
    """Least time of a module in OpenVINO on one thread, once it is warm: what else runs here only adds to it."""
    import openvino

    plain = copy.deepcopy(module).cpu().eval()
    x = x.float().cpu().contiguous()
    with warnings.catch_warnings():
        # OpenVINO traces by what PyTorch calls deprecated
        warnings.simplefilter("ignore")
        read = openvino.convert_model(plain, example_input=x)
    compiled = openvino.compile_model(read, "CPU", {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"})
    request, array = compiled.create_infer_request(), x.numpy()
    times: list[float] = []
    for _ in range(_WARM + _LOOKS):
        began = time.perf_counter()
        request.infer([array])
        times.append(time.perf_counter() - began)
    return min(times[_WARM:]) * 1e3
