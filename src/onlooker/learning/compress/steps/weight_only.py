"""Weights of 8 bits that become float32 when the model is loaded: a quarter of the size, computed in full precision.

Each channel of a weight has a scale by its largest number (Jacob et al. 2018, arXiv 1712.05877). Engines undo it once
when they load, so that nothing is faster and nothing needs calibration. Models that are not ONNX go by NNCF.

OpenVINO (seen in 2026.4) takes a convolution of 1 x 1 whose weights are so kept for a product of matrices where axes
are turned around it, and forgets its strides and borders: it answers in another shape or does not load. In ONNX such
weights are therefore kept as a matrix, which it does not take for them; in OpenVINO IR they stay in full precision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from onlooker.learning.compress.onnx_bundle import checked
from onlooker.learning.compress.onnx_files import require_onnx, unused_name, weights_of
from onlooker.learning.compress.onnx_int8 import require_nncf
from onlooker.learning.compress.onnx_ir import ir_bytes, openvino_model
from onlooker.learning.compress.onnx_weights import inserted, refusal_of, reweighted
from onlooker.learning.compress.step import Compression, StepConfig, Subject, Work
from onlooker.learning.silence import quiet

__all__ = ["PART", "Config", "WeightOnly"]

_STEPS = 127.0
_FARTHEST = 0.5


class Config(StepConfig):
    """Settings of weights in int8.

    Attributes:
        least: weights with fewer numbers stay as they are.
        max_drop: largest loss on the validation part, as of the step ``int8``.
        validation: so many samples of the validation part judge.
    """

    step: Literal["weight_only"] = "weight_only"
    least: int = Field(default=256, ge=1, le=1 << 30)
    max_drop: float = Field(default=0.01, ge=0, le=1)
    validation: int = Field(default=400, ge=1, le=100_000)


class WeightOnly(Compression):
    """See the module."""

    Config: ClassVar[type[StepConfig]] = Config
    trains: ClassVar[bool] = False

    @classmethod
    def refusal(cls, subject: Subject, config: StepConfig) -> str | None:
        """See `Compression.refusal`."""
        assert isinstance(config, Config)
        return refusal_of(subject, lambda graph: _weights(graph, config.least))

    @classmethod
    def apply(cls, subject: Subject, config: StepConfig, work: Work) -> Subject:
        """See `Compression.apply`.

        Raises:
            ModelError: too much is lost, or the result is no working bundle.
            UsageError: NNCF is missing, for models that are not ONNX.
        """
        assert isinstance(config, Config)
        checked("weight_only", cls.refusal(subject, config))
        return reweighted(
            subject, config, work, onnx=lambda graph: _compress(graph, config.least), other=_by_nncf,
            allowed=_FARTHEST, validation=config.validation, max_drop=config.max_drop,
        )  # fmt: skip


def _by_nncf(path: Path, shapes: Mapping[str, Sequence[int]]) -> tuple[bytes, bytes]:
    nncf = require_nncf()
    loaded = openvino_model(path, shapes)[0]
    kept = [op.get_friendly_name() for op in loaded.get_ops() if _taken_for_a_product(op)]
    scope = {"ignored_scope": nncf.IgnoredScope(names=kept)} if kept else {}
    with quiet():
        model = nncf.compress_weights(loaded, **scope)
    return ir_bytes(model)


def _taken_for_a_product(op: Any) -> bool:
    if op.get_type_name() != "Convolution" or any(side != 1 for side in list(op.input(1).get_shape())[2:]):
        return False
    told = op.get_attributes()
    return any(n != 1 for n in told["strides"]) or any((*told["pads_begin"], *told["pads_end"]))


def _weights(graph: Any, least: int) -> list[tuple[Any, int]]:
    """Weights with two axes or more, and the axis of their output channels."""
    axes: dict[str, int] = {}
    for node in graph.node:
        if node.op_type == "Conv":
            axes[node.input[1]] = 0
        elif node.op_type in ("MatMul", "Gemm", "ConvTranspose"):
            turned = any(a.name == "transB" and a.i for a in node.attribute)
            axes |= dict.fromkeys(node.input[:2], 0 if turned else 1)
        elif node.op_type in ("GRU", "LSTM"):
            axes |= dict.fromkeys(node.input[1:3], 1)
    return [(t, axes[t.name]) for t in weights_of(graph, least) if t.name in axes and len(t.dims) > axes[t.name]]


def _compress(graph: Any, least: int) -> None:
    """Make an ONNX graph's weights int8 numbers with a scale, multiplied by nodes that engines fold as they load."""
    onnx = require_onnx()
    nodes = []
    convolved = {node.input[1] for node in graph.node if node.op_type == "Conv"}
    for tensor, axis in _weights(graph, least):
        values = onnx.numpy_helper.to_array(tensor)
        others = tuple(a for a in range(values.ndim) if a != axis)
        scale = np.maximum(np.abs(values).max(others, keepdims=True), 1e-20).astype(np.float32) / np.float32(_STEPS)
        name, whole = tensor.name, values.shape
        small, factor, wide = (unused_name(graph, f"{name}.{end}") for end in ("int8", "scale", "wide"))
        steps, made = np.rint(values / scale).astype(np.int8), name
        if name in convolved and whole[2:] == (1,) * (values.ndim - 2):
            made, shape = unused_name(graph, f"{name}.matrix"), unused_name(graph, f"{name}.shape")
            steps, scale = steps.reshape(whole[:2]), scale.reshape(-1, 1)
            graph.initializer.append(onnx.numpy_helper.from_array(np.array(whole, np.int64), shape))
        tensor.CopyFrom(onnx.numpy_helper.from_array(steps, small))
        graph.initializer.append(onnx.numpy_helper.from_array(scale, factor))
        nodes.append(onnx.helper.make_node("Cast", [small], [wide], name=wide, to=onnx.TensorProto.FLOAT))
        nodes.append(onnx.helper.make_node("Mul", [wide, factor], [made], name=factor))
        if made != name:
            nodes.append(onnx.helper.make_node("Reshape", [made, shape], [name], name=made))
    inserted(graph, nodes)


PART = WeightOnly
