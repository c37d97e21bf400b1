"""Weights files as torch writes them, made here without torch; and files that want to do more."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onlooker.core.errors import ModelError
from onlooker.models.convert.torch_file import read_torch, write_safetensors


def _global(name: str) -> bytes:
    return b"c" + name.replace(" ", "\n").encode() + b"\n"


def _text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def _number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def _tuple(*parts: bytes) -> bytes:
    return b"(" + b"".join(parts) + b"t"


def _tensor(key: str, shape, stride, count, offset=0, kind="FloatStorage") -> bytes:
    storage = _tuple(_text("storage"), _global(f"torch {kind}"), _text(key), _text("cpu"), _number(count)) + b"Q"
    arguments = [storage, _number(offset), _tuple(*map(_number, shape)), _tuple(*map(_number, stride))]
    arguments += [b"\x89", _global("collections OrderedDict") + b")R"]
    return _global("torch._utils _rebuild_tensor_v2") + _tuple(*arguments) + b"R"


def _pickle(values: dict[str, bytes]) -> bytes:
    return b"\x80\x02}(" + b"".join(_text(k) + v for k, v in values.items()) + b"u."


def _archive(values: dict[str, bytes], storages: dict[str, np.ndarray]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("archive/data.pkl", _pickle(values))
        for key, array in storages.items():
            archive.writestr(f"archive/data/{key}", array.tobytes())
    return out.getvalue()


DATA = np.arange(12, dtype=np.float32)


def test_tensors_with_offsets_and_strides():
    values = {"a": _tensor("0", (3, 2), (1, 3), 12, 6), "b": _tensor("0", (12,), (1,), 12)}
    found = read_torch(_archive(values, {"0": DATA}))
    assert set(found) == {"a", "b"}
    assert found["a"].tolist() == [[6, 9], [7, 10], [8, 11]]
    assert np.array_equal(found["b"], DATA)


def test_the_older_stream():
    stream = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2)
    stream += _pickle({"a": _tensor("77", (3, 4), (4, 1), 12)}) + pickle.dumps(["77"], 2)
    stream += struct.pack("<q", 12) + DATA.tobytes()
    assert np.array_equal(read_torch(stream)["a"], DATA.reshape(3, 4))


def test_nothing_that_the_file_names_is_called(tmp_path):
    trap = tmp_path / "called"
    evil = _global("os system") + _tuple(_text(f"touch {trap}")) + b"R"
    found = read_torch(_archive({"evil": evil, "a": _tensor("0", (12,), (1,), 12)}, {"0": DATA}))
    assert set(found) == {"a"}
    assert not trap.exists()
    with pytest.raises(ModelError):
        read_torch(pickle.dumps(_Trap(str(trap))))
    assert not trap.exists()


class _Trap:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize(
    ("shape", "stride", "offset"),
    [((13,), (1,), 0), ((2,), (1,), 11), ((1 << 30,), (0,), 0), ((-1,), (1,), 0), ((2,), (-1,), 5), ((2,), (1,), -1)],
)
def test_tensors_beyond_their_storage_are_refused(shape, stride, offset):
    with pytest.raises(ModelError):
        read_torch(_archive({"a": _tensor("0", shape, stride, 12, offset)}, {"0": DATA}))


def test_dictionaries_that_multiply_are_refused():
    # each holds the one before twice: 2 to the 40th names if followed
    nested = b"}q\x00"
    for n in range(40):
        nested = b"}(" + _text("x") + nested + _text("y") + b"h" + bytes([n]) + b"uq" + bytes([n + 1])
    with pytest.raises(ModelError, match="nested"):
        read_torch(_archive({"a": nested}, {"0": DATA}))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_damage_is_an_error_of_the_model_or_harmless(data):
    good = _pickle({"a": _tensor("0", (3, 4), (4, 1), 12), "b": _tensor("0", (12,), (1,), 12)})
    damaged = bytearray(good)
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("archive/data.pkl", bytes(damaged[: data.draw(st.integers(0, len(good)))]))
        archive.writestr("archive/data/0", DATA.tobytes())
    with contextlib.suppress(ModelError):
        read_torch(out.getvalue())


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_at_all(data):
    with contextlib.suppress(ModelError):
        read_torch(data)


def test_safetensors_hold_what_went_in():
    arrays = {"b": DATA.reshape(3, 4), "a": np.array([1, 2], np.int64)}
    written = write_safetensors(arrays)
    (length,) = struct.unpack_from("<Q", written)
    header, body = json.loads(written[8 : 8 + length]), written[8 + length :]
    for name, array in arrays.items():
        start, end = header[name]["data_offsets"]
        kind = {"F32": np.float32, "I64": np.int64}[header[name]["dtype"]]
        assert np.array_equal(np.frombuffer(body[start:end], kind).reshape(header[name]["shape"]), array)
