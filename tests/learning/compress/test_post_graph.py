"""Weights of fewer bits, simpler graphs, and other targets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from learning.compress._moving import trained_run, work_for
from learning.compress._post import after, as_ir, models_size, planted, shortcut, told
from onlooker.bundles import load_bundle, play, verify_bundle
from onlooker.bundles.golden import read_golden
from onlooker.bundles.running import engines
from onlooker.cli.main import app
from onlooker.core.errors import ModelError, UsageError
from onlooker.learning.compress.step import Subject
from onlooker.learning.compress.targets import reach
from onlooker.learning.parts import load_part


@pytest.fixture(scope="module")
def recurrent(moving, tmp_path_factory: pytest.TempPathFactory):
    """A streaming run with a GRU."""
    network = {"network": "cnn_rnn", "widths": [8, 16], "hidden": 12}
    run = trained_run(tmp_path_factory.mktemp("gru"), moving, {"video": network}, bundle=True)
    return Subject(run / "bundle", run)


def apart(before: Subject, then: Subject) -> float:
    """The largest difference of answers to the golden run, as a share of the largest number."""
    inputs = {k: v for k, v in read_golden(before.bundle / "golden.npz").items() if k.startswith("in.")}
    expected, found = (play(load_bundle(s.bundle), inputs) for s in (before, then))
    return max(float(np.abs(found[k] - v).max() / np.abs(v).max()) for k, v in expected.items())


def test_steps_follow_each_other_and_tell_their_lineage(recurrent, moving, tmp_path: Path):
    graph = after("graph", recurrent, work_for(tmp_path / "1", moving, recurrent), samples=2)
    half = after("half", graph, work_for(tmp_path / "2", moving, recurrent), least=64)
    old, middle, new = (load_bundle(s.bundle) for s in (recurrent, graph, half))
    assert [s.name for s in half.steps] == ["graph", "half"]
    assert [s.name for s in new.manifest.provenance.steps] == ["train", "graph", "half"]
    assert (middle.manifest.provenance.parent, new.manifest.provenance.parent) == (old.digest, middle.digest)
    assert new.manifest.provenance.dataset == old.manifest.provenance.dataset
    assert middle.manifest.metrics == old.manifest.metrics
    assert middle.manifest.runtime in ("openvino", "onnxruntime")
    assert {m.split for m in new.manifest.metrics} == {"val"}
    assert apart(recurrent, graph) < 1e-4
    assert apart(recurrent, half) < 0.01
    assert verify_bundle(new).good


def test_half_and_weight_only_make_models_smaller(recurrent, moving, tmp_path: Path):
    half = after("half", recurrent, work_for(tmp_path / "1", moving, recurrent), least=64)
    small = after("weight_only", recurrent, work_for(tmp_path / "2", moving, recurrent), least=64, max_drop=0.5)
    assert models_size(small) < models_size(half) < models_size(recurrent)
    assert apart(recurrent, small) < 0.1
    assert verify_bundle(small.bundle).good
    kinds = {i.data_type for i in onnx.load(str(small.bundle / "model.onnx")).graph.initializer if len(i.dims) == 4}
    assert onnx.TensorProto.INT8 in kinds


@pytest.mark.parametrize("form", ["onnx", "openvino-ir"])
def test_weights_of_convolutions_that_leave_out_pixels_run_in_both_engines(form: str, tiny_subject, tmp_path, capsys):
    before = shortcut(tmp_path / "made")
    if form != "onnx":
        before = as_ir(before, tmp_path)
    work = work_for(tmp_path / "w", tiny_subject[1], before)
    small = after("weight_only", before, work, least=64, max_drop=0.5)
    assert capsys.readouterr().out == ""
    bundle = load_bundle(small.bundle)
    if form == "onnx":
        assert models_size(small) < models_size(before)
    else:
        assert b'element_type="u8"' in bundle.path("model.xml").read_bytes()
    inputs = {k: v for k, v in read_golden(before.bundle / "golden.npz").items() if k.startswith("in.")}
    expected = play(load_bundle(before.bundle), inputs)
    for engine in engines(bundle):
        found = play(bundle, inputs, engine=engine)
        assert max(float(np.abs(found[k] - v).max() / np.abs(v).max()) for k, v in expected.items()) < 0.05
    assert len(engines(bundle)) == (2 if form == "onnx" else 1)


def test_what_loses_too_much_by_its_weights_is_refused(tiny_subject, tmp_path: Path):
    before = planted(tmp_path / "planted", outlier=0.0, weight=1e4)
    with pytest.raises(ModelError, match=r"it loses .* on the validation part"):
        after("weight_only", before, work_for(tmp_path / "w", tiny_subject[1], before), least=8)


def test_half_refuses_what_it_cannot_hold(tiny_subject, tmp_path: Path):
    before = planted(tmp_path / "planted")
    with pytest.raises(ModelError, match="larger than half precision holds"):
        after("half", before, work_for(tmp_path / "w", tiny_subject[1], before))


def test_graph_refuses_what_is_not_onnx(tiny_subject, tmp_path: Path):
    before, dataset = tiny_subject
    part = load_part("compress.steps", "graph")
    assert part.refusal(before, part.Config()) is None
    then = after("graph", before, work_for(tmp_path / "w", dataset, before), engine="as_before")
    assert told(then)["nodes"] <= told(then)["nodes_before"]
    assert load_bundle(then.bundle).manifest.runtime == load_bundle(before.bundle).manifest.runtime


def test_targets_are_run_or_said_not_to_be(recurrent, tmp_path: Path):
    out = tmp_path / "out"
    asked = ["bundles", "targets", str(recurrent.bundle), "--json", "--out", str(out), "--to"]
    made = CliRunner().invoke(app, [*asked, "openvino,onnx:17,tensorrt,coreml,arm"])
    found = {one["target"]: one for one in json.loads(made.output)["targets"]}
    assert made.exit_code == 1
    for name in ("openvino", "onnx:17"):
        assert found[name]["ready"]
        assert found[name]["difference"] < 1e-3
        assert "here" in found[name]["ran"]
    assert onnx.load(str(out / "onnx-17" / "model.onnx")).opset_import[0].version == 17
    assert (out / "openvino" / "model.bin").is_file()
    assert found["tensorrt"]["ready"]
    assert found["tensorrt"]["ran"] is None
    assert any("not run" in note for note in found["tensorrt"]["notes"])
    assert any("GRU" in problem for problem in found["coreml"]["problems"])
    assert any("not run on ARM" in note for note in found["arm"]["notes"]) or found["arm"]["ran"]


def test_int8_for_tensorrt_must_lie_around_nothing(tiny_subject, tmp_path: Path):
    before, dataset = tiny_subject
    settings = {
        "operators": "heavy",
        "engine": "onnxruntime",
        "least_gain": 0,
        "max_drop": 1.0,
        "max_error": 1e6,
        "samples": 4,
    }
    plain = after("int8", before, work_for(tmp_path / "1", dataset, before), **settings)
    even = after("int8", before, work_for(tmp_path / "2", dataset, before), **settings, symmetric=True)
    (one,) = reach(load_bundle(plain.bundle), ["tensorrt"])
    (other,) = reach(load_bundle(even.bundle), ["tensorrt"])
    assert any("symmetric" in problem for problem in one.problems)
    assert other.ready, other.problems


def test_strange_targets_are_refused(recurrent, tmp_path: Path):
    bundle = load_bundle(recurrent.bundle)
    with pytest.raises(UsageError, match="there is no target 'toaster'"):
        reach(bundle, ["toaster"])
    with pytest.raises(UsageError, match="expected an opset"):
        reach(bundle, ["onnx:99"])
    with pytest.raises(UsageError, match="exists already"):
        reach(bundle, ["openvino"], tmp_path)
    (below,) = reach(bundle, ["onnx:7"])
    assert not below.ready
    assert "opset 7" in below.problems[0]
