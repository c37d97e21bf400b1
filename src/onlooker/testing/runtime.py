"""What every inference engine must do, whoever wrote it. A plug-in author runs it in one test:

    from onlooker.testing.runtime import check_runtime

    def test_my_engine(tmp_path):
        check_runtime(MyRuntime(), tmp_path)

The models are written here, byte by byte, so that the suite needs no other package.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.core.errors import ModelError
from onlooker.core.runtime import LoadedModel, Runtime

__all__ = ["affine_model", "check_parity", "check_runtime"]


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _port(name: str, shape: tuple[int | str, ...]) -> bytes:
    dims = b"".join(_bytes(1, _text(2, d) if isinstance(d, str) else _number(1, d)) for d in shape)
    return _text(1, name) + _bytes(2, _bytes(1, _number(1, 1) + _bytes(2, dims)))


def _constant(name: str, array: NDArray[np.float32]) -> bytes:
    dims = b"".join(_number(1, d) for d in array.shape)
    return dims + _number(2, 1) + _text(8, name) + _bytes(9, array.astype("<f4").tobytes())


def _node(op: str, inputs: list[str], output: str) -> bytes:
    return b"".join(_text(1, i) for i in inputs) + _text(2, output) + _text(4, op)


def affine_model(weight: NDArray[np.float32], bias: NDArray[np.float32], rows: int | str = "rows") -> bytes:
    """An ONNX file: ``x`` (rows, n) and ``shift`` (m,) to ``sum`` = x @ weight + bias + shift and ``positive`` =
    relu(sum).

    Args:
        weight: (n, m).
        bias: (m,).
        rows: a fixed number, or a name where it is free.
    """
    n, m = weight.shape
    nodes = [
        _node("MatMul", ["x", "weight"], "product"),
        _node("Add", ["product", "bias"], "biased"),
        _node("Add", ["biased", "shift"], "sum"),
        _node("Relu", ["sum"], "positive"),
    ]
    graph = b"".join(_bytes(1, node) for node in nodes) + _text(2, "affine")
    graph += _bytes(5, _constant("weight", weight)) + _bytes(5, _constant("bias", bias))
    graph += _bytes(11, _port("x", (rows, n))) + _bytes(11, _port("shift", (m,)))
    graph += _bytes(12, _port("sum", (rows, m))) + _bytes(12, _port("positive", (rows, m)))
    return _number(1, 8) + _bytes(7, graph) + _bytes(8, _text(1, "") + _number(2, 13))


def check_runtime(runtime: Runtime, folder: Path) -> None:
    """Run the whole suite; ``folder`` is an empty one for its files.

    Raises:
        AssertionError: the engine breaks the contract; says where.
    """
    assert runtime.name, "a runtime has a name"
    assert runtime.available(), f"{runtime.name} is not installed here"
    assert isinstance(runtime.has_gpu(), bool), "it says whether it has a GPU"
    random = np.random.default_rng(0)
    weight = random.standard_normal((3, 4), np.float32)
    bias = random.standard_normal(4, np.float32)
    path = folder / "affine.onnx"
    path.write_bytes(affine_model(weight, bias))
    assert runtime.reads(path), f"{runtime.name} must say that it reads ONNX"
    assert not runtime.reads(folder / "picture.jpeg"), "it must not claim what it cannot read"
    _check_damaged(runtime, folder, path.read_bytes())
    model = runtime.load(path, threads=1)
    try:
        _check_declaration(runtime, model)
        _check_values(model, weight, bias)
        _check_refusals(model)
        _check_threads(model, weight, bias)
    finally:
        model.close()
    model.close()
    with _refused("closed"):
        model.run([np.zeros((1, 3), np.float32), np.zeros(4, np.float32)])
    _check_fixed(runtime, path, weight, bias)


class _refused:  # noqa: N801 (a context manager, used as a word)
    """The block must raise `ModelError` whose message holds all ``words``."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        assert isinstance(error, ModelError), f"expected a ModelError that says {self.words}, got {error!r}"
        assert all(word in str(error) for word in self.words), f"{str(error)!r} does not say {self.words}"
        return True


