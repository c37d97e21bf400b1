"""Bundles on disk: what is altered, extra, missing or hostile is found; a killed writer leaves nothing."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from analyzers.bundle import making
from onlooker.bundles import import_model, load_bundle, save_bundle, unpacked, verify_bundle
from onlooker.core.errors import ModelError


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return making.colour_bundle(tmp_path_factory.mktemp("made"))


@pytest.fixture
def copy(made, tmp_path):
    return Path(shutil.copytree(made.folder, tmp_path / "copy"))


def edited(folder: Path, change) -> Path:
    path = folder / "bundle.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    return folder


def test_the_folder_of_a_run_is_told_where_its_bundle_is(copy, tmp_path):
    (tmp_path / "run").mkdir()
    copy.rename(tmp_path / "run" / "bundle")
    with pytest.raises(ModelError, match=r"holds no bundle.json") as told:
        load_bundle(tmp_path / "run")
    assert str(tmp_path / "run" / "bundle") in str(told.value.hint)


def test_what_is_saved_is_loaded_again(made, tmp_path):
    again = load_bundle(made.folder)
    assert (again.digest, again.manifest) == (made.digest, made.manifest)
    files = {name: made.path(name) for name in made.manifest.files}
    assert save_bundle(tmp_path / "again", made.manifest, files).manifest == made.manifest
    with pytest.raises(ModelError, match="exists already"):
        save_bundle(made.folder, made.manifest, files)


@pytest.mark.parametrize("name", ["model.onnx", "golden.npz"])
def test_one_altered_bit_is_found(copy, name):
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(ModelError, match=f"{name} was altered"):
        load_bundle(copy)


def test_extra_missing_and_linked_files_are_found(copy, tmp_path):
    (copy / "more.txt").write_text("x")
    with pytest.raises(ModelError, match=r"more\.txt does not belong"):
        load_bundle(copy)
    (copy / "more.txt").unlink()
    (tmp_path / "elsewhere.onnx").write_bytes((copy / "model.onnx").read_bytes())
    (copy / "model.onnx").unlink()
    with pytest.raises(ModelError, match=r"model\.onnx is missing"):
        load_bundle(copy)
    (copy / "model.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    with pytest.raises(ModelError, match="no plain file"):
        load_bundle(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v["files"].update({"../evil.onnx": v["files"]["model.onnx"]}), "files"),
        (lambda v: v["networks"][0].update(file="/etc/passwd"), "file"),
        (lambda v: v["networks"][0].update(file="other.onnx"), r"other\.onnx is not among files"),
        (lambda v: v["networks"][0]["input"].update(width=8000, height=8000), "more than"),
        (lambda v: v["networks"][0]["input"].update(width=10**9), "width"),
        (lambda v: v["networks"][0]["input"].update(mean=[0.0, 1.0]), "expected 1 or 3 numbers"),
        (lambda v: v["networks"][0]["input"].update(width="8"), "width"),
        (lambda v: v["networks"][0].update(state=making.FADING), "needs a clip"),
        (lambda v: v.update(surprise=1), "surprise"),
        (lambda v: v.update(title="\x1b]0;owned\x07"), "title"),
        (lambda v: v["files"]["model.onnx"].update(size=5 * 1024**3), "size"),
        (lambda v: v.update(schema=99), "upgrade onlooker"),
        (lambda v: v.update(name="../../x"), "name"),
        (lambda v: v.update(name="a\n"), "name"),
        (lambda v: v["outputs"][0].update(tensor="z"), "is not among the outputs"),
        (lambda v: v["outputs"][0].update(thresholds={"pink": 0.5}), "no label 'pink'"),
        (lambda v: v["outputs"][0].update(temperature=0), "temperature"),
        (lambda v: v["outputs"].append(v["outputs"][0]), "two have one name"),
    ],
)
def test_a_hostile_manifest_is_refused_with_what_is_wrong(copy, change, message):
    with pytest.raises(ModelError, match=message):
        load_bundle(edited(copy, change))


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"schema": 1, "schema": 1}', "[" * 100_000, '{"schema": NaN}', "\xff"]
)
def test_what_is_no_manifest_is_refused(copy, text):
    (copy / "bundle.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError, match=r"bundle\.json"):
        load_bundle(copy)


def test_a_golden_run_is_never_unpickled(made, tmp_path):
    class Boom:
        def __reduce__(self):
            return (os.system, (f"touch {tmp_path}/boom",))

    arrays: Any = {"in.model": np.array([Boom()], dtype=object)}
    np.savez(tmp_path / "golden.npz", **arrays)
    assert b"boom" in pickle.dumps(Boom())
    files = {"model.onnx": made.path("model.onnx"), "golden.npz": tmp_path / "golden.npz"}
    bad = save_bundle(tmp_path / "bad", made.manifest, files)
    found = verify_bundle(bad)
    assert not found.good
    assert "no golden run" in found.checks[-1].detail
    assert not (tmp_path / "boom").exists()


def test_weights_outside_the_bundle_are_refused(tmp_path):
    path = making.colour_model(tmp_path / "c.onnx")
    model = onnx.load(str(path))
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../../../etc/passwd"
    path.write_bytes(model.SerializeToString())
    bundle = making.colour_bundle(tmp_path / "good")
    files = {"model.onnx": path, "golden.npz": bundle.path("golden.npz")}
    with pytest.raises(ModelError, match="keeps weights in other files"):
        save_bundle(tmp_path / "bad", bundle.manifest, files)
    assert not (tmp_path / "bad").exists()


def zipped(folder: Path, path: Path, prefix="", more=()) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, prefix + file.name)
        for name, data in more:
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("prefix", ["", "fights/"])
def test_a_zip_is_the_same_bundle(made, tmp_path, prefix):
    (tmp_path / "into").mkdir()
    assert unpacked(zipped(made.folder, tmp_path / "b.zip", prefix), tmp_path / "into").digest == made.digest


@pytest.mark.parametrize("name", ["../evil.txt", "/tmp/evil.txt", "sub/evil.txt", "evil.txt"])
def test_a_zip_with_anything_else_is_refused(made, tmp_path, name):
    (tmp_path / "into").mkdir()
    archive = zipped(made.folder, tmp_path / "b.zip", more=[(name, b"x")])
    with pytest.raises(ModelError, match="does not belong"):
        unpacked(archive, tmp_path / "into")
    assert not list(tmp_path.rglob("evil.txt"))


def test_what_is_wrong_in_a_zip_is_told_of_the_zip(copy, tmp_path):
    data = (copy / "model.onnx").read_bytes()
    (copy / "model.onnx").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    path = zipped(copy, tmp_path / "altered.zip")
    into = tmp_path / "into"
    into.mkdir()
    with pytest.raises(ModelError, match=r"altered\.zip: model\.onnx was altered") as raised:
        unpacked(path, into)
    assert "into" not in str(raised.value)


def test_a_bundle_that_cannot_be_written_is_told(made, tmp_path):
    (tmp_path / "file").write_text("mine")
    files = {name: made.path(name) for name in made.manifest.files}
    with pytest.raises(ModelError, match=r"cannot write the bundle .*file/new: (File exists|Not a directory)"):
        save_bundle(tmp_path / "file" / "new", made.manifest, files)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_zip_that_was_cut_short_is_told(made, tmp_path):
    """Its own end is gone, and that of an archive that lies in it is found."""
    inner = tmp_path / "in.zip"
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("a.npy", b"x" * 100)
    with zipfile.ZipFile(tmp_path / "whole.zip", "w") as archive:
        archive.write(inner, "golden.npz")
        archive.writestr("model.onnx", b"y" * 100_000)
        archive.write(made.folder / "bundle.json", "bundle.json")
    whole = (tmp_path / "whole.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(inner.read_bytes()) + 1000])
    with pytest.raises(ModelError, match=r"expected one bundle\.json, got 0") as raised:
        unpacked(tmp_path / "cut.zip", tmp_path / "into")
    assert "cut short" in str(raised.value.hint)


def test_a_zip_that_unpacks_to_more_than_it_says_is_refused(made, tmp_path):
    (tmp_path / "into").mkdir()
    folder = Path(shutil.copytree(made.folder, tmp_path / "copy"))
    (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes() + bytes(10**6))
    with pytest.raises(ModelError, match="more than the"):
        unpacked(zipped(folder, tmp_path / "b.zip"), tmp_path / "into")
    (tmp_path / "no.zip").write_bytes(b"PK no zip")
    with pytest.raises(ModelError, match="cannot read the zip"):
        unpacked(tmp_path / "no.zip", tmp_path / "into")


def test_a_writer_that_is_killed_leaves_no_bundle(made, tmp_path):
    """It is killed when the model is written and the manifest is not."""
    code = """
