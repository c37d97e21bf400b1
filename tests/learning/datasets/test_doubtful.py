"""What could mean two things, or nothing that a dataset holds: folders called as splits, attributes of CVAT."""

from __future__ import annotations

import json
import shutil

import pytest

from cli.sample_library import run
from learning.datasets.conftest import imported
from onlooker.core.errors import UsageError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.importing import ImportRequest, import_samples


def lay(media, folder, *places):
    for place in places:
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(media / "one.jpg", folder / place)
    return folder


def told(tmp_path, format, path, options=None, **more):
    dataset = Dataset.create(tmp_path / "set", name="set")
    report = import_samples(dataset, ImportRequest(format, path, options or {}, **more))
    return dataset, report


def test_a_class_called_train_beside_others_is_a_class(media, tmp_path):
    folder = lay(media, tmp_path / "in", "train/a.jpg", "bus/b.jpg", "car/c.jpg")
    dataset, report = told(tmp_path, "folders", folder)
    assert {s.id: (s.labels["class"], s.split) for s in dataset.samples} == {
        "train/a.jpg": ("train", None), "bus/b.jpg": ("bus", None), "car/c.jpg": ("car", None),
    }  # fmt: skip
    assert report.notes == ["taken as classes, not as splits: train (for bus, car beside; else --set splits=true)"]
    assert not +report.left_out


def test_folders_called_as_splits_are_said_to_be_taken_so(media, tmp_path, capsys):
    folder = lay(media, tmp_path / "in", "train/bus/a.jpg", "valid/bus/b.jpg")
    assert run(*["dataset", "import", "folders", str(folder), "--into", str(tmp_path / "set")]) == 0
    assert "taken as splits: train, valid as val" in capsys.readouterr().out
    assert [s.split for s in Dataset.load(tmp_path / "set").samples] == ["train", "val"]


def test_what_could_be_either_is_asked_about(media, tmp_path):
    folder = lay(media, tmp_path / "in", "train/bus/a.jpg", "bus/b.jpg")
    with pytest.raises(UsageError, match=r"train can be splits or classes: bus beside .*--set splits=true or"):
        told(tmp_path, "folders", folder)
    splits = imported(tmp_path / "splits", "folders", folder, {"splits": "true"})
    assert [(s.labels["class"], s.split) for s in splits.samples] == [("bus", None), ("bus", "train")]
    classes = imported(tmp_path / "classes", "folders", folder, {"splits": "false"})
    assert [(s.labels["class"], s.split) for s in classes.samples] == [("bus", None), ("train", None)]


IMAGES = """<annotations><version>1.1</version><meta><task><labels>
<label><name>car</name><attributes><attribute><name>colour</name><input_type>select</input_type></attribute></attributes></label>
<label><name>sky</name><attributes><attribute><name>weather</name><input_type>select</input_type></attribute>
<attribute><name>said</name><input_type>text</input_type></attribute></attributes></label></labels></task></meta>
<image id="0" name="one.jpg" width="100" height="100">
<box label="car" xtl="10" ytl="10" xbr="20" ybr="20" occluded="1"><attribute name="colour">red</attribute>
<attribute name="parked">true</attribute><attribute name="iscrowd">true</attribute></box>
<box label="car" xtl="30" ytl="30" xbr="40" ybr="40"><attribute name="colour">__undefined__</attribute></box>
<tag label="sky"><attribute name="weather">rain</attribute><attribute name="said">very wet</attribute></tag>
</image></annotations>"""


def test_attributes_of_cvat_become_labels_or_are_counted(media, tmp_path):
    file = tmp_path / "a.xml"
    file.write_text(IMAGES)
    dataset, report = told(tmp_path, "cvat", file, media=media)
    (sample,) = dataset.samples
    assert [(b.label, b.crowd) for b in sample.labels["objects"]] == [("car", True), ("car", False)]
    assert (sample.labels["weather"], sample.labels["said"]) == ("rain", "very wet")
    assert {n: t.kind for n, t in dataset.info.tasks.items()} == {
        "objects": "boxes", "tags": "multi-label", "weather": "class", "said": "text",
    }  # fmt: skip
    assert +report.left_out == {
        "attributes of boxes called colour": 1, "attributes of boxes called parked": 1, "marks of occluded boxes": 1,
    }  # fmt: skip


def test_an_attribute_can_name_the_class_of_a_box(media, tmp_path):
    file = tmp_path / "a.xml"
    file.write_text(IMAGES)
    dataset, report = told(tmp_path, "cvat", file, {"label": "{colour} {label}"}, media=media)
    assert [b.label for b in dataset.samples[0].labels["objects"]] == ["red car", "car"]
    assert "attributes of boxes called colour" not in report.left_out


def test_attributes_of_tracks_are_counted(media, tmp_path):
    file = tmp_path / "a.xml"
    rows = "".join(
        f'<box frame="{n}" outside="0" xtl="1" ytl="1" xbr="9" ybr="9"><attribute name="pose">up</attribute></box>'
        for n in range(3)
    )
    size = "<original_size><width>360</width><height>240</height></original_size>"
    file.write_text(
        f"<annotations><meta><task>{size}<source>walk.mp4</source></task></meta>"
        f'<track id="0" label="person">{rows}</track></annotations>'
    )
    _, report = told(tmp_path, "cvat", file, media=media)
    assert +report.left_out == {"attributes of boxes called pose": 3}


def test_what_was_taken_is_in_the_json(media, tmp_path, capsys):
    folder = lay(media, tmp_path / "in", "train/bus/a.jpg")
    args = ["dataset", "import", "folders", str(folder), "--into", str(tmp_path / "set"), "--json"]
    assert run(*args) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == ["taken as splits: train"]
