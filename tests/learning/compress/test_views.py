"""Operations that move no numbers are taken out of graphs, and answers stay."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from learning.compress._moving import trained_run, work_for
from learning.compress._post import after
from onlooker.bundles import load_bundle, play
from onlooker.bundles.golden import read_golden
from onlooker.learning.compress.onnx_files import nodes_of, read_onnx
from onlooker.learning.compress.onnx_views import without_views
from onlooker.learning.compress.step import Subject

HEAD = '<ir_version: 8, opset_import: ["": 17]> g '


KINDS = ("transpose", "reshape", "unary", "binary", "slice", "concat", "squeeze", "reduce")


def answers(model, inputs) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return [np.asarray(a) for a in session.run(None, inputs)]


def same(model):
    """The operations that are left, after it was seen that answers are the same."""
    made = without_views(model)
    onnx.checker.check_model(made, full_check=True)
    random = np.random.default_rng(0)
    given_ = {
        i.name: random.normal(size=[d.dim_value for d in i.type.tensor_type.shape.dim]).astype(np.float32)
        for i in model.graph.input
    }
    for old, new in zip(answers(model, given_), answers(made, given_), strict=True):
        np.testing.assert_array_equal(new, old)
    return [node.op_type for node in made.graph.node]


def test_a_memory_of_one_frame_is_neither_joined_nor_cut():
    """The shift of channels in time, on a frame at a time, as networks are exported."""
    model = onnx.parser.parse_model(
        HEAD
        + """(float[1, 8, 4, 4] maps, float[1, 2, 1, 4, 4] before) => (float[1, 8, 4, 4] y, float[1, 2, 1, 4, 4] after)
        <int64[5] wide = {1, 1, 8, 4, 4}, int64[4] flat = {1, 8, 4, 4}, int64[1] zero = {0}, int64[1] one = {1},
         int64[1] two = {2}, int64[1] far = {99}, int64[1] last = {-1}> {
            x = Reshape(maps, wide)
            frames = Transpose<perm=[0, 2, 1, 3, 4]>(x)
            past = Slice(frames, zero, two, one)
            rest = Slice(frames, two, far, one)
            both = Concat<axis=2>(before, past)
            earlier = Slice(both, zero, last, two)
            after = Slice(both, one, far, two)
            shifted = Concat<axis=1>(earlier, rest)
            back = Transpose<perm=[0, 2, 1, 3, 4]>(shifted)
            y = Reshape(back, flat)
        }"""
    )
    left = same(model)
    assert left.count("Slice") == 2
    assert left.count("Concat") == 1
    assert "Transpose" not in left
    # what was remembered, and what is to be, have one axis more
    assert left.count("Reshape") == 2


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ("y = Identity(x)", ["Identity"]),
        ("a = Relu(x) y = Identity(a)", ["Relu"]),
        # without an order it turns all axes around
        ("a = Transpose(x) y = Transpose(a)", ["Transpose", "Transpose"]),
        ("a = Flatten<axis=1>(x) b = Softmax<axis=1>(a) y = Reshape(b, shape)", ["Reshape", "Softmax", "Reshape"]),
        ("a = Reshape(x, line) b = Mul(a, half) c = Reshape(b, shape) y = Add(c, x)", ["Mul", "Add"]),
        ("a = Reshape(x, line) b = Reshape(x, line) c = Add(a, b) y = Reshape(c, shape)", ["Add"]),
        # a row of factors for the last axis is no factor for all
        ("y = Mul(x, row)", ["Mul"]),
        ("a = Transpose<perm=[1, 0, 2, 3]>(x) b = Mul(a, row) y = Reshape(b, shape)", ["Reshape", "Mul", "Reshape"]),
    ],
)
def test_what_is_left(body, left):
    model = onnx.parser.parse_model(
        HEAD
        + f"""(float[1, 2, 1, 3] x) => (float[1, 2, 1, 3] y)
        <int64[1] line = {{6}}, int64[4] shape = {{1, 2, 1, 3}}, float[1] half = {{0.5}},
         float[3] row = {{1.0, 2.0, 3.0}}> {{{body}}}"""
    )
    assert same(model) == left


@pytest.mark.parametrize(
    ("frames", "how", "flat"),
    [
        (3, "pads = [0, 1, 1, 0, 1, 1], strides = [1, 2, 1]", True),
        (3, "kernel_shape = [3, 3, 2], dilations = [1, 2, 1], pads = [0, 2, 0, 0, 1, 0]", True),
        (4, "strides = [1, 1, 1]", False),
        (3, "pads = [1, 0, 0, 1, 0, 0]", False),
        (3, "group = 2", False),
    ],
)
def test_a_convolution_over_all_frames_is_one_over_more_channels(frames, how, flat):
    model = onnx.parser.parse_model(HEAD + f"(float[1, 4, {frames}, 6, 7] x) => (float y) {{y = Conv<{how}>(x, w, b)}}")
    random = np.random.default_rng(1)
    sides = (2, 2 if "group" in how else 4, 3, 3, 2 if "kernel_shape" in how else 3)
    for name, shape in (("w", sides), ("b", (2,))):
        model.graph.initializer.append(onnx.numpy_helper.from_array(random.normal(size=shape).astype(np.float32), name))
    model.graph.output[0].type.tensor_type.ClearField("shape")
    model = onnx.shape_inference.infer_shapes(model)
    made = without_views(model)
    onnx.checker.check_model(made, full_check=True)
    x = {"x": random.normal(size=(1, 4, frames, 6, 7)).astype(np.float32)}
    np.testing.assert_allclose(answers(made, x)[0], answers(model, x)[0], atol=1e-5)
    assert [n.op_type for n in made.graph.node] == (["Reshape", "Conv", "Reshape"] if flat else ["Conv"])


def test_what_two_outputs_share_and_what_has_branches():
    shared = onnx.parser.parse_model(
        HEAD
        + """(float[1, 4] x) => (float[1, 4] a, float[1, 4] b, float[4] c) <int64[1] line = {4}> {
        a = Relu(x) b = Identity(a) c = Reshape(a, line) }"""
    )
    assert sorted(same(shared)) == ["Identity", "Relu", "Reshape"]
    branches = onnx.parser.parse_model(
        HEAD
        + """(float[2] x, bool yes) => (float[2] y) { a = Identity(x) y = If(yes) <
        then_branch = g1 () => (float[2] t) { t = Relu(a) }, else_branch = g2 () => (float[2] e) { e = Neg(a) }> }"""
    )
    assert without_views(branches) is branches


def test_constants_of_the_model_are_not_taken_for_own_ones():
    """Whatever they are called, as after an optimisation before."""
    model = onnx.parser.parse_model(
        HEAD
        + """(float[1, 2, 1, 3] x) => (float[2, 1, 3] y, float[1, 2, 1, 3] z)
        <int64[3] axes_2_1_3 = {3, 1, 2}, int64[3] shape = {2, 1, 3}, int64[2] axes_1 = {0, 1}> {
        y = Reshape(x, shape) a = Reshape(x, axes_2_1_3) b = Softmax<axis=2>(a) c = Unsqueeze(b, axes_1)
        d = ReduceMax<axes=[4], keepdims=0>(c) e = ReduceMax<axes=[1, 2], keepdims=0>(d) z = Sub(x, x) }"""
    )
    same(model)


def test_a_model_of_free_sides_stays():
    free = onnx.parser.parse_model(HEAD + "(float[N, 4] x) => (float[N, 4] y) { a = Relu(x) y = Identity(a) }")
    assert without_views(free) is free


@st.composite
def graphs(draw):
    """A random graph of such operations over (1, 4, 1, 3)."""
    helper = onnx.helper
    sides = {"x": (1, 4, 1, 3), "w": (1, 2, 1, 3)}
    nodes, constants, numbers = [], [], 0

    def constant(values):
        nonlocal numbers
        numbers += 1
        constants.append(onnx.numpy_helper.from_array(np.array(values, np.int64), f"k{numbers}"))
        return f"k{numbers}"

    def add(op, inputs, shape, **how):
        name = f"t{len(nodes)}"
        nodes.append(helper.make_node(op, inputs, [name], **how))
        sides[name] = tuple(shape)

    for _ in range(draw(st.integers(1, 14))):
        a = draw(st.sampled_from(sorted(sides)))
        shape = sides[a]
        kind = draw(st.sampled_from(KINDS))
        axis = draw(st.integers(0, len(shape) - 1)) if shape else 0
        if kind == "transpose":
            order = draw(st.permutations(range(len(shape))))
            add("Transpose", [a], [shape[i] for i in order], perm=order)
        elif kind == "reshape":
            flat = [n for n in shape if n != 1]
            for _ in range(draw(st.integers(0, 3))):
                flat.insert(draw(st.integers(0, len(flat))), 1)
            flat = draw(st.sampled_from([flat, [prod(shape)]]))
            add("Reshape", [a, constant(flat)], flat)
        elif kind == "unary":
            add(draw(st.sampled_from(["Relu", "Neg", "Sigmoid"])), [a], shape)
        elif kind == "binary":
            b = draw(st.sampled_from(sorted(n for n, s in sides.items() if s == shape or prod(s) == 1)))
            add(draw(st.sampled_from(["Add", "Sub", "Mul"])), [a, b], np.broadcast_shapes(shape, sides[b]))
        elif kind == "slice" and shape:
            start = draw(st.integers(0, shape[axis] - 1))
            end = draw(st.integers(start + 1, shape[axis]))
            given_ = (constant([start]), constant([end]), constant([axis]))
            add("Slice", [a, *given_], (*shape[:axis], end - start, *shape[axis + 1 :]))
        elif kind == "concat" and shape:
            fits = [n for n, s in sides.items() if len(s) == len(shape) and _without(s, axis) == _without(shape, axis)]
            names = [a, *draw(st.lists(st.sampled_from(sorted(fits)), max_size=2))]
            long = sum(sides[n][axis] for n in names)
            if long <= 64:
                add("Concat", names, (*shape[:axis], long, *shape[axis + 1 :]), axis=axis)
        elif kind == "squeeze" and 1 in shape:
            add("Squeeze", [a, constant([shape.index(1)])], _without(shape, shape.index(1)))
        elif kind == "reduce" and shape:
            add("ReduceMax", [a], (*shape[:axis], 1, *shape[axis + 1 :]), axes=[axis])
    ends = draw(st.lists(st.sampled_from(sorted(sides)), min_size=1, max_size=3, unique=True))
    outs = []
    for number, end in enumerate(ends):
        name = end
        if end in ("x", "w"):
            name = f"out{number}"
            nodes.append(helper.make_node("Identity", [end], [name]))
            sides[name] = sides[end]
        outs.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, sides[name]))
    ins = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, sides[n]) for n in ("x", "w")]
    graph = helper.make_graph(nodes, "g", ins, outs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _without(shape, axis):
    return (*shape[:axis], *shape[axis + 1 :])


@given(model=graphs())
@settings(max_examples=200, deadline=None)
def test_any_graph_answers_as_before(model):
    onnx.checker.check_model(model, full_check=True)
    assert len(same(model)) <= len(model.graph.node) + len(model.graph.output) + 2


def test_a_streaming_network_gets_shorter(moving, tmp_path: Path):
    """A trained network that carries shifted channels from frame to frame."""
    network = {"network": "tconv", "form": "shift", "widths": [8, 16], "difference": "alone"}
    run = trained_run(tmp_path / "run", moving, {"video": network}, bundle=True)
    before = Subject(run / "bundle", run)
    then = after("graph", before, work_for(tmp_path / "work", moving, before), samples=2, engine="as_before")
    counts = [len(nodes_of(read_onnx(s.bundle / "model.onnx"))) for s in (before, then)]
    assert counts[1] < 0.75 * counts[0]
    told = load_bundle(then.bundle).manifest.provenance.steps[-1].settings
    assert (told["nodes_before"], told["nodes"]) == tuple(counts)
    inputs = {k: v for k, v in read_golden(before.bundle / "golden.npz").items() if k.startswith("in.")}
    expected, found = (play(load_bundle(s.bundle), inputs) for s in (before, then))
    for key, values in expected.items():
        np.testing.assert_allclose(found[key], values, atol=1e-5)
