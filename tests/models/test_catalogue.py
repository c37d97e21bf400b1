"""The shipped entries, what may be added to them, and the cache."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest
import yaml

import onlooker.models as models
from models.serving import sha
from onlooker.core.errors import ConfigError, ModelError, ModelMissing, PluginError, UsageError
from onlooker.models.entries import parse_entry, user_entries
from onlooker.testing.runtime import affine_model

AFFINE = affine_model(np.eye(3, dtype=np.float32), np.ones(3, np.float32))


def _add(tmp_path, data: bytes = AFFINE, **more) -> dict:
    (tmp_path / "own.onnx").write_bytes(data)
    facts = {
        "name": "own",
        "title": "An affine map",
        "task": "test",
        "licence": "MIT",
        "file": "own.onnx",
        "sha256": sha(data),
        "size": len(data),
        "sources": [{"kind": "file", "location": str(tmp_path / "own.onnx"), "sha256": sha(data)}],
        **more,
    }
    user_entries().mkdir(parents=True, exist_ok=True)
    (user_entries() / "own.yaml").write_text(yaml.safe_dump(facts))
    return facts


def test_shipped_entries_are_whole():
    entries = models.catalogue()
    assert {"nanodet-416", "centerface", "silero-vad", "ppocr-rec", "palm-detection"} <= set(entries)
    files = [e.file for e in entries.values()]
    assert len(files) == len(set(files)), "two models would overwrite each other"
    for name, entry in entries.items():
        assert entry.name == name
        assert entry.licence_note, f"{name} does not say whose licence it is"
        assert entry.homepage, f"{name} does not say where it is documented"
        assert entry.digest() == models.bundle_digest(name) == entry.sha256
        for source in entry.sources:
            if source.convert == "none" and source.members:
                assert list(source.members.values()) == [entry.sha256], f"{name} disagrees with its own member"


def test_the_detector_is_fed_as_it_was_trained():
    detector = models.entry("nanodet-416")
    assert len(detector.labels) == 80
    assert detector.labels[0] == "person"
    assert (detector.inputs["size"], detector.inputs["colour"]) == ([416, 416], "bgr")


def test_missing_models_name_the_command(cache):
    with pytest.raises(ModelMissing, match="onlooker models pull nanodet-416"):
        models.model_path("nanodet-416")
    with pytest.raises(ModelMissing):
        models.load("nanodet-416")
    with pytest.raises(UsageError, match="nanodet"):
        models.model_path("nanodet")
    assert models.state("nanodet-416") == "missing"


def test_a_pulled_model_runs_without_network(cache, tmp_path, monkeypatch):
    _add(tmp_path)
    models.pull(["own"])
    (tmp_path / "own.onnx").unlink()
    for variable in ("http_proxy", "https_proxy", "PIP_INDEX_URL", "npm_config_registry", "HF_ENDPOINT"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert models.pull(["own"]) == [models.model_path("own")]
    for engine in ("openvino", "onnxruntime"):
        model = models.load("own", threads=0, runtime=engine)
        assert model.report.threads == len(os.sched_getaffinity(0))
        found = model.run([np.array([[1, 2, 3]], np.float32), np.zeros(3, np.float32)])
        assert found[0].tolist() == [[2, 3, 4]]


def test_altered_files_are_found(cache, tmp_path):
    _add(tmp_path)
    (path,) = models.pull(["own"])
    assert models.verify(["own"]) == {"own": "good"}
    path.write_bytes(AFFINE[:-1] + b"x")
    assert models.verify() == {"own": "altered"}
    with pytest.raises(ModelError, match="altered"):
        models.load("own")
    models.pull(["own"])
    assert models.verify(["own"]) == {"own": "good"}
    models.discard("own")
    assert models.verify(["own"]) == {"own": "missing"}


def test_weights_are_not_run(cache, tmp_path):
    _add(tmp_path, runtime="weights")
    models.pull(["own"])
    with pytest.raises(ModelError, match="file of weights"):
        models.load("own")


def test_users_entries_do_not_replace_shipped_ones(cache, tmp_path):
    _add(tmp_path, name="nanodet-416")
    assert models.entry("nanodet-416").file == "nanodet-416.pb"
    assert models.catalogue()["nanodet-416"].file == "nanodet-416.pb"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"licence": ""}, "licence"),
        ({"sha256": "abc"}, "sha256"),
        ({"file": "../up.onnx"}, "file"),
        ({"file": ".hidden"}, "file"),
        ({"colour": "bgr"}, "colour"),
        ({"sources": []}, "sources"),
    ],
)
def test_wrong_entries_say_which_field(cache, tmp_path, change, said):
    facts = _add(tmp_path) | change
    with pytest.raises(ConfigError, match=rf"own\.yaml: {said}"):
        parse_entry(yaml.safe_dump(facts), "own.yaml")


def _package(folder, facts: str) -> None:
    package = folder / "onlooker_test_models"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "brought.yaml").write_text(facts)
    info = folder / "onlooker_test_models-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: onlooker-test-models\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[onlooker.models]\ntest = onlooker_test_models\n")


def test_installed_packages_bring_entries(cache, tmp_path, monkeypatch):
    facts = _add(tmp_path) | {"name": "brought"}
    _package(tmp_path / "site", yaml.safe_dump(facts))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert models.entry("brought").title == "An affine map"
    (tmp_path / "site" / "onlooker_test_models-1.0.dist-info" / "entry_points.txt").write_text(
        "[onlooker.models]\ntest = onlooker_absent_package\n"
    )
    sys.modules.pop("onlooker_test_models", None)
    with pytest.raises(PluginError, match="onlooker_absent_package"):
        models.catalogue()
    assert models.entry("nanodet-416").name == "nanodet-416", "a broken package does not take the shipped ones away"
