"""The voice encoder of Resemblyzer: 1.6 s of mel spectrum to a unit vector of 256 numbers.

Wan et al. 2018, Generalized End-to-End Loss for Speaker Verification, https://arxiv.org/abs/1710.10467: three layers of
LSTM with 256 units, a linear layer on the last state, ReLU, length 1. The weights come as a ``torch.save`` file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.core.errors import ModelError
from onlooker.models.convert.onnx_file import Graph
from onlooker.models.convert.torch_file import read_torch

__all__ = ["convert"]

_PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
_UNITS, _LAYERS, _FRAMES, _BANDS = 256, 3, 160, 40


def _gates(weights: NDArray[Any]) -> NDArray[Any]:
    """The gates in ONNX's order (input, output, forget, cell) out of torch's (input, forget, cell, output)."""
    i, f, c, o = np.split(weights, 4)
    return np.concatenate([i, o, f, c])


def convert(members: Mapping[str, bytes]) -> bytes:
    """The weights as an ONNX model: ``mels`` (n, 160, 40) to (n, 256).

    Raises:
        ModelError: other tensors than this network has.
    """
    (data,) = members.values()
    tensors = read_torch(data)
    tensors = {name.removeprefix("model_state."): array for name, array in tensors.items()}
    graph = Graph({"mels": (-1, _FRAMES, _BANDS)})
    try:
        x = graph.node("Transpose", ["mels"], perm=[1, 0, 2])
        last = ""
        for layer in range(_LAYERS):
            w, r, wb, rb = (
                _gates(tensors[f"lstm.{n}_l{layer}"]) for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            constants = [graph.constant(a[None]) for a in (w, r, np.concatenate([wb, rb]))]
            y, last = graph.nodes("LSTM", [x, *constants], 2, hidden_size=_UNITS)
            x = graph.node("Squeeze", [y, graph.constant(np.array([1], np.int64))])
        state = graph.node("Squeeze", [last, graph.constant(np.array([0], np.int64))])
        product = graph.node("MatMul", [state, graph.constant(tensors["linear.weight"].T)])
        voice = graph.node("Relu", [graph.node("Add", [product, graph.constant(tensors["linear.bias"])])])
    except KeyError as error:
        raise ModelError(f"not the weights of the voice encoder: {error} is missing") from None
    return graph.finish({graph.node("LpNormalization", [voice], axis=1, p=2): (-1, _UNITS)})
