"""Bundles of several families in int8."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from learning.compress._moving import EAR, PICTURES, trained_run, work_for
from learning.compress._post import after, as_ir, models_size, planted, sounding_dataset, told
from onlooker.bundles import load_bundle, play, save_bundle, verify_bundle
from onlooker.bundles.golden import read_golden
from onlooker.core.errors import ModelError, SourceError
from onlooker.learning.compress.step import Subject
from onlooker.learning.parts import load_part

ALL = {"operators": "heavy", "engine": "onnxruntime", "least_gain": 0, "max_drop": 1.0, "max_error": 1e6, "samples": 8}
NETWORKS = {
    "gru": {"network": "cnn_rnn", "widths": [16, 32], "hidden": 12},
    "conv_lstm": PICTURES["conv_lstm"],
    "video_transformer": PICTURES["video_transformer"],
}


@pytest.fixture(scope="module")
def subjects(moving, tmp_path_factory: pytest.TempPathFactory):
    """By family, a trained run with its bundle, made when it is asked for."""
    known: dict[str, Subject] = {}

    def of(family: str) -> Subject:
        if family not in known:
            run = trained_run(tmp_path_factory.mktemp(family), moving, {"video": NETWORKS[family]}, bundle=True)
            known[family] = Subject(run / "bundle", run)
        return known[family]

    return of


def near(before: Subject, then: Subject) -> float:
    """The largest difference of answers to real samples, as a share of the largest, in both engines."""
    one, other = load_bundle(before.bundle), load_bundle(then.bundle)
    inputs = {k: v for k, v in read_golden(before.bundle / "golden.npz").items() if k.startswith("in.")}
    expected = play(one, inputs)
    worst = 0.0
    for engine in ("onnxruntime", "openvino"):
        found = play(other, inputs, engine=engine)
        assert found.keys() == expected.keys()
        for name, array in expected.items():
            assert found[name].shape == array.shape
            worst = max(worst, float(np.abs(found[name] - array).max() / np.abs(array).max()))
    return worst


@pytest.mark.parametrize("family", list(NETWORKS))
def test_streaming_bundles_answer_nearly_as_before(subjects, moving, tmp_path: Path, family: str):
    before = subjects(family)
    then = after("int8", before, work_for(tmp_path / "w", moving, before), **ALL)
    old, new = load_bundle(before.bundle), load_bundle(then.bundle)
    assert near(before, then) < 0.25
    assert models_size(then) < models_size(before) * (0.75 if family == "gru" else 1.5)
    assert new.manifest.networks == old.manifest.networks
    assert new.manifest.provenance.parent == old.digest
    assert [s.name for s in new.manifest.provenance.steps] == ["train", "int8"]
    assert then.run is None
    assert then.steps[-1] == new.manifest.provenance.steps[-1]
    assert verify_bundle(new).good


def test_what_sees_and_hears_is_quantised_in_all_parts(tmp_path: Path):
    dataset = sounding_dataset(tmp_path / "data")
    inputs = {"video": {"network": "frame_cnn", "widths": [8, 16]}, "sound": EAR}
    run = trained_run(tmp_path / "r", dataset, inputs, bundle=True, fusion={"kind": "gated", "size": 16})
    before = Subject(run / "bundle", run)
    then = after("int8", before, work_for(tmp_path / "w", dataset, before), **ALL)
    assert near(before, then) < 0.25
    assert told(then)["left"] == "none"
    for name in ("video.onnx", "sound.onnx", "head.onnx"):
        assert b"QuantizeLinear" in (then.bundle / name).read_bytes()
    assert verify_bundle(then.bundle).good
    assert {m.split for m in load_bundle(then.bundle).manifest.metrics} == {"val"}


def test_views_of_pictures_stay_averaged(moving, tmp_path: Path):
    """The bundle answers all six views at once, in int8 and with a simpler graph too."""
    training = {
        "epochs": 1, "batch": 8, "threads": 1, "workers": 0, "cache": 0, "precision": "float32",
        "test_time": ["mirror", "shift"],
    }  # fmt: skip
    network = {"network": "frame_cnn", "widths": [8, 16]}
    run = trained_run(tmp_path / "r", moving, {"video": network}, bundle=True, training=training)
    before = Subject(run / "bundle", run)
    for step, settings, limit in (("graph", {"samples": 2}, 1e-4), ("int8", ALL, 0.25)):
        then = after(step, before, work_for(tmp_path / step, moving, before), **settings)
        assert near(before, then) < limit, step
        assert verify_bundle(then.bundle).good


def test_a_sensitive_layer_stays_in_full_precision(tiny_subject, tmp_path: Path):
    dataset = tiny_subject[1]
    before = planted(tmp_path / "planted")
    broken = after("int8", before, work_for(tmp_path / "broken", dataset, before), **ALL)
    assert told(broken)["drop"] > 0.3
    assert told(broken)["kept"] == "none"
    limited = {**ALL, "max_drop": 0.01}
    then = after("int8", before, work_for(tmp_path / "kept", dataset, before), **limited)
    assert told(then)["kept"] == "model.onnx:sensitive"
    assert told(then)["layers"] == 2
    assert told(then)["drop"] <= 0.01
    assert verify_bundle(then.bundle).good
    value = {m.name: m.value for m in load_bundle(then.bundle).manifest.metrics}["accuracy"]
    assert value == 1.0


def test_a_layer_that_changes_answers_stays_even_where_no_accuracy_is_lost(tiny_subject, tmp_path: Path):
    before = planted(tmp_path / "planted")
    work = work_for(tmp_path / "w", tiny_subject[1], before)
    then = after("int8", before, work, **{**ALL, "max_error": 0.1})
    assert told(then)["kept"] == "model.onnx:sensitive"
    assert told(then)["drop"] <= 0.01


def test_what_loses_too_much_whatever_is_kept_is_refused(tiny_subject, tmp_path: Path):
    before = planted(tmp_path / "planted", alone=True)
    work = work_for(tmp_path / "w", tiny_subject[1], before)
    with pytest.raises(ModelError, match="whatever is kept"):
        after("int8", before, work, **{**ALL, "max_drop": 0.01})
    assert not (work.folder / "bundle").exists()


def test_where_each_layer_changes_answers_the_limit_is_named(tiny_subject, tmp_path: Path):
    before = planted(tmp_path / "planted", alone=True)
    work = work_for(tmp_path / "w", tiny_subject[1], before)
    said = r"int8: each layer alone changes answers by [\d.]+ or more, allowed are 1e-09 "
    with pytest.raises(ModelError, match=said) as told_of:
        after("int8", before, work, **{**ALL, "max_error": 1e-9})
    assert told_of.value.hint == "quantisation-aware training (qat), or a larger max_error"


def test_what_gains_nothing_is_said(tiny_subject, tmp_path: Path):
    before, dataset = tiny_subject
    with pytest.raises(ModelError, match=r"gains nothing here: model.onnx: int8 is .* times as fast"):
        after("int8", before, work_for(tmp_path / "w", dataset, before), **{**ALL, "least_gain": 100})


def test_models_of_openvino_go_by_nncf(tiny_subject, tmp_path: Path):
    pytest.importorskip("nncf")
    before = as_ir(planted(tmp_path / "planted", outlier=1.0), tmp_path)
    settings = {**ALL, "engine": "openvino", "max_drop": 0.1}
    then = after("int8", before, work_for(tmp_path / "w", tiny_subject[1], before), **settings)
    manifest = load_bundle(then.bundle).manifest
    assert manifest.networks[0].format == "openvino-ir"
    assert b"FakeQuantize" in (then.bundle / "model.xml").read_bytes()
    assert verify_bundle(then.bundle).good


def test_what_cannot_be_quantised_is_refused_in_words(tiny_subject, tmp_path: Path):
    part = load_part("compress.steps", "int8")
    before, dataset = tiny_subject
    then = after("int8", before, work_for(tmp_path / "w", dataset, before), **ALL)
    assert part.refusal(then, part.Config()) == "its models are in int8 already"
    whole = load_bundle(before.bundle)
    fields = {k: v for k, v in whole.manifest.model_dump(mode="json", by_alias=True).items() if k != "golden"}
    fields.pop("weights")
    hurt = Subject(save_bundle(tmp_path / "hurt", fields, {"model.onnx": b"\x08\x07hurt"}).folder)
    with pytest.raises(ModelError, match=r"model.onnx is no valid ONNX model"):
        part.refusal(hurt, part.Config())
    (then.bundle / "model.onnx").write_bytes(b"altered")
    with pytest.raises(ModelError, match="altered"):
        after("half", then, work_for(tmp_path / "again", dataset, then))


def test_a_part_without_samples_is_told(tiny_subject, tmp_path: Path):
    before, dataset = tiny_subject
    work = work_for(tmp_path / "w", dataset, before)
    lost = dataset.root / "gone"
    lost.mkdir()
    moved = [p.rename(lost / p.name) for p in dataset.root.glob("*.png")]
    try:
        with pytest.raises(SourceError, match="no sample can be used"):
            after("int8", before, work, **ALL)
    finally:
        for path in moved:
            path.rename(dataset.root / path.name)
        lost.rmdir()