def _check_damaged(runtime: Runtime, folder: Path, good: bytes) -> None:
    bad = folder / "bad.onnx"
    for data in (b"", b"no model", good[: len(good) // 2]):
        bad.write_bytes(data)
        with _refused("bad.onnx"):
            runtime.load(bad)
    with _refused("absent.onnx"):
        runtime.load(folder / "absent.onnx")


def _check_declaration(runtime: Runtime, model: LoadedModel) -> None:
    assert [(t.name, t.shape, t.dtype) for t in model.inputs] == [("x", (-1, 3), "float32"), ("shift", (4,), "float32")]
    assert [(t.name, t.shape, t.dtype) for t in model.outputs] == [
        ("sum", (-1, 4), "float32"),
        ("positive", (-1, 4), "float32"),
    ]
    report = model.report
    assert report.runtime == runtime.name
    assert report.version, "the report names the engine's version"
    assert report.device, "the report names the device"
    assert report.threads == 1


def _expected(x: NDArray[Any], shift: NDArray[Any], weight: NDArray[Any], bias: NDArray[Any]) -> list[NDArray[Any]]:
    total = x @ weight + bias + shift
    return [total, np.maximum(total, 0)]


def _check_values(model: LoadedModel, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
    random = np.random.default_rng(1)
    shift = random.standard_normal(4, np.float32)
    kept: list[tuple[list[NDArray[Any]], list[NDArray[Any]]]] = []
    for rows in (1, 5, 2):
        x = random.standard_normal((rows, 3), np.float32)
        strided = np.asfortranarray(x)
        wanted = _expected(x, shift, weight, bias)
        for inputs in ([x, shift], {"shift": shift, "x": x}, [strided, shift]):
            before = strided.copy()
            found = model.run(inputs)
            assert len(found) == 2, "one array per output"
            for a, b in zip(found, wanted, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
            assert np.array_equal(before, strided), "inputs stay as they are"
            kept.append((found, wanted))
    for found, wanted in kept:
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5, err_msg="a later call changed an earlier result")
        found[0][...] = 0  # the caller's own: may be written to


def _check_refusals(model: LoadedModel) -> None:
    x, shift = np.zeros((1, 3), np.float32), np.zeros(4, np.float32)
    with _refused("expected 2", "got 1"):
        model.run([x])
    with _refused("expected", "shift", "got", "other"):
        model.run({"x": x, "other": shift})
    with _refused("x", "expected", "float32", "got", "float64"):
        model.run([x.astype(np.float64), shift])
    with _refused("x", "(1, 7)"):
        model.run([np.zeros((1, 7), np.float32), shift])
    with _refused("x", "(3,)"):
        model.run([np.zeros(3, np.float32), shift])
    assert len(model.run([x, shift])) == 2, "a refused call must not spoil the next"


def _check_threads(model: LoadedModel, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
    wrong: list[str] = []

    def work(seed: int) -> None:
        random = np.random.default_rng(seed)
        shift = random.standard_normal(4, np.float32)
        for _ in range(200):
            x = random.standard_normal((int(random.integers(1, 9)), 3), np.float32)
            for a, b in zip(model.run([x, shift]), _expected(x, shift, weight, bias), strict=True):
                if a.shape != b.shape or not np.allclose(a, b, rtol=1e-4, atol=1e-5):
                    wrong.append(f"thread {seed}: {a.shape} {b.shape}")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, f"calls from several threads got each other's results: {wrong[:3]}"


def _check_fixed(runtime: Runtime, path: Path, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
    model = runtime.load(path, shapes={"x": (2, 3)})
    assert model.inputs[0].shape == (2, 3)
    x, shift = np.ones((2, 3), np.float32), np.ones(4, np.float32)
    np.testing.assert_allclose(model.run([x, shift])[0], _expected(x, shift, weight, bias)[0], rtol=1e-4, atol=1e-5)
    with _refused("(2, 3)", "(1, 3)"):
        model.run([x[:1], shift])
    model.close()
    with _refused("none"):
        runtime.load(path, shapes={"none": (1,)})


def check_parity(models: list[LoadedModel], inputs: list[NDArray[Any]], *, tolerance: float = 1e-3) -> None:
    """The same model in several engines gives the same results.

    Args:
        models: the loaded ones.
        inputs: one set of inputs.
        tolerance: greatest difference, as a share of the largest value of the first engine's output.

    Raises:
        AssertionError: they differ; says by how much.
    """
    first, *others = [model.run(inputs) for model in models]
    for model, found in zip(models[1:], others, strict=True):
        for number, (a, b) in enumerate(zip(first, found, strict=True)):
            assert a.shape == b.shape, f"output {number} of {model.report.runtime}: {a.shape} and {b.shape}"
            off = float(np.abs(a - b).max()) / max(float(np.abs(a).max()), 1e-9)
            assert off <= tolerance, f"output {number} of {model.report.runtime} differs by {off:.2e}"