import os, signal, sys
from pathlib import Path
from typing import Any
from onlooker.bundles import folder, load_bundle
bundle = load_bundle(sys.argv[1])
old = folder._put
def put(path, content):
    if path.name == "bundle.json":
        os.kill(os.getpid(), signal.SIGKILL)
    old(path, content)
folder._put = put
folder.save_bundle(Path(sys.argv[2]), bundle.manifest, {n: bundle.path(n) for n in bundle.manifest.files})
"""
    done = subprocess.run([sys.executable, "-c", code, str(made.folder), str(tmp_path / "target")], check=False)
    assert done.returncode == -9
    assert not (tmp_path / "target").exists()
    files = {name: made.path(name) for name in made.manifest.files}
    assert verify_bundle(save_bundle(tmp_path / "target", made.manifest, files)).good


def test_facts_that_do_not_fit_the_model_are_refused(tmp_path):
    model = making.colour_model(tmp_path / "c.onnx")
    facts = making.colour_facts()
    facts["input"] = {**making.PICTURE, "width": 9}
    with pytest.raises(ModelError, match=r"takes \(1, 3, 8, 8\), bundle.json says \(1, 3, 8, 9\)"):
        import_model(model, facts, tmp_path / "a")
    facts = making.colour_facts(output={"labels": ["red", "green"]})
    found = verify_bundle(import_model(model, facts, tmp_path / "b"))
    assert not found.good
    assert "has 3 numbers, bundle.json asks for 2" in found.checks[1].detail
    assert not (tmp_path / "a").exists()
