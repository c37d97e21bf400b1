"""How large a model is and what it costs: parameters, multiply-adds, memory of a training step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

__all__ = ["Complexity", "Inputs", "activation_memory", "count", "estimate_memory"]

Inputs: TypeAlias = Tensor | Mapping[str, Tensor] | Sequence[int]
"""A batch, batches by name, or the shape of one sample."""


@dataclass(frozen=True, slots=True)
class Complexity:
    """How large a model is.

    Args:
        parameters: all numbers that are learned, frozen ones too; shared ones count once.
        multiply_adds: of convolutions, matrix products, recurrent layers and attention for the given inputs; additions
            alone, norms and activations are not counted, as is usual.
    """

    parameters: int
    multiply_adds: int


def count(model: nn.Module, inputs: Inputs) -> Complexity:
    """Count parameters and the multiply-adds of one forward pass; the model stays as it is.

    >>> count(torch.nn.Conv2d(3, 8, 3, bias=False), (3, 10, 10))
    Complexity(parameters=216, multiply_adds=13824)
    """
    counter = FlopCounterMode(display=False, custom_mapping=dict(_ON_CPU))
    with _evaluating(model), torch.no_grad(), torch.random.fork_rng(), counter:
        model(_given(model, inputs))
    return Complexity(sum(p.numel() for p in model.parameters()), counter.get_total_flops() // 2)


def estimate_memory(model: nn.Module, inputs: Inputs) -> int:
    """Bytes that training needs: weights, gradients and two moments (Adam) of those trained, and `activation_memory`.

    What is needed for a moment inside an operation, and what PyTorch itself takes, is not in it.
    """
    weights = sum(t.nbytes for t in (*model.parameters(), *model.buffers()))
    trained = sum(p.nbytes for p in model.parameters() if p.requires_grad)
    return weights + 3 * trained + activation_memory(model, inputs)


def activation_memory(model: nn.Module, inputs: Inputs) -> int:
    """Bytes that one training step keeps from its forward to its backward pass, from a forward pass that is tried.

    The model and the state of random numbers stay as they are. Under autocast it counts what that keeps.
    """
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    with torch.enable_grad(), torch.random.fork_rng():
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            answer = model(_given(model, inputs))
        del answer
    with torch.no_grad():
        for buffer, before in buffers:
            buffer.copy_(before)
    return sum(kept.values())


def _given(model: nn.Module, inputs: Inputs) -> Tensor | Mapping[str, Tensor]:
    if isinstance(inputs, Tensor | Mapping):
        return inputs
    device = next((p.device for p in model.parameters()), None)
    return torch.zeros(1, *inputs, device=device)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """The model in its evaluating mode; each part is set back after it."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _attention(queries: Sequence[int], keys: Sequence[int], values: Sequence[int], *_: Any, **__: Any) -> int:
    return sdpa_flop_count(tuple(queries), tuple(keys), tuple(values))


def _lstm(x: Sequence[int], given: Sequence[int], kept: Sequence[int], *_: Any, **__: Any) -> int:
    """Of (T, B, C), weights (4 D, C) and (4 D, D)."""
    return 2 * x[0] * x[1] * (math.prod(given) + math.prod(kept))


_ON_CPU = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    torch.ops.aten.mkldnn_rnn_layer: _lstm,
}
"""Operations of CPUs that PyTorch's own counter leaves out."""
