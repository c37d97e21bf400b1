"""A network with an early exit in int8: the part before the branch and the branch that goes on, each by itself.

Quantisers leave what stands in a branch of the operator ``If`` as it is, and calibrate by it only what runs, so both
parts are taken out as models of their own, quantised, and put together again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from onlooker.core.errors import ModelError
from onlooker.learning.compress.exiting_graph import INPUT, MAPS, OUTPUT, branch_of, prefixed
from onlooker.learning.compress.onnx_files import checked_model, read_onnx, require_onnx
from onlooker.learning.compress.onnx_int8 import Arrays, Operators, Quantiser, answers

__all__ = ["ExitQuantiser"]

_ALWAYS, _NEVER = 0.0, 2.0
_BRANCH, _PUT_BACK = "else_branch", "int8."


class ExitQuantiser(Quantiser):
    """As `Quantiser`, of a model that `onlooker.learning.compress.exiting_graph.joined` made.

    Args:
        model: the file.
        shapes: of its inputs by name.
        feeds: what it is given.
        folder: for its own files.
        settings: as of `Quantiser`.

    Raises:
        ModelError: the model is damaged or of another form.
        UsageError: a library is missing.
    """

    def __init__(
        self, model: Path, shapes: Mapping[str, Sequence[int]], feeds: Sequence[Arrays], folder: Path, **settings: Any
    ) -> None:
        whole = read_onnx(model)
        self._if = branch_of(whole)
        if self._if is None:
            raise ModelError(f"{model.name}: its early exit is of another form than onlooker compress makes")
        self._outputs = list(whole.graph.output)
        self.path = model
        first, late = folder / "first.onnx", folder / "late.onnx"
        first.write_bytes(_without_branch(whole, self._if))
        known, early = answers(first.read_bytes(), (MAPS, OUTPUT), feeds).values()
        late.write_bytes(_as_model(whole, self._if, known[0].shape))
        self.share = float(early.mean())
        """Of the feeds that leave early."""
        for name in ("one", "other"):
            (folder / name).mkdir()
        self._first = Quantiser(first, shapes, feeds, folder / "one", **settings)
        maps = [{MAPS: array} for array in known]
        self._late = Quantiser(late, {MAPS: known[0].shape}, maps, folder / "other", **settings)
        self._feeds = [
            {**feed, INPUT: np.array([_ALWAYS if number % 2 else _NEVER], np.float32)}
            for number, feed in enumerate(feeds)
        ]  # fmt: skip
        self.layers = [*self._first.layers, *self._late.layers]
        self._known: dict[tuple[str, frozenset[str]], bytes] = {}

    def turns(self, feeds: Sequence[Arrays]) -> list[tuple[float, list[Arrays]]]:
        """See `Quantiser.turns`."""
        kinds = ((self.share, _ALWAYS), (1 - self.share, _NEVER))
        return [(share, [{**f, INPUT: np.array([least], np.float32)} for f in feeds]) for share, least in kinds]

    def made(self, operators: Operators, keep: Collection[str] = ()) -> bytes:
        """See `Quantiser.made`."""
        key = operators, frozenset(keep)
        if key not in self._known:
            self._known[key] = self._joined(self._first.made(operators, keep), self._late.made(operators, keep))
        return self._known[key]

    def alone(self, layer: str) -> bytes:
        """See `Quantiser.alone`."""
        if layer in self._first.layers:
            return self._joined(self._first.alone(layer), self._late.path.read_bytes())
        return self._joined(self._first.path.read_bytes(), self._late.alone(layer))

    def _joined(self, first: bytes, late: bytes) -> bytes:
        onnx = require_onnx()
        model, rest = onnx.load_from_string(first), onnx.load_from_string(late)
        prefixed(rest.graph, _PUT_BACK, keep=MAPS)
        del rest.graph.input[:]
        del rest.graph.value_info[:]
        node = onnx.NodeProto()
        node.CopyFrom(self._if)
        for attribute in node.attribute:
            if attribute.name == _BRANCH:
                attribute.g.CopyFrom(rest.graph)
        # what runs after the branch's condition is known stands behind it in the graph, as it must
        model.graph.node.append(node)
        del model.graph.output[:]
        model.graph.output.extend(self._outputs)
        return checked_model(model.SerializeToString())


def _without_branch(whole: Any, branch: Any) -> bytes:
    """The part that always runs, which gives what the branches read beside its own outputs."""
    onnx = require_onnx()
    model = onnx.ModelProto()
    model.CopyFrom(whole)
    model.graph.node.remove(branch)
    made = {name for node in model.graph.node for name in node.output}
    read = {name for a in branch.attribute for node in a.g.node for name in node.input}
    kinds = {v.name: v for v in (*onnx.shape_inference.infer_shapes(model).graph.value_info, *model.graph.output)}
    outputs = [kinds[n] for n in sorted((read & made) | {branch.input[0]}) if n in kinds]
    own = [o for o in model.graph.output if o.name in made]
    del model.graph.output[:]
    model.graph.output.extend([*outputs, *(o for o in own if o.name not in {x.name for x in outputs})])
    return checked_model(model.SerializeToString())


def _as_model(whole: Any, branch: Any, shape: Sequence[int]) -> bytes:
    """The branch that goes on, from the maps."""
    onnx = require_onnx()
    (graph,) = (a.g for a in branch.attribute if a.name == _BRANCH)
    given = onnx.helper.make_tensor_value_info(MAPS, onnx.TensorProto.FLOAT, list(shape))
    made = onnx.helper.make_graph(graph.node, "late", [given], graph.output, graph.initializer)
    model = onnx.helper.make_model(made, opset_imports=whole.opset_import, ir_version=whole.ir_version)
    return checked_model(model.SerializeToString())
