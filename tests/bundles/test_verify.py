"""The golden run is replayed in each engine; what does otherwise here than where it was made is found."""

from __future__ import annotations

import numpy as np
import pytest

from analyzers.bundle import making
from analyzers.bundle.catalogue import nanodet_facts, nanodet_file
from onlooker.bundles import import_model, noise, pack_golden, play, save_bundle, verify_bundle
from onlooker.bundles.golden import read_golden
from onlooker.core.errors import ModelError


def states(found):
    return {c.name: c.state for c in found.checks}


def test_each_engine_replays_the_golden_run(tmp_path):
    found = verify_bundle(making.colour_bundle(tmp_path))
    assert states(found) == {"files": "good", "openvino": "good", "onnxruntime": "good"}
    assert found.as_dict()["digest"] == found.digest


def test_the_golden_answers_are_those_computed_by_hand(tmp_path):
    bundle = making.colour_bundle(tmp_path)
    golden = read_golden(bundle.path("golden.npz"))
    expected = golden["in.model"][:, 0].mean((1, 2)) / 25.5
    assert golden["in.model"].dtype == np.uint8
    np.testing.assert_allclose(golden["out.y"][:, 0], expected, rtol=1e-5)


def test_other_answers_than_the_golden_ones_are_bad(tmp_path):
    bundle = making.colour_bundle(tmp_path)
    golden = read_golden(bundle.path("golden.npz"))
    golden["out.y"][2, 0, 1] += 0.01
    files = {"model.onnx": bundle.path("model.onnx"), "golden.npz": pack_golden({}, golden)}
    found = verify_bundle(save_bundle(tmp_path / "other", bundle.manifest, files))
    assert states(found) == {"files": "good", "openvino": "bad", "onnxruntime": "bad"}
    assert "differs by up to 0.01" in found.checks[1].detail


def test_another_model_with_the_golden_run_of_the_first_is_bad(tmp_path):
    bundle = making.colour_bundle(tmp_path)
    nodes = [("ReduceMax", ["x"], ["y"], {"axes": [2, 3], "keepdims": 0})]
    other = making.write(tmp_path / "o.onnx", nodes, {"x": (1, 3, 8, 8)}, {"y": (1, 3)})
    files = {"model.onnx": other, "golden.npz": bundle.path("golden.npz")}
    assert not verify_bundle(save_bundle(tmp_path / "other", bundle.manifest, files)).good


def test_a_memory_is_as_short_as_it_says(tmp_path):
    model = making.window_model(tmp_path / "w.onnx")
    good = verify_bundle(import_model(model, making.window_facts(5), tmp_path / "good"))
    assert states(good)["memory of model"] == "good"
    bad = verify_bundle(import_model(model, making.window_facts(4), tmp_path / "bad"))
    assert states(bad)["memory of model"] == "bad"
    endless = making.window_facts(state={**making.FADING, "steps": 5})
    found = verify_bundle(import_model(making.fading_model(tmp_path / "f.onnx"), endless, tmp_path / "endless"))
    assert states(found)["memory of model"] == "bad"


def test_a_bundle_that_remembers_for_ever_must_say_how_it_is_bounded(tmp_path):
    with pytest.raises(ModelError, match="only a head may remember for ever"):
        import_model(making.fading_model(tmp_path / "f.onnx"), making.window_facts(state=making.FADING), tmp_path / "b")


