"""ONNX models: read, fixed in shape, simplified, checked."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from onlooker.core.errors import ModelError, UsageError
from onlooker.learning.compress.onnx_views import without_views

__all__ = [
    "LEAST_OPSET",
    "STANDARD",
    "checked_model",
    "graphs_of",
    "initialisers_of",
    "nodes_of",
    "opset_of",
    "optimised",
    "prepared",
    "read_onnx",
    "require_onnx",
    "unused_name",
    "weights_of",
]

LEAST_OPSET = 13
"""From which on scales may differ by channel."""
STANDARD = ("", "ai.onnx")


def require_onnx() -> Any:
    """The package.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import onnx
    except ImportError:
        raise UsageError("changing models needs the package onnx", hint="pip install 'onlooker[learn]'") from None
    return onnx


def read_onnx(path: Path) -> Any:
    """A model.

    Raises:
        ModelError: the file is damaged.
    """
    onnx = require_onnx()
    try:
        model = onnx.load(str(path), load_external_data=False)
        onnx.checker.check_model(model)
    except Exception as error:
        raise ModelError(
            f"{path.name} is no valid ONNX model: {_first(error)}", hint="export it again; onlooker bundles verify"
        ) from None
    return model


def opset_of(model: Any) -> int:
    """The version of the standard operators."""
    return max((int(o.version) for o in model.opset_import if o.domain in STANDARD), default=0)


def checked_model(data: bytes) -> bytes:
    """The bytes of a model that is valid and of standard operators alone.

    Raises:
        ModelError: it is not.
    """
    onnx = require_onnx()
    model = onnx.load_from_string(data)
    if own := sorted({f"{n.domain}.{n.op_type}" for n in model.graph.node if n.domain not in STANDARD}):
        raise ModelError(f"the model would hold operators of one engine alone: {', '.join(own)}")
    for index in range(len(model.opset_import) - 1, -1, -1):
        if model.opset_import[index].domain not in STANDARD:
            del model.opset_import[index]
    del model.metadata_props[:]
    try:
        onnx.checker.check_model(model)
    except Exception as error:
        raise ModelError(f"the changed model is not valid: {_first(error)}") from None
    return model.SerializeToString(deterministic=True)


def prepared(path: Path, shapes: Mapping[str, Sequence[int]]) -> Any:
    """A model with its shapes fixed and told for all tensors, simplified, named nodes, of at least `LEAST_OPSET`.

    Args:
        path: of it.
        shapes: of its inputs.

    Raises:
        ModelError: it is damaged or cannot be brought there.
    """
    onnx = require_onnx()
    model = onnx.load_from_string(optimised(path, shapes))
    if opset_of(model) < LEAST_OPSET:
        try:
            model = onnx.version_converter.convert_version(model, LEAST_OPSET)
        except Exception as error:
            raise ModelError(f"{path.name}: cannot be brought to opset {LEAST_OPSET}: {_first(error)}") from None
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{number}"
    return onnx.shape_inference.infer_shapes(model)


def optimised(path: Path, shapes: Mapping[str, Sequence[int]]) -> bytes:
    """A model after optimisations that every engine understands, without operations that move no numbers.

    By ONNX Runtime: constants are folded, doubles and what is not used left out, norms and additions taken into
    convolutions and products; see `onnx_views` for the rest.

    Args:
        path: of it.
        shapes: of its inputs, which are fixed.

    Raises:
        ModelError: it is damaged, or does not take such inputs.
    """
    model = _fixed(read_onnx(path), shapes, path.name)
    made = _by_runtime(model, path.name)
    shorter = without_views(made)
    if shorter is not made:
        made = _by_runtime(shorter, path.name)
    return checked_model(made.SerializeToString())


def _by_runtime(model: Any, name: str) -> Any:
    """After its optimisations; the model itself where they would take operators of one engine alone."""
    import onnxruntime

    onnx = require_onnx()
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    with tempfile.TemporaryDirectory(prefix="onlooker-") as folder:
        out = Path(folder) / "model.onnx"
        options.optimized_model_filepath = str(out)
        try:
            onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ModelError(f"ONNX Runtime cannot load {name}: {_first(error)}") from None
        made = onnx.load(str(out))
    return model if any(n.domain not in STANDARD for n in made.graph.node) else made


def _fixed(model: Any, shapes: Mapping[str, Sequence[int]], name: str) -> Any:
    """With inputs of those shapes."""
    known = {i.name for i in model.graph.initializer}
    for given in model.graph.input:
        if given.name in known:
            continue
        if given.name not in shapes:
            raise ModelError(f"{name}: the input {given.name} is none of {', '.join(shapes)}")
        sides = given.type.tensor_type.shape.dim
        if len(sides) != len(shapes[given.name]):
            raise ModelError(f"{name}: the input {given.name} has {len(sides)} axes, not {len(shapes[given.name])}")
        for side, wanted in zip(sides, shapes[given.name], strict=True):
            if side.HasField("dim_value") and side.dim_value > 0 and side.dim_value != wanted:
                raise ModelError(f"{name}: the input {given.name} has a side of {side.dim_value}, expected {wanted}")
            side.dim_value = wanted
    return model


def nodes_of(model: Any) -> list[Any]:
    """The nodes of a model, with those of its branches."""
    return [node for graph in graphs_of(model) for node in graph.node]


def initialisers_of(model: Any) -> list[Any]:
    """Likewise."""
    return [tensor for graph in graphs_of(model) for tensor in graph.initializer]


def graphs_of(model: Any) -> list[Any]:
    """The graph of a model and those of its branches, as of an early exit."""
    made = [model.graph]
    for graph in made:
        made += [a.g for node in graph.node for a in node.attribute if a.HasField("g")]
    return made


def weights_of(graph: Any, least: int) -> list[Any]:
    """Initialisers of float32 with at least so many numbers."""
    onnx = require_onnx()
    made: list[Any] = []
    for tensor in graph.initializer:
        count = 1
        for side in tensor.dims:
            count *= side
        if tensor.data_type == onnx.TensorProto.FLOAT and count >= least:
            made.append(tensor)
    return made


def unused_name(graph: Any, wanted: str) -> str:
    """A name that nothing in a graph has yet."""
    known = {name for n in graph.node for name in (*n.input, *n.output, n.name)} | {i.name for i in graph.initializer}
    number, name = 1, wanted
    while name in known:
        number += 1
        name = f"{wanted}_{number}"
    return name


def _first(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
