"""Weights out of files that ``torch.save`` wrote, without torch and without unpickling.

The pickle inside is read opcode by opcode by a small machine that knows tensors, storages, dictionaries, lists, tuples,
numbers and texts, and calls nothing. A reference to any other name becomes an inert mark; a tensor that rests on one is
refused. Both forms are read: the zip archive (since 1.6) and the older plain stream.
"""

from __future__ import annotations

import io
import json
import math
import pickletools
import struct
import zipfile
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from onlooker.core.errors import ModelError

__all__ = ["read_torch", "write_safetensors"]

_STORAGES: dict[str, Any] = {
    "FloatStorage": np.float32,
    "DoubleStorage": np.float64,
    "HalfStorage": np.float16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}
_SAFE = {"float32": "F32", "float64": "F64", "float16": "F16", "int64": "I64", "int32": "I32", "int16": "I16"}
_SAFE |= {"int8": "I8", "uint8": "U8", "bool": "BOOL"}
_LITERALS = frozenset(
    [
        "INT",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG",
        "LONG1",
        "LONG4",
        "FLOAT",
        "BINFLOAT",
        "UNICODE",
        "BINUNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE8",
        "STRING",
        "BINSTRING",
        "SHORT_BINSTRING",
        "BINBYTES",
        "SHORT_BINBYTES",
    ]
)
_MARK = object()
_MAX_VALUES = 100_000
_MAX_DEPTH = 64
_MAX_BYTES = 4 * 1024**3


class _Name:
    """A global that the pickle refers to; never imported, never called."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class _Tensor:
    def __init__(self, storage: tuple[str, str], offset: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> None:
        self.storage, self.offset, self.shape, self.stride = storage, offset, shape, stride


class _Inert:
    """What a call of an unknown name gave."""


def _call(function: Any, arguments: Any) -> Any:
    if isinstance(function, _Name) and isinstance(arguments, tuple):
        if function.name == "_rebuild_tensor_v2" and len(arguments) >= 4:
            storage, offset, shape, stride = arguments[:4]
            if isinstance(storage, tuple) and len(storage) == 2:
                return _Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, stride)))
        if function.name == "_rebuild_parameter" and arguments:
            return arguments[0]
        if (function.module, function.name) == ("collections", "OrderedDict"):
            return dict(arguments[0]) if arguments else {}
    return _Inert()


def _storage(persistent: Any) -> tuple[str, str]:
    """(dtype name, key) of ``('storage', <type>, key, location, count)``."""
    if isinstance(persistent, tuple) and len(persistent) >= 5 and isinstance(persistent[1], _Name):
        kind = persistent[1].name
        if kind in _STORAGES:
            return kind, str(persistent[2])
    raise ModelError("the weights file holds a storage of an unknown type", hint="use a file of plain tensors")


class _Machine:
    """Runs one pickle; ``result`` is what it leaves."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, data: BinaryIO) -> Any:
        for code, argument, _ in pickletools.genops(data):
            if code.name == "STOP":
                return self.stack.pop()
            self._step(code.name, argument)
        raise ModelError("the weights file is cut off")

    def _pop_mark(self) -> list[Any]:
        at = max(i for i, v in enumerate(self.stack) if v is _MARK)
        taken = self.stack[at + 1 :]
        del self.stack[at:]
        return taken

    def _step(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in ("PROTO", "FRAME"):
            return
        if name == "MARK":
            stack.append(_MARK)
        elif name in ("NONE", "NEWTRUE", "NEWFALSE"):
            stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[name])
        elif name in _LITERALS:
            stack.append(argument)
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            self.memo[int(argument)] = stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(self.memo[int(argument)])
        elif name == "POP":
            stack.pop()
        else:
            self._build(name, argument)

    def _build(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in ("EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "EMPTY_SET"):
            stack.append({"EMPTY_DICT": {}, "EMPTY_LIST": [], "EMPTY_TUPLE": (), "EMPTY_SET": []}[name])
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(name[-1])
            taken = tuple(stack[-count:])
            del stack[-count:]
            stack.append(taken)
        elif name == "TUPLE":
            stack.append(tuple(self._pop_mark()))
        elif name in ("LIST", "APPENDS", "APPEND", "ADDITEMS"):
            items = [stack.pop()] if name == "APPEND" else self._pop_mark()
            if name == "LIST":
                stack.append(items)
            elif isinstance(stack[-1], list):
                stack[-1].extend(items)
        elif name in ("DICT", "SETITEMS", "SETITEM"):
            if name == "SETITEM":
                value, key = stack.pop(), stack.pop()
                items = [key, value]
            else:
                items = self._pop_mark()
            pairs = {k: v for k, v in zip(items[::2], items[1::2], strict=True) if isinstance(k, str | int)}
            if name == "DICT":
                stack.append(pairs)
            elif isinstance(stack[-1], dict):
                stack[-1].update(pairs)
        elif name == "GLOBAL":
            module, _, attribute = str(argument).partition(" ")
            stack.append(_Name(module, attribute))
        elif name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            stack.append(_Name(str(module), str(attribute)))
        elif name in ("REDUCE", "NEWOBJ"):
            arguments, function = stack.pop(), stack.pop()
            stack.append(_call(function, arguments))
        elif name == "BUILD":
            stack.pop()
        elif name == "BINPERSID":
            stack.append(_storage(stack.pop()))
        else:
            raise ModelError(f"the weights file uses {name}, which plain weights do not need", hint="do not trust it")


def _tensors(value: Any) -> dict[str, _Tensor]:
    """Tensors by dotted name. Dictionaries that hold each other many times over are refused, not followed."""
    found: dict[str, _Tensor] = {}
    waiting: list[tuple[str, Any]] = [("", value)]
    for seen in range(_MAX_VALUES):
        if not waiting:
            return found
        prefix, inner = waiting.pop()
        if isinstance(inner, _Tensor):
            found[prefix] = inner
        elif isinstance(inner, dict):
            if len(inner) + seen > _MAX_VALUES or prefix.count(".") > _MAX_DEPTH:
                break
            waiting += [(f"{prefix}.{key}" if prefix else str(key), v) for key, v in inner.items()]
    raise ModelError("the weights file is nested beyond what weights need", hint="do not trust it")


def _array(tensor: _Tensor, data: NDArray[Any]) -> NDArray[Any]:
    last = tensor.offset + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride, strict=True))
    if any(n < 0 for n in tensor.shape) or any(s < 0 for s in tensor.stride) or tensor.offset < 0:
        raise ModelError("a tensor of the weights file has a negative size")
    if 0 in tensor.shape:
        return np.zeros(tensor.shape, data.dtype)
    # a stride of zero repeats a value: a few bytes would become any number of gigabytes
    if last >= len(data) or math.prod(tensor.shape) > len(data):
        raise ModelError("a tensor of the weights file reaches beyond its storage", hint="the file is damaged")
    strides = [s * data.itemsize for s in tensor.stride]
    return np.lib.stride_tricks.as_strided(data[tensor.offset :], tensor.shape, strides).copy()


