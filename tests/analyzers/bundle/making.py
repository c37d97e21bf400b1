"""Small real networks whose answers can be computed by hand, and bundles of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onlooker.bundles import import_model

FLOAT = TensorProto.FLOAT
COLOURS = ("red", "green", "blue")


def constant(name, values):
    return numpy_helper.from_array(np.asarray(values, np.float32), name)


def whole(name, values):
    return numpy_helper.from_array(np.asarray(values, np.int64), name)


def write(path: Path, nodes, inputs, outputs, constants=()) -> Path:
    """Nodes are (operator, inputs, outputs, attributes)."""
    made = [helper.make_node(op, i, o, **attributes) for op, i, o, attributes in nodes]
    taken, given = ([helper.make_tensor_value_info(n, FLOAT, s) for n, s in p.items()] for p in (inputs, outputs))
    graph = helper.make_graph(made, path.stem, taken, given, list(constants))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path


def colour_model(path: Path, size=8) -> Path:
    """Logits are ten times the mean of each channel."""
    nodes = [
        ("ReduceMean", ["x"], ["mean"], {"axes": [2, 3], "keepdims": 0}),
        ("Mul", ["mean", "ten"], ["y"], {}),
    ]
    return write(path, nodes, {"x": (1, 3, size, size)}, {"y": (1, 3)}, [constant("ten", 10.0)])


PICTURE = {"kind": "frame", "rate": 5.0, "width": 8, "height": 8, "scale": 1 / 255}


def colour_facts(**more):
    output = {"task": "classification", "name": "colour", "labels": list(COLOURS), "kind": "colour", "threshold": 0.5}
    return {
        "name": "colours",
        "title": "Which colour is strongest",
        "licence": "CC0-1.0",
        "input": PICTURE,
        "outputs": [{**output, **more.pop("output", {})}],
        **more,
    }


def colour_bundle(folder: Path, **more):
    return import_model(colour_model(folder / "colour.onnx"), colour_facts(**more), folder / "bundle")


def small_colour_facts(**more):
    """The same colours in another order, told by smaller pictures with their channels turned round."""
    output = {"labels": ["blue", "green", "red"], "temperature": 0.5, **more.pop("output", {})}
    picture = {**PICTURE, "width": 4, "height": 4, "colour": "bgr"}
    return {**colour_facts(output=output), "name": "small_colours", "input": picture, **more}


def spot_model(path: Path, size=32, cell=8) -> Path:
    """Boxes of cells of eight pixels; the score of each is its brightness."""
    cells = (size // cell) ** 2
    nodes = [
        ("AveragePool", ["x"], ["means"], {"kernel_shape": [cell, cell], "strides": [cell, cell]}),
        ("Reshape", ["means", "rows"], ["scores"], {}),
        ("Mul", ["scores", "none"], ["nothing"], {}),
        ("Add", ["nothing", "half"], ["distances"], {}),
    ]
    constants = [whole("rows", [1, cells, 1]), constant("none", 0.0), constant("half", np.full((1, 1, 4), 0.5))]
    outputs = {"scores": (1, cells, 1), "distances": (1, cells, 4)}
    return write(path, nodes, {"x": (1, 1, size, size)}, outputs, constants)


def spot_facts(**more):
    """Of `spot_model`."""
    picture = {"kind": "frame", "rate": 5.0, "width": 32, "height": 32, "colour": "gray", "scale": 1 / 255}
    boxes = {"form": "grid", "strides": [8], "scores": ["scores"], "distances": ["distances"]}
    output = {"task": "detection", "name": "spots", "labels": ["spot"], "boxes": boxes, "threshold": 0.5}
    return {"name": "spots", "licence": "CC0-1.0", "input": picture, "outputs": [{**output, **more}]}


def motion_model(path: Path, frames=4, size=16) -> Path:
    """Mean of the absolute differences of pictures that follow each other."""
    nodes = [
        ("Slice", ["x", "one", "end", "axis"], ["later"], {}),
        ("Slice", ["x", "zero", "last", "axis"], ["sooner"], {}),
        ("Sub", ["later", "sooner"], ["change"], {}),
        ("Abs", ["change"], ["size"], {}),
        ("ReduceMean", ["size"], ["energy"], {"axes": [2, 3, 4], "keepdims": 0}),
        ("ReduceMean", ["energy"], ["y"], {"axes": [1], "keepdims": 1}),
    ]
    places = [whole("one", [1]), whole("zero", [0]), whole("end", [frames]), whole("last", [frames - 1])]
    shape = (1, frames, 1, size, size)
    return write(path, nodes, {"x": shape}, {"y": (1, 1)}, [*places, whole("axis", [1])])


def motion_facts(frames=4, stride=2, size=16, rate=10.0, **more):
    clip = {"kind": "clip", "rate": rate, "frames": frames, "stride": stride, "width": size, "height": size}
    output = {"task": "anomaly", "name": "motion_energy", "threshold": 4.0, "spans": {"gap_seconds": 0.3}}
    return {
        "name": "moving",
        "licence": "CC0-1.0",
        "input": {**clip, "colour": "gray"},
        "outputs": [{**output, "false_alarms": [[0.5, 9.0], [2.0, 6.0], [10.0, 4.0]], **more.pop("output", {})}],
        **more,
    }


def motion_bundle(folder: Path, **more):
    return import_model(motion_model(folder / "motion.onnx"), motion_facts(**more), folder / "bundle")


STREAM = {"kind": "clip", "rate": 10.0, "frames": 1, "stride": 1, "width": 8, "height": 8, "layout": "NCHW"}
STREAM = {**STREAM, "colour": "gray"}
NUMBER = {"task": "regression", "name": "brightness", "labels": ["brightness"], "tensor": "y", "every_seconds": 0.5}


def window_model(path: Path, steps=5) -> Path:
    """The mean brightness of this and the last pictures, which are its state: it forgets after ``steps``."""
    nodes = [
        ("ReduceMean", ["x"], ["mean"], {"axes": [1, 2, 3], "keepdims": 0}),
        ("Reshape", ["mean", "row"], ["now"], {}),
        ("Concat", ["before", "now"], ["all"], {"axis": 1}),
        ("Slice", ["all", "one", "end", "axis"], ["after"], {}),
        ("ReduceMean", ["all"], ["y"], {"axes": [1], "keepdims": 1}),
    ]
    places = [whole("row", [1, 1]), whole("one", [1]), whole("end", [steps + 1]), whole("axis", [1])]
    inputs = {"x": (1, 1, 8, 8), "before": (1, steps)}
    return write(path, nodes, inputs, {"y": (1, 1), "after": (1, steps)}, places)


def window_facts(steps=5, **more):
    state = {"tensors": [{"input": "before", "output": "after", "shape": [1, 5], "initial": 0.0}], "steps": steps}
    own = {"input": STREAM, "state": state, "speaks": "end", "outputs": [NUMBER]}
    return {"name": "smooth_light", "licence": "CC0-1.0", **own, **more}


def fading_model(path: Path, inputs=None) -> Path:
    """A running mean that never forgets wholly: 0.9 of what was, 0.1 of what is. Over a picture, or a number."""
    own = inputs is None
    nodes = [
        *([("ReduceMean", ["x"], ["mean"], {"axes": [1, 2, 3], "keepdims": 0})] if own else []),
        ("Reshape", ["mean" if own else "x", "row"], ["now"], {}),
        ("Mul", ["now", "little"], ["new"], {}),
        ("Mul", ["before", "much"], ["old"], {}),
        ("Add", ["new", "old"], ["after"], {}),
        ("Mul", ["after", "same"], ["y"], {}),
    ]
    numbers = [constant("little", 0.1), constant("much", 0.9), constant("same", 1.0), whole("row", [1, 1])]
    taken = {"x": (1, 1, 8, 8), "before": (1, 1)} if own else {**inputs, "before": (1, 1)}
    return write(path, nodes, taken, {"y": (1, 1), "after": (1, 1)}, numbers)


FADING = {"tensors": [{"input": "before", "output": "after", "shape": [1, 1]}]}


def brightness_model(path: Path) -> Path:
    nodes = [
        ("ReduceMean", ["x"], ["mean"], {"axes": [1, 2, 3], "keepdims": 0}),
        ("Reshape", ["mean", "row"], ["light"], {}),
    ]
    return write(path, nodes, {"x": (1, 1, 8, 8)}, {"light": (1, 1)}, [whole("row", [1, 1])])


MEL = {"kind": "log_mel", "sample_rate": 16_000, "frames": 24, "hop": 1600, "window": 400, "step": 160, "fft": 512}
MEL = {**MEL, "bands": 32, "low": 60.0, "high": 7800.0, "log": "db", "power": 2}


def loudness_model(path: Path) -> Path:
    """The mean of a log-mel spectrum."""
    nodes = [("ReduceMean", ["x"], ["m"], {"axes": [2, 3], "keepdims": 0}), ("Reshape", ["m", "row"], ["y"], {})]
    return write(path, nodes, {"x": (1, 1, 24, 32)}, {"y": (1, 1)}, [whole("row", [1, 1])])


def loudness_facts(**more):
    output = {"task": "regression", "name": "loudness", "labels": ["level"], "unit": "dB", "every_seconds": 1.0}
    return {"name": "loudness", "licence": "CC0-1.0", "input": MEL, "outputs": [output], **more}
