"""A network and its exit as one ONNX model: the rest of the network stands in a branch of the operator ``If``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onlooker.core.errors import ModelError
from onlooker.learning.compress.onnx_files import checked_model, require_onnx
from onlooker.learning.export.graph import Piece, to_onnx

__all__ = ["INPUT", "MAPS", "OUTPUT", "branch_of", "joined", "prefixed"]

INPUT, OUTPUT = "exit.threshold", "exit.early"
MAPS = "exit.maps"
"""Name of the tensor that goes from the first part to the second."""
_SURE, _EARLY, _IF, _LATE = "exit.confidence", "early.", "exit.leaves", "late."


def joined(early: Piece, late: Piece, tasks: Sequence[str]) -> bytes:
    """The model's bytes: it takes what ``early`` takes and `INPUT`, and gives the tasks' logits and `OUTPUT`.

    Args:
        early: gives maps, each task's logits and its confidence; see `onlooker.learning.compress.exiting.Early`.
        late: gives each task's logits from maps.
        tasks: names of the outputs.

    Raises:
        ModelError: it cannot be written as ONNX.
    """
    onnx = require_onnx()
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    names = [MAPS, *(_EARLY + t for t in tasks), _SURE]
    model = onnx.load_from_string(to_onnx(Piece(early.file, early.module, early.inputs, names)))
    rest = onnx.load_from_string(to_onnx(Piece(late.file, late.module, {MAPS: late.inputs[MAPS]}, list(tasks))))
    if [o.version for o in model.opset_import] != [o.version for o in rest.opset_import]:
        raise ModelError(f"{early.file}: its two parts were written in different opsets")
    graph = model.graph
    shapes = {o.name: o.type for o in graph.output}
    prefixed(rest.graph, _LATE, keep=MAPS)
    del rest.graph.input[:]
    del rest.graph.value_info[:]
    leave = [helper.make_node("Identity", [_EARLY + t], [f"then.{t}"]) for t in tasks]
    outputs = [onnx.ValueInfoProto(name=f"then.{t}", type=shapes[_EARLY + t]) for t in tasks]
    graph.node.extend(
        [
            helper.make_node("GreaterOrEqual", [_SURE, INPUT], [_IF]),
            helper.make_node(
                "If", [_IF], list(tasks), then_branch=helper.make_graph(leave, "early", [], outputs),
                else_branch=rest.graph,
            ),
            helper.make_node("Cast", [_IF], [OUTPUT], to=float32),
        ]
    )  # fmt: skip
    graph.input.append(helper.make_tensor_value_info(INPUT, float32, (1,)))
    given = [onnx.ValueInfoProto(name=t, type=shapes[_EARLY + t]) for t in tasks]
    del graph.output[:]
    graph.output.extend([*given, helper.make_tensor_value_info(OUTPUT, float32, (1,))])
    return checked_model(model.SerializeToString(deterministic=True))


def branch_of(model: Any) -> Any:
    """The node of a model that `joined` made at which it branches; None of others."""
    found = [node for node in model.graph.node if node.op_type == "If"]
    named = {tensor.name for tensor in (*model.graph.input, *model.graph.output)}
    return found[0] if len(found) == 1 and {INPUT, OUTPUT} <= named else None


def prefixed(graph: Any, prefix: str, *, keep: str) -> None:
    """Give all names of a graph a prefix but one, which is that of a tensor outside.

    Raises:
        ModelError: it has branches of its own.
    """

    def named(name: str) -> str:
        return name if name in ("", keep) else prefix + name

    for node in graph.node:
        node.name = named(node.name)
        for held in (node.input, node.output):
            renamed = [named(n) for n in held]
            del held[:]
            held.extend(renamed)
        if any(a.HasField("g") for a in node.attribute):
            raise ModelError("the rest of the network has branches of its own, which an exit cannot stand before")
    for part in (*graph.initializer, *graph.output):
        part.name = named(part.name)
    graph.name = "late"