def read_torch(data: bytes) -> dict[str, NDArray[Any]]:
    """All tensors of a weights file by their dotted names.

    Raises:
        ModelError: it is damaged, or holds more than plain weights.
    """
    try:
        if zipfile.is_zipfile(io.BytesIO(data)):
            return _read_zip(data)
        return _read_stream(data)
    except ModelError:
        raise
    except Exception as error:
        # whatever a damaged stream leads to, it is the file's fault
        raise ModelError(f"the weights file is damaged: {error!r}") from error


def _read_zip(data: bytes) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(member.file_size for member in archive.infolist()) > _MAX_BYTES:
            raise ModelError("the weights file unpacks to more than 4 GiB", hint="do not trust it")
        (pickle,) = [n for n in archive.namelist() if n.endswith("data.pkl")]
        prefix = pickle[: -len("data.pkl")]
        tensors = _tensors(_Machine().run(io.BytesIO(archive.read(pickle))))
        storages: dict[str, NDArray[Any]] = {}
        for kind, key in {t.storage for t in tensors.values()}:
            storages[key] = np.frombuffer(archive.read(f"{prefix}data/{key}"), _STORAGES[kind])
        return {name: _array(t, storages[t.storage[1]]) for name, t in tensors.items()}


def _read_stream(data: bytes) -> dict[str, NDArray[Any]]:
    stream = io.BytesIO(data)
    for _ in range(3):  # magic number, protocol, machine facts
        _Machine().run(stream)
    tensors = _tensors(_Machine().run(stream))
    keys = _Machine().run(stream)
    kinds = {t.storage[1]: t.storage[0] for t in tensors.values()}
    storages: dict[str, NDArray[Any]] = {}
    for key in keys:
        (count,) = struct.unpack("<q", stream.read(8))
        kind = np.dtype(_STORAGES[kinds.get(str(key), "FloatStorage")])
        storages[str(key)] = np.frombuffer(stream.read(count * kind.itemsize), kind)
    return {name: _array(t, storages[t.storage[1]]) for name, t in tensors.items()}


def write_safetensors(arrays: dict[str, NDArray[Any]]) -> bytes:
    """The arrays as a safetensors file (https://github.com/huggingface/safetensors#format)."""
    header: dict[str, Any] = {}
    offset = 0
    for name in sorted(arrays):
        array = arrays[name]
        header[name] = {
            "dtype": _SAFE[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    data = b"".join(np.ascontiguousarray(arrays[name]).tobytes() for name in sorted(arrays))
    return struct.pack("<Q", len(text)) + text + data
