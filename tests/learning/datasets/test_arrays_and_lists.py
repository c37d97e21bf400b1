"""Arrays and published lists with odd content: each gets one clear error, and no label is changed on the way."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from cli.sample_library import run
from learning.datasets.conftest import imported
from onlooker.core.errors import ConfigError, UsageError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats import format_of
from onlooker.learning.datasets.importing import ImportRequest, import_samples

PICTURES = np.zeros((3, 4, 4), np.uint8)
BYTES = {"data": "j", "form": "encoded"}
SOUND = {"data": "j", "form": "sound", "rate": "r"}


def archive(folder, **arrays):
    path = folder / "held.npz"
    np.savez(path, **arrays)
    return path


def listed(folder, **files):
    folder.mkdir()
    for name, body in files.items():
        (folder / f"{name}.{'csv' if name == 'train' else 'txt'}").write_text(body)
    return folder


def test_names_in_bytes_are_their_text(tmp_path):
    path = archive(tmp_path, images=PICTURES, labels=np.array([b"cat", "é".encode(), b"cat"]))
    made = imported(tmp_path / "set", "arrays", path, {"labels": {"kind": "labels"}})
    assert [s.labels["kind"] for s in made.samples] == ["cat", "é", "cat"]
    path = archive(tmp_path, images=PICTURES, labels=np.array([b"cat", b"\xff", b"cat"]))
    with pytest.raises(ConfigError, match=r"held.npz: labels: 1 is not UTF-8"):
        imported(tmp_path / "again", "arrays", path, {"labels": {"kind": "labels"}})


@pytest.mark.parametrize(
    ("options", "arrays", "expected"),
    [
        ({}, {"images": np.zeros((2, 0, 4), np.uint8)}, r"images: expected .* uint8, got \(2, 0, 4\)"),
        ({}, {"images": PICTURES[:0]}, r"images: there is nothing in it"),
        ({"labels": {"y": "v:regression"}}, {"images": PICTURES, "v": np.array(["a", "1", "2"])}, r"v: .*'a'"),
        ({"labels": {"y": "v"}, "classes": "c"}, {"images": PICTURES, "v": np.zeros(3, int), "c": np.array("a")},
         r"c: expected a list of names, got \(\)"),
        (BYTES, {"j": np.zeros(9, np.uint8), "offsets": np.array([], int)}, r"offsets: expected .* whole numbers"),
        (BYTES, {"j": np.zeros(9, np.uint8), "offsets": np.array([[0, 9]])}, r"offsets: expected .* whole numbers"),
        (BYTES, {"j": np.zeros(9, np.uint8), "offsets": np.array(["0", "9"])}, r"offsets: expected .* whole numbers"),
        (SOUND, {"j": np.zeros(9, np.int16), "offsets": np.array([0, 9]), "r": np.array(0)}, r"r: not a rate .*0"),
        (SOUND, {"j": np.zeros(9, np.int16), "offsets": np.array([0, 9]), "r": np.array([8000, 8000])}, r"r: not a ra"),
        (SOUND, {"j": np.zeros(9, np.int32), "offsets": np.array([0, 9]), "r": np.array(8000)},
         r"j: expected int16, or floats .* got int32"),
    ],
)  # fmt: skip
def test_arrays_that_do_not_fit_are_refused_in_words(options, arrays, expected, tmp_path):
    path = archive(tmp_path, **arrays)
    with pytest.raises((ConfigError, UsageError), match=expected) as error:
        imported(tmp_path / "set", "arrays", path, options)
    assert "held.npz" in str(error.value)


def test_one_array_is_no_archive(tmp_path):
    np.save(tmp_path / "one.npy", PICTURES)
    with pytest.raises(ConfigError, match=r"one.npy.*\.npz"):
        imported(tmp_path / "set", "arrays", tmp_path / "one.npy")


@pytest.mark.parametrize(
    ("name", "files", "expected"),
    [
        ("ucf", {"trainlist01": "\n"}, r"the lists name no video"),
        ("ucf", {"trainlist01": "walk.mp4 1\n", "classInd": "1 walk\n2 walk\n"}, r"classInd.txt:2: .*'walk'.* twice"),
        ("kinetics", {"train": "label,youtube_id,time_start,time_end\n"}, r"the lists name no video"),
        ("kinetics", {"train": "label,youtube_id,time_start,time_end\nrun,walk,0,\n"},
         r"train.csv:2: row: time_end: expected a number, got ''"),
        ("kinetics", {"train": "label,youtube_id,time_start,time_end\nrun,walk\n"},
         r"train.csv:2: row: time_start: expected a number, got nothing"),
    ],
)  # fmt: skip
def test_lists_that_do_not_fit_are_refused_in_words(name, files, expected, media, tmp_path):
    lists = listed(tmp_path / "lists", **files)
    with pytest.raises(ConfigError, match=expected) as error:
        format_of(name).read(lists, format_of(name).Options(), media, tmp_path)
    assert str(lists) in str(error.value)


def test_lists_of_names_with_spaces_byte_order_mark_and_line_ends_of_windows(media, tmp_path):
    shutil.copy(media / "walk.mp4", tmp_path / "走 路 1.mp4")
    lists = listed(tmp_path / "lists", trainlist01="\ufeff走 路 1.mp4 1\r\n", classInd="1 walk\r\n")
    dataset = Dataset.create(tmp_path / "set", name="set")
    import_samples(dataset, ImportRequest("ucf", lists, {}, tmp_path))
    assert [(s.id, s.split, s.labels) for s in dataset.samples] == [("走 路 1.mp4", "train", {"action": "walk"})]


def test_classes_of_ucf_may_have_blanks_in_their_names(media, tmp_path):
    for name in ("Eye Makeup/v_EyeMakeup_g01_c01.mp4", "Eye Makeup/v_EyeMakeup_g02_c01.mp4", "Run/a b.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(media / "walk.mp4", tmp_path / name)
    test = "Eye Makeup/v_EyeMakeup_g02_c01.mp4\n"
    train = "Eye Makeup/v_EyeMakeup_g01_c01.mp4 1\nRun/a b.mp4 2\n"
    lists = listed(tmp_path / "lists", trainlist01=train, testlist01=test, classInd="1 Eye Makeup\n2 Run\n")
    (tmp_path / "bare").mkdir()
    shutil.copy(lists / "testlist01.txt", tmp_path / "bare")
    for place in (lists, tmp_path / "bare"):
        made = format_of("ucf").read(place, format_of("ucf").Options(), tmp_path, tmp_path)
        held = {f.sample.id: (f.sample.split, f.sample.labels["action"]) for f in made.found}
        assert held["Eye Makeup/v_EyeMakeup_g02_c01.mp4"] == ("test", "Eye Makeup")
        if place == lists:
            assert made.tasks["action"].classes == ("Eye Makeup", "Run")
            assert held["Eye Makeup/v_EyeMakeup_g01_c01.mp4"] == ("train", "Eye Makeup")
            assert held["Run/a b.mp4"] == ("train", "Run")


def test_that_no_label_was_taken_is_told_with_keys_that_could_be_one(tmp_path, capsys):
    more = {"labels": np.arange(3), "people": np.array(["a", "b", "c"]), "offsets": np.arange(4), "rate": np.array(5)}
    path = archive(tmp_path, images=PICTURES, classes=np.array(["x", "y", "z"]), points=np.zeros((3, 2)), **more)
    assert run("dataset", "import", "arrays", str(path), "--into", str(tmp_path / "a"), "--set", "classes=classes") == 0
    assert "no label was taken; --label TASK=KEY takes one: labels, people" in capsys.readouterr().out
    assert run("dataset", "import", "arrays", str(path), "--into", str(tmp_path / "b"), "--json") == 0
    (note,) = json.loads(capsys.readouterr().out)["notes"]
    assert note.endswith(": classes, labels, people")
    named = ("--label", "who=people", "--json")
    assert run("dataset", "import", "arrays", str(path), "--into", str(tmp_path / "c"), *named) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == []
