"""Weights of 16 bits: half the size, at nearly the same answers.

Weights are kept in IEEE half precision and become float32 when the model is loaded; both engines compute in float32 as
before, so that answers are the same on every processor and nothing is faster. OpenVINO would compute in bfloat16 where
the processor has it, if it was asked to; bundles are not run so, since other processors would answer otherwise.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from onlooker.core.errors import ModelError
from onlooker.learning.compress.onnx_bundle import checked
from onlooker.learning.compress.onnx_files import require_onnx, unused_name, weights_of
from onlooker.learning.compress.onnx_ir import ir_bytes, openvino_model
from onlooker.learning.compress.onnx_weights import inserted, refusal_of, reweighted
from onlooker.learning.compress.step import Compression, StepConfig, Subject, Work

__all__ = ["PART", "Config", "Half"]

_LARGEST = 65504.0
_FARTHEST = 0.05


class Config(StepConfig):
    """Settings of half precision.

    Attributes:
        least: weights with fewer numbers stay as they are.
        validation: so many samples of the validation part judge the result.
    """

    step: Literal["half"] = "half"
    least: int = Field(default=256, ge=1, le=1 << 30)
    validation: int = Field(default=400, ge=1, le=100_000)


class Half(Compression):
    """See the module."""

    Config: ClassVar[type[StepConfig]] = Config
    trains: ClassVar[bool] = False

    @classmethod
    def refusal(cls, subject: Subject, config: StepConfig) -> str | None:
        """See `Compression.refusal`."""
        assert isinstance(config, Config)
        return refusal_of(subject, lambda graph: weights_of(graph, config.least))

    @classmethod
    def apply(cls, subject: Subject, config: StepConfig, work: Work) -> Subject:
        """See `Compression.apply`.

        Raises:
            ModelError: a weight is larger than half precision holds, or the result is no working bundle.
        """
        assert isinstance(config, Config)
        checked("half", cls.refusal(subject, config))
        return reweighted(
            subject, config, work, onnx=lambda graph: _halved(graph, config.least),
            other=lambda path, shapes: ir_bytes(openvino_model(path, shapes)[0], half=True),
            allowed=_FARTHEST, validation=config.validation,
        )  # fmt: skip


def _halved(graph: Any, least: int) -> None:
    """Make an ONNX graph's weights float16 that become float32 by a Cast, which engines do once when they load."""
    onnx = require_onnx()
    nodes = []
    for tensor in weights_of(graph, least):
        values = onnx.numpy_helper.to_array(tensor)
        if not np.abs(values).max(initial=0) <= _LARGEST:
            raise ModelError(f"the weight {tensor.name} is larger than half precision holds", hint="leave half out")
        name, small = tensor.name, unused_name(graph, f"{tensor.name}.half")
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), small))
        nodes.append(onnx.helper.make_node("Cast", [small], [name], name=small, to=onnx.TensorProto.FLOAT))
    inserted(graph, nodes)


PART = Half
