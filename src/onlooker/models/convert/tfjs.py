"""A TensorFlow.js graph model (JSON and weight shards) to a frozen TensorFlow graph, without TensorFlow.

The frozen graph is a ``GraphDef`` protocol buffer (tensorflow/core/framework/graph.proto), written here field by field.
Fused operations of TensorFlow.js are taken apart into those that the engines know.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.core.errors import ModelError
from onlooker.models.convert.wire_format import bytes_field, number_field, text_field, varint

__all__ = ["convert", "convert_tfjs", "read_weights", "split_members"]

_TYPES = {
    "DT_FLOAT": 1,
    "DT_DOUBLE": 2,
    "DT_INT32": 3,
    "DT_UINT8": 4,
    "DT_INT16": 5,
    "DT_INT8": 6,
    "DT_STRING": 7,
    "DT_INT64": 9,
    "DT_BOOL": 10,
    "DT_HALF": 19,
}
_NUMPY = {"float32": "DT_FLOAT", "int32": "DT_INT32", "bool": "DT_BOOL", "uint8": "DT_UINT8", "int64": "DT_INT64"}
_PRODUCER = 1286  # GraphDef version that the operations used here are defined in

Node = dict[str, Any]


def _shape(dims: list[int]) -> bytes:
    return b"".join(bytes_field(2, number_field(1, d)) for d in dims)


def _shape_of(json_shape: Mapping[str, Any]) -> bytes:
    if json_shape.get("unknownRank"):
        return number_field(3, 1)
    return _shape([int(d.get("size", 0)) for d in json_shape.get("dim", [])])


def _tensor(array: NDArray[Any]) -> bytes:
    kind = _TYPES[_NUMPY[array.dtype.name]]
    return (
        number_field(1, kind)
        + bytes_field(2, _shape(list(array.shape)))
        + bytes_field(4, np.ascontiguousarray(array).tobytes())
    )


def _scalar(kind: str, value: Any, fields: Mapping[str, int]) -> bytes:
    field = fields[kind]
    if kind == "s":
        return bytes_field(field, base64.b64decode(value))
    if kind == "f":
        return varint(field << 3 | 5) + struct.pack("<f", float(value))
    if kind == "type":
        return number_field(field, _TYPES[value] if isinstance(value, str) else int(value))
    if kind == "shape":
        return bytes_field(field, _shape_of(value))
    return number_field(field, int(value))


_ATTRIBUTE = {"s": 2, "i": 3, "f": 4, "b": 5, "type": 6, "shape": 7}


def _attribute(value: Mapping[str, Any]) -> bytes:
    kind, content = next(iter(value.items()))
    if kind == "tensor":
        return bytes_field(8, content)
    if kind == "list":
        items = [(k, v) for k, values in (content or {}).items() for v in values]
        return bytes_field(1, b"".join(_scalar(k, v, _ATTRIBUTE) for k, v in items))
    return _scalar(kind, content, _ATTRIBUTE)


def _node(node: Node) -> bytes:
    out = (
        text_field(1, node["name"])
        + text_field(2, node["op"])
        + b"".join(text_field(3, i) for i in node.get("input", []))
    )
    for key, value in node.get("attr", {}).items():
        if value and not key.startswith("_"):
            out += bytes_field(5, text_field(1, key) + bytes_field(2, _attribute(value)))
    return out


# -- the model --


def _weights(model: Mapping[str, Any], read: Callable[[str], bytes]) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    for group in model["weightsManifest"]:
        data = b"".join(read(path) for path in group["paths"])
        offset = 0
        for weight in group["weights"]:
            shape, packed = weight["shape"], weight.get("quantization")
            stored = np.dtype(packed["dtype"] if packed else weight["dtype"])
            count = int(np.prod(shape)) if shape else 1
            array = np.frombuffer(data, stored, count, offset)
            offset += count * stored.itemsize
            if packed and "scale" in packed:
                array = array.astype(np.float32) * np.float32(packed["scale"]) + np.float32(packed["min"])
            found[weight["name"]] = array.astype(weight["dtype"]).reshape(shape)
    return found


def read_weights(manifest_json: bytes, read: Callable[[str], bytes]) -> dict[str, NDArray[Any]]:
    """The arrays of a TensorFlow.js weights manifest without a graph; quantised ones as float32.

    Raises:
        ModelError: it is no such manifest, or a shard is too short.
    """
    try:
        return _weights({"weightsManifest": json.loads(manifest_json)}, read)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"not a TensorFlow.js weights manifest: {error!r}") from error


def _constant(name: str, array: NDArray[Any]) -> Node:
    kind = _NUMPY[array.dtype.name]
    return {"name": name, "op": "Const", "attr": {"dtype": {"type": kind}, "value": {"tensor": _tensor(array)}}}


_PARTS = {
    "_FusedConv2D": ("Conv2D", ("T", "strides", "padding", "dilations", "data_format", "explicit_paddings")),
    "FusedDepthwiseConv2dNative": ("DepthwiseConv2dNative", ("T", "strides", "padding", "dilations", "data_format")),
    "_FusedMatMul": ("MatMul", ("T", "transpose_a", "transpose_b")),
}


def _taken_apart(node: Node) -> list[Node]:
    """A fused convolution or product as the plain one followed by bias and activation."""
    attributes = node["attr"]
    steps = [base64.b64decode(s).decode() for s in attributes["fused_ops"]["list"]["s"]]
    op, keys = _PARTS[node["op"]]
    kind = {"T": attributes["T"]}
    current = f"{node['name']}/base"
    inputs = list(node["input"])
    nodes: list[Node] = [
        {"name": current, "op": op, "input": inputs[:2], "attr": {k: attributes[k] for k in keys if k in attributes}}
    ]
    extra = inputs[2:]
    for number, step in enumerate(steps):
        name = node["name"] if number == len(steps) - 1 else f"{node['name']}/step{number}"
        if step == "BiasAdd":
            layout = {"data_format": {"s": base64.b64encode(b"NHWC").decode()}}
            nodes.append({"name": name, "op": "BiasAdd", "input": [current, extra.pop(0)], "attr": {**kind, **layout}})
        elif step == "Prelu":
            nodes += _prelu(name, current, extra.pop(0), kind)
        elif step == "LeakyRelu":
            slope = {"alpha": attributes.get("leakyrelu_alpha", {"f": 0.2})}
            nodes.append({"name": name, "op": "LeakyRelu", "input": [current], "attr": {**kind, **slope}})
        else:
            nodes.append({"name": name, "op": step, "input": [current], "attr": kind})
        current = name
    return nodes


def _prelu(name: str, source: str, slope: str, kind: Node) -> list[Node]:
    """relu(x) - slope * relu(-x)"""
    return [
        {"name": f"{name}/pos", "op": "Relu", "input": [source], "attr": kind},
        {"name": f"{name}/neg", "op": "Neg", "input": [source], "attr": kind},
        {"name": f"{name}/rest", "op": "Relu", "input": [f"{name}/neg"], "attr": kind},
        {"name": f"{name}/scaled", "op": "Mul", "input": [f"{name}/rest", slope], "attr": kind},
        {"name": name, "op": "Sub", "input": [f"{name}/pos", f"{name}/scaled"], "attr": kind},
    ]


def _dense(node: Node, weights: Mapping[str, NDArray[Any]]) -> Node:
    """A constant in place of SparseToDense of constants."""
    indices, shape, values, default = (weights[i.split(":")[0]] for i in node["input"])
    array = np.full([int(n) for n in np.atleast_1d(shape)], default, values.dtype)
    places = np.atleast_1d(indices)
    for number, place in enumerate(places[:, None] if places.ndim == 1 else places):
        array[tuple(int(p) for p in place)] = values if values.ndim == 0 else values[number]
    return _constant(node["name"], array)


def convert_tfjs(model_json: bytes, read: Callable[[str], bytes]) -> bytes:
    """The frozen graph of a TensorFlow.js graph model.

    Args:
        model_json: the model's JSON file.
        read: gives the bytes of a weight shard by its name.

    Raises:
        ModelError: the JSON is not a graph model, or uses something that is not known here.
    """
    try:
        model = json.loads(model_json)
        nodes: list[Node] = model["modelTopology"]["node"]
        weights = _weights(model, read)
        made: list[Node] = []
        for node in nodes:
            node.setdefault("attr", {})
            if node["op"] == "Const":
                made.append(_constant(node["name"], weights[node["name"]]))
            elif node["op"] == "SparseToDense":
                made.append(_dense(node, weights))
            elif node["op"] in _PARTS:
                made += _taken_apart(node)
            else:
                made.append(node)
        return b"".join(bytes_field(1, _node(n)) for n in made) + bytes_field(4, number_field(1, _PRODUCER))
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise ModelError(f"not a TensorFlow.js graph model that can be converted: {error!r}") from error


def split_members(members: Mapping[str, bytes]) -> tuple[bytes, Callable[[str], bytes]]:
    """The only JSON file among the members, and a look-up of the shards by their names without folders.

    Raises:
        ModelError: there is not exactly one JSON file.
    """
    by_name = {PurePosixPath(n).name: data for n, data in members.items()}
    found = [data for name, data in by_name.items() if name.endswith(".json")]
    if len(found) != 1:
        raise ModelError(f"expected one JSON file among {', '.join(by_name)}")
    return found[0], lambda name: by_name[PurePosixPath(name).name]


def convert(members: Mapping[str, bytes]) -> bytes:
    """The frozen graph of a graph model given as its files."""
    model, read = split_members(members)
    return convert_tfjs(model, read)
