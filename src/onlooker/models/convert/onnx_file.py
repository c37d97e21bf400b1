"""A small, deterministic writer of ONNX files, for weights that are published without a graph.

Writes the ``ModelProto`` of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto field by field: the same graph gives
the same bytes on every machine, so that the file can be known by its digest.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.models.convert.wire_format import bytes_field, number_field, text_field, varint

__all__ = ["Graph"]

_OPSET = 13
_IR = 8
_TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7}
_FLOAT, _INT, _STRING, _FLOATS, _INTS = 1, 2, 3, 6, 7


def _attribute(name: str, value: Any) -> bytes:
    head = text_field(1, name)
    if isinstance(value, str):
        return head + bytes_field(4, value.encode()) + number_field(20, _STRING)
    if isinstance(value, int):
        return head + number_field(3, value) + number_field(20, _INT)
    if isinstance(value, float):
        return head + varint(2 << 3 | 5) + struct.pack("<f", value) + number_field(20, _FLOAT)
    if all(isinstance(v, int) for v in value):
        return head + b"".join(number_field(8, v) for v in value) + number_field(20, _INTS)
    return head + b"".join(varint(7 << 3 | 5) + struct.pack("<f", v) for v in value) + number_field(20, _FLOATS)


def _tensor(name: str, array: NDArray[Any]) -> bytes:
    dims = b"".join(number_field(1, n) for n in array.shape)
    raw = np.ascontiguousarray(array).tobytes()
    return dims + number_field(2, _TYPES[array.dtype.name]) + text_field(8, name) + bytes_field(9, raw)


def _port(name: str, shape: Sequence[int], dtype: str = "float32") -> bytes:
    """A ValueInfoProto; -1 is a free dimension."""
    dims = (text_field(2, f"d{i}") if n < 0 else number_field(1, n) for i, n in enumerate(shape))
    inner = number_field(1, _TYPES[dtype]) + bytes_field(2, b"".join(bytes_field(1, d) for d in dims))
    return text_field(1, name) + bytes_field(2, bytes_field(1, inner))


class Graph:
    r"""Collects nodes and constants, then writes them.

    Args:
        inputs: name to shape; -1 is free.
        dtypes: numpy's names of the types of those that are not float32.

    >>> graph = Graph({"x": (1, 2)})
    >>> graph.finish({graph.node("Relu", ["x"]): (1, 2)})[:2]
    b'\x08\x08'
    """

    def __init__(self, inputs: Mapping[str, Sequence[int]], dtypes: Mapping[str, str] | None = None) -> None:
        self._inputs = dict(inputs)
        self._dtypes = dict(dtypes or {})
        self._constants: list[bytes] = []
        self._nodes: list[bytes] = []
        self._names = 0

    def _name(self, prefix: str) -> str:
        self._names += 1
        return f"{prefix}{self._names}"

    def constant(self, array: NDArray[Any]) -> str:
        """Add a constant tensor; returns its name."""
        name = self._name("c")
        self._constants.append(_tensor(name, array))
        return name

    def node(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add an operator with one output that is used; returns the output's name."""
        return self.nodes(kind, inputs, 1, **attributes)[0]

    def nodes(self, kind: str, inputs: Sequence[str], outputs: int, **attributes: Any) -> list[str]:
        """Add an operator with several outputs; returns their names. Attributes: int, float, str, or lists of them."""
        names = [self._name("t") for _ in range(outputs)]
        body = b"".join(text_field(1, i) for i in inputs) + b"".join(text_field(2, o) for o in names)
        body += text_field(3, names[0]) + text_field(4, kind)
        body += b"".join(bytes_field(5, _attribute(k, attributes[k])) for k in sorted(attributes))
        self._nodes.append(body)
        return names

    def finish(self, outputs: Mapping[str, Sequence[int]]) -> bytes:
        """The file, with the shapes of the tensors that it gives out; all are float32."""
        graph = b"".join(bytes_field(1, n) for n in self._nodes) + text_field(2, "onlooker")
        graph += b"".join(bytes_field(5, c) for c in self._constants)
        graph += b"".join(bytes_field(11, _port(k, v, self._dtypes.get(k, "float32"))) for k, v in self._inputs.items())
        graph += b"".join(bytes_field(12, _port(k, v)) for k, v in outputs.items())
        return (
            number_field(1, _IR) + bytes_field(7, graph) + bytes_field(8, text_field(1, "") + number_field(2, _OPSET))
        )
