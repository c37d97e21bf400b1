"""Operations that move no numbers are taken out of ONNX models of fixed shapes.

A network that looks at one frame at a time still carries the axis of time that it was trained with: its maps go through
reshapes and transpositions that change nothing but names of axes, and its memories are joined to a frame only to be cut
off again. With small maps the engine's cost of an operation outweighs its arithmetic, and such operations are most.

Each tensor is followed to the tensor that holds its numbers in the same order, its source; operations by element and
slices and joins along one axis work on sources; a slice of a join that falls on what was joined is that. A
convolution whose kernel covers an axis whole, as over the frames that a memory holds, is one over more channels and an
axis less, of the same numbers in the same order: engines are quick at those over two axes alone. A reshape is left
where an operation needs another shape than its source has. No number is computed otherwise: answers are the same
but for what an engine fuses in another way afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, combinations, pairwise
from math import prod
from typing import Any, TypeAlias

import numpy as np

__all__ = ["without_views"]

Shape: TypeAlias = tuple[int, ...]

_VIEWS = frozenset(("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Transpose"))
_UNARY = frozenset(
    ("Relu", "Sigmoid", "Tanh", "LeakyRelu", "Elu", "Selu", "HardSigmoid", "HardSwish", "Erf", "Exp", "Log", "Sqrt",
     "Abs", "Neg", "Clip", "Cast", "Gelu", "Softplus", "Softsign", "Mish", "Reciprocal", "Floor", "Ceil", "Round",
     "Not")
)  # fmt: skip
_BINARY = frozenset(
    ("Add", "Sub", "Mul", "Div", "Min", "Max", "Pow", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal",
     "And", "Or")
)  # fmt: skip


def without_views(model: Any) -> Any:
    """The same model with fewer operations; the very model where its shapes are not fixed or it has branches.

    Args:
        model: an `onnx.ModelProto` of the standard operators.

    Returns:
        A model of the same inputs, outputs and answers.

    >>> import onnx
    >>> model = onnx.parser.parse_model('''
    ...     <ir_version: 8, opset_import: ["": 17]> g (float[1, 2, 1, 3] x) => (float[1, 2, 1, 3] y) {
    ...     a = Transpose<perm=[0, 2, 1, 3]>(x) b = Relu(a) y = Transpose<perm=[0, 2, 1, 3]>(b)}''')
    >>> [node.op_type for node in without_views(model).graph.node]
    ['Relu']
    """
    import onnx

    if any(a.HasField("g") or a.graphs for n in model.graph.node for a in n.attribute):
        return model
    shapes = _shapes_of(onnx.shape_inference.infer_shapes(model).graph)
    if any(name not in shapes for n in model.graph.node for name in n.output if name):
        return model
    made = onnx.ModelProto()
    made.CopyFrom(model)
    _Followed(made.graph, shapes).rewrite()
    return made


def _shapes_of(graph: Any) -> dict[str, Shape]:
    """Of all tensors whose shapes are fixed."""
    made: dict[str, Shape] = {i.name: tuple(i.dims) for i in graph.initializer}
    for value in (*graph.input, *graph.output, *graph.value_info):
        kind = value.type.tensor_type
        if kind.HasField("shape") and all(d.HasField("dim_value") for d in kind.shape.dim):
            made[value.name] = tuple(d.dim_value for d in kind.shape.dim)
    return made


class _Followed:
    """A graph as it is written anew, node by node.

    Attributes:
        shapes: that tensors had in the old graph.
        sources: by old tensor, the new one with the same numbers in the same order.
        forms: the shapes of new tensors.
        joined: new tensors that are joins: the axis, and the old tensors that were joined.
        reshapes: new tensors by the source that they have in another form.
        numbers: new constants by what they hold.
    """

    def __init__(self, graph: Any, shapes: dict[str, Shape]) -> None:
        self.graph, self.shapes = graph, shapes
        self.given = {i.name for i in (*graph.input, *graph.initializer)}
        self.sources = {name: name for name in self.given}
        self.forms: dict[str, Shape] = {name: shapes[name] for name in self.given if name in shapes}
        self.joined: dict[str, tuple[int, list[str]]] = {}
        self.constants = {i.name: i for i in graph.initializer}
        self.nodes: list[Any] = []
        self.reshapes: dict[tuple[str, Shape], str] = {}
        self.numbers: dict[Shape, str] = {}
        self.taken = {*self.given, *(name for n in graph.node for name in n.output)}
        self.outputs = {o.name for o in graph.output}

    def rewrite(self) -> None:
        """Write it."""
        for node in self.graph.node:
            how = self._way_of(node)
            if how is None or not how(node):
                self._keep(node)
        self._finish()

    def _way_of(self, node: Any) -> Callable[[Any], bool] | None:
        if node.domain not in ("", "ai.onnx") or any(name and name not in self.shapes for name in node.input):
            return None
        if node.op_type in _VIEWS:
            return self._view
        if node.op_type in _UNARY:
            return self._unary
        if node.op_type in _BINARY and len(node.input) == 2:
            return self._binary
        return {"Slice": self._slice, "Concat": self._concat, "Conv": self._conv}.get(node.op_type)

    # -- what each kind of node becomes; False: it is kept as it is --

    def _keep(self, node: Any) -> None:
        # one of unknown shape is an input of the graph, or what another kept node made
        inputs = [self._shaped(name, self.shapes[name]) if name in self.shapes else name for name in node.input]
        made = self._copied(node, inputs, [self._name(name) for name in node.output])
        for old, new in zip(node.output, made.output, strict=True):
            if old:
                self._known(old, new, self.shapes[old])

    def _view(self, node: Any) -> bool:
        old = node.input[0]
        if node.op_type == "Transpose":
            order = next(list(a.ints) for a in node.attribute if a.name == "perm") if node.attribute else None
            moved = [a for a in order or reversed(range(len(self.shapes[old]))) if self.shapes[old][a] != 1]
            if moved != sorted(moved):
                return False
        self.sources[node.output[0]] = self.sources[old]
        return True

    def _unary(self, node: Any) -> bool:
        source = self.sources[node.input[0]]
        rest = [self._shaped(name, self.shapes[name]) if name else "" for name in node.input[1:]]
        made = self._copied(node, [source, *rest], [self._name(node.output[0])])
        self._known(node.output[0], made.output[0], self.forms[source])
        return True

    def _binary(self, node: Any) -> bool:
        out = node.output[0]
        whole = [name for name in node.input if self.shapes[name] == self.shapes[out]]
        small = [name for name in node.input if prod(self.shapes[name]) == 1]
        if not whole or len(whole) + len(small) < 2:
            return False
        # what the model has computed says the form, rather than what it is given
        form = self.forms[max((self.sources[n] for n in whole), key=lambda n: n not in self.given)]
        inputs = [self._shaped(n, form) if n in whole else self._single(n, len(form)) for n in node.input]
        made = self._copied(node, inputs, [self._name(out)])
        self._known(out, made.output[0], form)
        return True

    def _slice(self, node: Any) -> bool:
        old, out = node.input[0], node.output[0]
        cuts = self._cuts(node)
        if cuts is None or len(cuts) > 1:
            return False
        source = self.sources[old]
        if not cuts:
            self.sources[out] = source
            return True
        ((axis, (start, end)),) = cuts.items()
        place = _place(self.shapes[old], axis, self.forms[source])
        if place is None:
            return False
        if source in self.joined and self.joined[source][0] == place:
            part = self._part(source, start, end)
            if part is not None:
                self.sources[out] = self.sources[part]
                return True
        form = (*self.forms[source][:place], end - start, *self.forms[source][place + 1 :])
        bounds = [self._constant((n,)) for n in (start, end, place)]
        made = self._copied(node, [source, *bounds], [self._name(out)])
        self._known(out, made.output[0], form)
        return True

    def _concat(self, node: Any) -> bool:
        out = node.output[0]
        rank = len(self.shapes[out])
        axis = next(a.i for a in node.attribute if a.name == "axis") % rank
        names = [n for n in node.input if self.shapes[n][axis] or len(node.input) == 1]
        if len(names) == 1:
            self.sources[out] = self.sources[names[0]]
            return True
        lone = [a for a in range(rank) if a != axis and all(self.shapes[n][a] == 1 for n in (*names, out))]
        without = self._left_out(names, lone)
        form = _dropped(self.shapes[out], without)
        place = axis - sum(a < axis for a in without)
        inputs = [self._shaped(n, _dropped(self.shapes[n], without)) for n in names]
        made = self._copied(node, inputs, [self._name(out)])
        next(a for a in made.attribute if a.name == "axis").i = place
        self._known(out, made.output[0], form)
        self.joined[made.output[0]] = (place, names)
        return True

    def _conv(self, node: Any) -> bool:
        """Over three axes of which the kernel covers the first one whole."""
        import onnx

        given, weights, out = self.shapes[node.input[0]], self.constants.get(node.input[1]), node.output[0]
        told = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        pads = told.get("pads", [0] * 6)
        if weights is None or len(given) != 5 or given[2] != weights.dims[2] or pads[0] or pads[3]:
            return False
        if (
            told.get("group", 1) != 1
            or told.get("auto_pad", b"NOTSET") != b"NOTSET"
            or told.get("dilations", [1])[0] != 1
        ):
            return False
        flat = onnx.TensorProto()
        flat.CopyFrom(weights)
        flat.name = self._new(f"{weights.name}_flat")
        del flat.dims[:]
        flat.dims.extend((weights.dims[0], weights.dims[1] * weights.dims[2], *weights.dims[3:]))
        self.graph.initializer.append(flat)
        source = self._shaped(node.input[0], (given[0], given[1] * given[2], *given[3:]))
        made = self._copied(node, [source, flat.name, *node.input[2:]], [self._name(out)])
        for attribute in made.attribute:
            if attribute.name in ("kernel_shape", "strides", "dilations"):
                del attribute.ints[0]
            elif attribute.name == "pads":
                del attribute.ints[3], attribute.ints[0]
        self._known(out, made.output[0], (*self.shapes[out][:2], *self.shapes[out][3:]))
        return True

    # -- tensors --

    def _left_out(self, names: Sequence[str], lone: Sequence[int]) -> tuple[int, ...]:
        """Axes of one that the sources of what is joined leave out already, if they do."""
        for name in sorted(names, key=lambda n: self.sources[n] in self.given):
            form, shape = self.forms[self.sources[name]], self.shapes[name]
            for without in combinations(lone, max(0, len(shape) - len(form))):
                if _dropped(shape, without) == form:
                    return without
        return ()

    def _part(self, source: str, start: int, end: int) -> str | None:
        """What was joined from ``start`` to ``end``, if it is one tensor."""
        axis, names = self.joined[source]
        rest = max(1, prod(_dropped(self.forms[source], (axis,))))
        ends = accumulate((prod(self.shapes[name]) // rest for name in names), initial=0)
        for name, (first, last) in zip(names, pairwise(ends), strict=True):
            if (first, last) == (start, end):
                return name
        return None

    def _cuts(self, node: Any) -> dict[int, tuple[int, int]] | None:
        """By axis that is cut, from where to where; None where it is not known or in steps."""
        import onnx

        names = node.input[1:]
        given = [self.constants[name] for name in names if name in self.constants]
        if len(given) < max(2, len(names)):
            return None
        starts, ends, *more = [onnx.numpy_helper.to_array(g).ravel().tolist() for g in given]
        shape = self.shapes[node.input[0]]
        axes = more[0] if more else range(len(starts))
        if len(more) > 1 and any(step != 1 for step in more[1]):
            return None
        made: dict[int, tuple[int, int]] = {}
        for axis, start, end in zip(axes, starts, ends, strict=True):
            length = shape[axis]
            first, last, _ = slice(start, end).indices(length)
            if (first, last) != (0, length):
                made[axis % len(shape)] = (first, max(first, last))
        return made

    def _shaped(self, old: str, form: Shape) -> str:
        """A new tensor with the numbers of an old one in this form."""
        source = self.sources[old]
        if self.forms[source] == form:
            return source
        if (source, form) not in self.reshapes:
            name = self._new(f"{source}_as_{'x'.join(map(str, form))}")
            self.reshapes[source, form] = self._reshaped(source, form, name)
        return self.reshapes[source, form]

    def _single(self, old: str, rank: int) -> str:
        """A new tensor with an old one's only number, of no more axes than there are."""
        source = self.sources[old]
        return source if len(self.forms[source]) <= rank else self._shaped(old, (1,) * rank)

    def _reshaped(self, source: str, form: Shape, name: str) -> str:
        import onnx

        self.nodes.append(onnx.helper.make_node("Reshape", [source, self._constant(form)], [name]))
        self.forms[name] = form
        return name

    def _constant(self, numbers: Shape) -> str:
        import onnx

        if numbers not in self.numbers:
            name = self._new(f"axes_{'_'.join(map(str, numbers))}")
            self.graph.initializer.append(onnx.numpy_helper.from_array(np.array(numbers, np.int64), name))
            self.numbers[numbers] = name
        return self.numbers[numbers]

    def _copied(self, node: Any, inputs: Sequence[str], outputs: Sequence[str]) -> Any:
        import onnx

        made = onnx.NodeProto()
        made.CopyFrom(node)
        del made.input[:], made.output[:]
        made.input.extend(inputs)
        made.output.extend(outputs)
        self.nodes.append(made)
        return made

    def _known(self, old: str, new: str, form: Shape) -> None:
        self.sources[old], self.forms[new] = new, form

    def _name(self, old: str) -> str:
        # the outputs' own names are given at the end
        return self._new(f"{old}_numbers") if old in self.outputs else old

    def _new(self, wanted: str) -> str:
        number, name = 1, wanted
        while name in self.taken:
            number, name = number + 1, f"{wanted}_{number}"
        self.taken.add(name)
        return name

    def _finish(self) -> None:
        """Give the outputs their names and forms, and leave out what nothing needs."""
        import onnx

        renamed: dict[str, str] = {}
        for output in self.graph.output:
            source, form = self.sources[output.name], self.shapes[output.name]
            if self.forms[source] != form:
                self._reshaped(source, form, output.name)
            elif source in self.given or source in renamed:
                self.nodes.append(onnx.helper.make_node("Identity", [source], [output.name]))
            else:
                renamed[source] = output.name
        for node in self.nodes:
            for names in (node.input, node.output):
                for place, name in enumerate(names):
                    names[place] = renamed.get(name, name)
        wanted = set(self.outputs)
        kept: list[Any] = []
        for node in reversed(self.nodes):
            if any(name in wanted for name in node.output):
                kept.append(node)
                wanted.update(node.input)
        del self.graph.node[:], self.graph.value_info[:]
        self.graph.node.extend(reversed(kept))
        held = [i for i in self.graph.initializer if i.name in wanted]
        del self.graph.initializer[:]
        self.graph.initializer.extend(held)


def _dropped(shape: Shape, without: Sequence[int]) -> Shape:
    return tuple(n for a, n in enumerate(shape) if a not in without)


def _place(shape: Shape, axis: int, form: Shape) -> int | None:
    """Where an axis of a shape is in another form of it that differs by axes of one alone."""
    long = [a for a, n in enumerate(shape) if n != 1]
    there = [a for a, n in enumerate(form) if n != 1]
    if axis not in long or [shape[a] for a in long] != [form[a] for a in there]:
        return None
    return there[long.index(axis)]
