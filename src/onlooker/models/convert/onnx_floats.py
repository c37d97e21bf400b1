"""An ONNX model with its weights in a file beside it and quantisation around every layer, as one model of floats.

Models made for phones come as float weights with ``QuantizeLinear`` and ``DequantizeLinear`` pairs, by which an engine
computes in integers. Without the pairs the model computes what it computed before, its inputs and outputs are floats
again, and one file holds it. Small graphs only: each node's attributes are integers, floats or lists of integers.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.core.errors import ModelError
from onlooker.models.convert.onnx_file import Graph

__all__ = ["convert"]

_TYPES: dict[int, Any] = {1: np.float32, 2: np.uint8, 3: np.int8, 6: np.int32, 7: np.int64}
_EXTERNAL = 1
_QUANTISATION = ("QuantizeLinear", "DequantizeLinear")


@dataclass(frozen=True, slots=True)
class _Node:
    kind: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("a number is too long")


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(field number, value) of a protocol buffer message: whole numbers, 4-byte floats, or bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        if key & 7 == 0:
            value, at = _varint(data, at)
        elif key & 7 == 5:
            (value,), at = struct.unpack_from("<f", data, at), at + 4
        elif key & 7 == 2:
            size, at = _varint(data, at)
            value, at = data[at : at + size], at + size
            if len(value) != size:
                raise ValueError("the file is cut off")
        else:
            raise ValueError(f"wire type {key & 7}")
        yield key >> 3, value


def _all(data: bytes, number: int) -> list[Any]:
    return [value for field, value in _fields(data) if field == number]


def _text(data: bytes, number: int) -> str:
    return b"".join(_all(data, number)[:1]).decode()


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _ints(data: bytes, number: int) -> list[int]:
    """A repeated whole number, packed or not."""
    found: list[int] = []
    for value in _all(data, number):
        if isinstance(value, int):
            found.append(_signed(value))
            continue
        at = 0
        while at < len(value):
            one, at = _varint(value, at)
            found.append(_signed(one))
    return found


def _tensor(data: bytes, beside: Mapping[str, bytes]) -> tuple[str, NDArray[Any]]:
    kind = _TYPES[_all(data, 2)[0]]
    shape = _ints(data, 1)
    if _EXTERNAL in _all(data, 14):
        place = {_text(entry, 1): _text(entry, 2) for entry in _all(data, 13)}
        raw = beside[PurePosixPath(place["location"]).name]
        start = int(place.get("offset", "0"))
        raw = raw[start : start + int(place["length"])]
    elif found := _all(data, 9):
        (raw,) = found
    else:
        numbers = _all(data, 4) if kind is np.float32 else _ints(data, 7 if kind is np.int64 else 5)
        packed = b"".join(n for n in numbers if isinstance(n, bytes))
        raw = packed or np.array(numbers, kind).tobytes()
    array = np.frombuffer(raw, kind)
    if array.size != math.prod(shape):
        raise ValueError(f"{_text(data, 8)} holds {array.size} numbers for the shape {shape}")
    return _text(data, 8), array.reshape(shape)


def _attribute(data: bytes) -> tuple[str, Any]:
    kind = _all(data, 20)[0]
    name = _text(data, 1)
    if kind == 1:
        return name, float(next(iter(_all(data, 2)), 0.0))
    if kind == 2:
        return name, next(iter(_ints(data, 3)), 0)
    if kind == 7:
        return name, _ints(data, 8)
    raise ValueError(f"the attribute {name} is of the kind {kind}")


def _node(data: bytes) -> _Node:
    return _Node(
        _text(data, 4),
        [i.decode() for i in _all(data, 1)],
        [o.decode() for o in _all(data, 2)],
        dict(_attribute(a) for a in _all(data, 5)),
    )


def _port(data: bytes) -> tuple[str, list[int]]:
    """Name and shape of an input or output; -1 for what is free."""
    (tensor,) = _all(_all(data, 2)[0], 1)
    dims = _all(_all(tensor, 2)[0], 1)
    return _text(data, 1), [next(iter(_ints(dim, 1)), -1) for dim in dims]


def _rewrite(nodes: Sequence[_Node], tensors: Mapping[str, NDArray[Any]], graph: Graph, names: dict[str, str]) -> None:
    """Add the nodes but the quantising ones to ``graph``; ``names`` maps old names to new ones."""
    for node in nodes:
        for name in node.inputs[:1] if node.kind in _QUANTISATION else node.inputs:
            if name not in names:
                names[name] = graph.constant(tensors[name])
        inputs = [names[name] for name in (node.inputs[:1] if node.kind in _QUANTISATION else node.inputs)]
        if node.kind in _QUANTISATION:
            names[node.outputs[0]] = inputs[0]
            continue
        # zeros are allowed in Reshape since a later version of the operators than is written
        attributes = {k: v for k, v in node.attributes.items() if (k, v) != ("allowzero", 0)}
        made = graph.nodes(node.kind, inputs, len(node.outputs), **attributes)
        names.update(zip(node.outputs, made, strict=True))


def convert(members: Mapping[str, bytes]) -> bytes:
    """The model (the only member that ends in ``.onnx``) with the weights that lie in the other members.

    Raises:
        ModelError: it is damaged, or uses what is not known here.
    """
    by_name = {PurePosixPath(name.rpartition("!")[2]).name: data for name, data in members.items()}
    try:
        (model,) = [data for name, data in by_name.items() if name.endswith(".onnx")]
        (body,) = _all(model, 7)
        tensors = dict(_tensor(t, by_name) for t in _all(body, 5))
        inputs = {name: shape for name, shape in map(_port, _all(body, 11)) if name not in tensors}
        graph = Graph(inputs)
        names = {name: name for name in inputs}
        _rewrite([_node(n) for n in _all(body, 1)], tensors, graph, names)
        return graph.finish({names[name]: shape for name, shape in map(_port, _all(body, 12))})
    except (KeyError, ValueError, IndexError, TypeError, UnicodeDecodeError, struct.error) as error:
        raise ModelError(f"not an ONNX model that can be converted: {error!r}") from error
