"""A module as the bytes of an ONNX file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn

from onlooker.core.errors import ModelError
from onlooker.learning.silence import quiet

__all__ = ["AFTER", "BEFORE", "Piece", "to_onnx"]

BEFORE, AFTER = "before.", "after."
"""What the names of a state's tensors begin with, as input and as output."""
_OPSET = 18
_MOST = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Piece:
    """One file of a bundle.

    Args:
        file: its name.
        module: takes ``inputs`` and ``state`` in order and gives ``outputs`` and the state after it, all by place.
        inputs: by name, one of the right shape.
        outputs: names.
        state: by name, at the beginning.
    """

    file: str
    module: nn.Module
    inputs: Mapping[str, Tensor]
    outputs: Sequence[str]
    state: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])


def to_onnx(piece: Piece) -> bytes:
    """The file, with its shapes fixed and its weights inside, and nothing in it of where it was made.

    Raises:
        ModelError: the module cannot be written as ONNX.
    """
    given = (*piece.inputs.values(), *piece.state.values())
    with torch.no_grad(), quiet():
        try:
            program = torch.onnx.export(
                piece.module.eval(),
                given,
                dynamo=True,
                opset_version=_OPSET,
                verbose=False,
                external_data=False,
                input_names=[*piece.inputs, *(BEFORE + name for name in piece.state)],
                output_names=[*piece.outputs, *(AFTER + name for name in piece.state)],
            )
        except (RuntimeError, ValueError, TypeError) as error:
            raise ModelError(f"{piece.file}: the model cannot be written as ONNX: {_cause(error)}") from error
        model = cast(Any, program).model_proto
    if model.ByteSize() > _MOST:
        raise ModelError(f"{piece.file}: the model is larger than the 2 GiB that an ONNX file holds")
    _without_traces(model)
    return model.SerializeToString(deterministic=True)


def _cause(error: BaseException) -> str:
    """What lies at the bottom of the exporter's errors, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or ['?'])[0]}"


def _without_traces(model: Any) -> None:
    """Leave out where in which source file each node was traced."""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    for part in (*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.value_info):
        del part.metadata_props[:]
        part.doc_string = ""
