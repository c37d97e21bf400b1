"""Conversions are found by name; several archives meet in one; what comes out computes what went in."""

from __future__ import annotations

import io
import struct
import zipfile

import numpy as np
import pytest
from pydantic import ValidationError

from models.serving import serving, sha, zipped
from onlooker.core.errors import ConfigError, ModelError
from onlooker.models.convert import conversions, convert
from onlooker.models.convert.onnx_file import Graph
from onlooker.models.convert.torch_file import read_torch
from onlooker.models.entries import Entry, ModelSource, parse_entry
from onlooker.models.fetch import pull_entry


def _archive(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        assert all(i.compress_type == zipfile.ZIP_STORED for i in opened.infolist())
        return {name: opened.read(name) for name in opened.namelist()}


def test_a_conversion_is_called_by_its_modules_name():
    assert {"archive", "onnx-floats", "speaker", "tfjs", "tfjs-weights", "torch"} <= set(conversions())
    assert convert("none", {"a": b"x"}) == b"x"
    with pytest.raises(ConfigError, match=r"no conversion 'onnx-file'.*archive"):
        convert("onnx-file", {"a": b"x"})


def test_an_entry_with_an_unknown_conversion_says_so():
    source = f"{{kind: file, location: x, sha256: {sha(b'')}, members: {{m: {sha(b'')}}}, convert: alchemy}}"
    text = f"{{name: n, title: t, task: t, licence: MIT, file: f, size: 1, sha256: {sha(b'')}, sources: [{source}]}}"
    with pytest.raises(ConfigError, match=r"own\.yaml: sources\.0.*'alchemy'"):
        parse_entry(text, "own.yaml")


def test_parts_are_joined_and_the_same_members_give_the_same_bytes():
    members = {"b/x.bin.part2": b"two", "a/x.bin.part1": b"one", "in.zip!deep/words.json": b"{}"}
    made = convert("archive", members)
    assert _archive(made) == {"words.json": b"{}", "x.bin": b"onetwo"}
    assert convert("archive", dict(reversed(members.items()))) == made


@pytest.mark.parametrize(
    "members",
    [{"x.part1": b"", "x.part3": b""}, {"a/x": b"", "b/x": b""}, {"x": b"", "x.part1": b""}, {"x.part2": b""}],
)
def test_parts_that_do_not_fit_are_refused(members):
    with pytest.raises(ModelError, match="'x'"):
        convert("archive", members)


def test_members_of_several_archives_meet(cache):
    first, second = zipped({"d/m.bin.part1": b"one"}), zipped({"e/m.bin.part2": b"two", "e/c.json": b"{}"})
    made = convert("archive", {"d/m.bin.part1": b"one", "e/m.bin.part2": b"two", "e/c.json": b"{}"})
    with serving() as server:
        server.files |= {"/1": first, "/2": second}
        also = {
            "kind": "https",
            "location": server.address + "/2",
            "sha256": sha(second),
            "members": {"e/m.bin.part2": sha(b"two"), "e/c.json": sha(b"{}")},
        }
        facts = {
            "kind": "https",
            "location": server.address + "/1",
            "sha256": sha(first),
            "members": {"d/m.bin.part1": sha(b"one")},
            "convert": "archive",
        }

        def entry(also: dict) -> Entry:
            source = ModelSource.model_validate({**facts, "also": [also]})
            return Entry(
                name="m", title="t", task="t", licence="MIT", file="m.zip", sha256=sha(made), size=1, sources=(source,)
            )

        with pytest.raises(ModelError, match=r"expected sha256 0+, got .*/2"):
            pull_entry(entry(also | {"sha256": "0" * 64}))
        assert _archive(pull_entry(entry(also)).read_bytes()) == {"c.json": b"{}", "m.bin": b"onetwo"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"also": [{"kind": "file", "location": "y", "sha256": "0" * 64}]}, "needs members"),
        ({"also": [{"kind": "file", "location": "y", "sha256": "0" * 64, "members": {"m": "0" * 64}}]}, "same name"),
        ({"also": [{"kind": "file", "location": "y", "sha256": "0" * 64, "members": {"n": "0" * 64}}]}, "one file"),
        ({"members": {}, "convert": "archive"}, "needs members"),
        ({"also": [{"kind": "wheel", "package": "--x", "version": "1", "sha256": "0" * 64}]}, "published package"),
    ],
)
def test_sources_that_cannot_be_joined_are_refused(change, said):
    facts = {"kind": "file", "location": "x", "sha256": "0" * 64, "members": {"m": "0" * 64}, **change}
    with pytest.raises(ValidationError, match=said):
        ModelSource.model_validate(facts)