def test_streaming_in_steps_is_the_same_as_the_golden_run(tmp_path):
    bundle = import_model(making.window_model(tmp_path / "w.onnx"), making.window_facts(), tmp_path / "b")
    inputs = noise(bundle.manifest, steps=12, seed=3)
    found = play(bundle, inputs, engine="onnxruntime")["out.y"].reshape(-1)
    light = [0.0] * 5 + [float(np.rint(p[0] @ [0.299, 0.587, 0.114]).mean()) for p in inputs["in.model"]]
    expected = [np.mean(light[n : n + 6]) for n in range(12)]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_openvino_s_own_form_is_kept(tmp_path):
    import openvino

    model = openvino.Core().read_model(str(making.colour_model(tmp_path / "c.onnx")))
    openvino.save_model(model, str(tmp_path / "c.xml"), compress_to_fp16=False)
    bundle = import_model(tmp_path / "c.xml", making.colour_facts(), tmp_path / "b")
    assert set(bundle.manifest.files) == {"model.xml", "model.bin", "golden.npz"}
    assert states(verify_bundle(bundle)) == {"files": "good", "openvino": "good"}


def test_as_many_rows_as_there_are_boxes(tmp_path):
    """The pictures' bright pixels are the rows, as of a detector that drops doubles itself."""
    nodes = [
        ("Greater", ["x", "limit"], ["bright"], {}),
        (
            "Cast",
            [
                "bright",
            ],
            ["ones"],
            {"to": 1},
        ),
        ("NonZero", ["ones"], ["places"], {}),
        ("Cast", ["places"], ["numbers"], {"to": 1}),
        ("Transpose", ["numbers"], ["y"], {"perm": [1, 0]}),
    ]
    model = making.write(
        tmp_path / "n.onnx", nodes, {"x": (1, 3, 8, 8)}, {"y": ("rows", 4)}, [making.constant("limit", 0.5)]
    )
    facts = making.colour_facts()
    rows = {"form": "rows", "tensor": "y", "score": 1, "label": 0}
    facts["outputs"] = [{"task": "detection", "name": "bright", "labels": ["bright"], "boxes": rows}]
    bundle = import_model(model, facts, tmp_path / "b")
    assert verify_bundle(bundle).good
    counts = [np.count_nonzero(p > 127) for p in noise(bundle.manifest)["in.model"][:, 0]]
    found = play(bundle, noise(bundle.manifest))["out.y"]
    assert found.shape == (4, max(counts), 4)


def varint(number):
    made = b""
    while number > 127:
        made, number = made + bytes([number & 127 | 128]), number >> 7
    return made + bytes([number])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def saved_model(folder, graph, tensor, outputs):
    """A SavedModel around a frozen graph, as TensorFlow writes one that has no variables."""

    def info(name):
        return field(1, name.encode()) + varint(2 << 3) + varint(1)

    signature = field(1, field(1, b"picture") + field(2, info(tensor)))
    for number, name in enumerate(outputs):
        signature += field(2, field(1, f"out{number}".encode()) + field(2, info(name)))
    signature += field(3, b"tensorflow/serving/predict")
    meta = field(1, field(4, b"serve")) + field(2, graph) + field(5, field(1, b"serving_default") + field(2, signature))
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(varint(1 << 3) + varint(1) + field(2, meta))
    return folder


def test_a_saved_model_becomes_a_bundle_that_does_the_same_as_its_graph(tmp_path):
    graph = nanodet_file()
    frozen = import_model(graph, nanodet_facts(), tmp_path / "frozen")
    network = frozen.manifest.networks[0]
    folder = saved_model(tmp_path / "saved", graph.read_bytes(), network.tensor, network.outputs)
    facts = nanodet_facts()
    boxes = facts["outputs"][0]["boxes"]
    facts["outputs"][0]["boxes"] = {
        **boxes,
        "scores": [f"out{n}" for n in range(3)],
        "distances": [f"out{n}" for n in range(3, 6)],
    }
    made = import_model(folder, facts, tmp_path / "made")
    assert made.manifest.networks[0].format == "openvino-ir"
    assert set(made.manifest.files) == {"model.xml", "model.bin", "golden.npz"}
    assert verify_bundle(made).good
    one, other = (play(b, noise(b.manifest, steps=1)) for b in (frozen, made))
    for number, name in enumerate(network.outputs):
        np.testing.assert_allclose(other[f"out.out{number}"], one[f"out.{name}"], atol=1e-4)
