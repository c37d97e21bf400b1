"""ONNX models in other versions of the standard operators."""

from __future__ import annotations

from typing import Any

from onlooker.core.errors import ModelError
from onlooker.learning.compress.onnx_files import graphs_of, opset_of, require_onnx

__all__ = ["to_opset"]

_REDUCE = frozenset(
    f"Reduce{kind}" for kind in ("Max", "Min", "Mean", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare")
)


def to_opset(model: Any, opset: int) -> Any:
    """A model in another version; it is valid, and whether it answers the same is for the caller to try.

    By onnx's converter, which does not know how to go below 18, where reductions got their axes as an input and Split
    the number of its outputs: that step is made here.

    Args:
        model: is changed.
        opset: the version.

    Raises:
        ModelError: it cannot be said in that version.
    """
    onnx = require_onnx()
    try:
        if opset < 18 <= opset_of(model):
            if opset_of(model) > 18:
                model = onnx.version_converter.convert_version(model, 18)
            _below_18(model)
        if opset_of(model) != opset:
            model = onnx.version_converter.convert_version(model, opset)
        onnx.checker.check_model(model, full_check=True)
    except ModelError:
        raise
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(f"it cannot be said in opset {opset}: {lines[0][:200]}") from None
    return model


def _below_18(model: Any) -> None:
    """From 18 to 17."""
    onnx, graphs = require_onnx(), graphs_of(model)
    held = {i.name: i for graph in graphs for i in graph.initializer}
    for node in (n for graph in graphs for n in graph.node):
        if node.op_type in _REDUCE:
            kept = [a for a in node.attribute if a.name != "noop_with_empty_axes"]
            if len(node.input) > 1:
                if node.input[1] not in held:
                    raise ModelError(f"{node.op_type} {node.name} has axes that are computed, which 17 does not know")
                axes = onnx.numpy_helper.to_array(held[node.input[1]]).reshape(-1).tolist()
                kept.append(onnx.helper.make_attribute("axes", axes))
                del node.input[1:]
            del node.attribute[:]
            node.attribute.extend(kept)
        elif node.op_type == "Split":
            kept = [a for a in node.attribute if a.name != "num_outputs"]
            del node.attribute[:]
            node.attribute.extend(kept)
    used = {name for graph in graphs for node in graph.node for name in node.input}
    for graph in graphs:
        for index in range(len(graph.initializer) - 1, -1, -1):
            if graph.initializer[index].name not in used:
                del graph.initializer[index]
    for known in model.opset_import:
        if known.domain in ("", "ai.onnx"):
            known.version = 17