def _quantised() -> tuple[dict[str, bytes], np.ndarray, np.ndarray]:
    """relu(x @ w) with quantisation around everything and ``w`` in a file beside the model."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    w = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    outside = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=w.shape, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "w.data"), ("offset", "8"), ("length", str(w.nbytes))):
        outside.external_data.add(key=key, value=value)
    constants = [
        outside,
        helper.make_tensor("step", TensorProto.FLOAT, [], [0.05]),
        helper.make_tensor("zero", TensorProto.UINT8, [], [128]),
        numpy_helper.from_array(np.array([1, -1], np.int64), "flat"),
    ]
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "step", "zero"], ["xf"]),
        helper.make_node("QuantizeLinear", ["w", "step", "zero"], ["wq"]),
        helper.make_node("DequantizeLinear", ["wq", "step", "zero"], ["wf"]),
        helper.make_node("Gemm", ["xf", "wf"], ["y"], alpha=2.0),
        helper.make_node("Reshape", ["y", "flat"], ["z"], allowzero=0),
        helper.make_node("Relu", ["z"], ["r"]),
        helper.make_node("QuantizeLinear", ["r", "step", "zero"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 4])],
        [helper.make_tensor_value_info("out", TensorProto.UINT8, [1, 3])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    x = np.array([[1.0, -2.0, 0.5, 0.25]], np.float32)
    assert onnx.__name__
    members = {"in/m.onnx": model.SerializeToString(), "in/w.data": b"8 before" + w.tobytes()}
    return members, x, np.maximum(2 * x @ w, 0)


def test_quantisation_is_left_out_and_weights_beside_come_in(tmp_path):
    import onnxruntime

    members, x, expected = _quantised()
    made = convert("onnx-floats", members)
    session = onnxruntime.InferenceSession(made)
    assert session.get_inputs()[0].name == "x"
    np.testing.assert_allclose(np.asarray(session.run(None, {"x": x})[0]), expected, rtol=1e-5)
    with pytest.raises(ModelError, match=r"w\.data"):
        convert("onnx-floats", {"m.onnx": members["in/m.onnx"]})
    for cut in (1, 40, len(members["in/m.onnx"]) // 2):
        with pytest.raises(ModelError):
            convert("onnx-floats", {"m.onnx": members["in/m.onnx"][:-cut], "w.data": members["in/w.data"]})


def test_the_onnx_writer_is_what_onnx_reads():
    onnx = pytest.importorskip("onnx")
    graph = Graph({"x": (-1, 2)})
    graph_bytes = graph.finish({graph.node("Elu", ["x"], alpha=0.5): (-1, 2)})
    model = onnx.load_from_string(graph_bytes)
    onnx.checker.check_model(model)
    assert struct.pack("<f", 0.5) in graph_bytes


def test_the_voice_encoder_refuses_other_weights(monkeypatch):
    from onlooker.models.convert import speaker

    assert read_torch.__module__.startswith("onlooker")
    monkeypatch.setattr(speaker, "read_torch", lambda data: {"lstm.weight_ih_l0": np.zeros((1024, 40), np.float32)})
    with pytest.raises(ModelError, match="is missing"):
        speaker.convert({"p": b""})
