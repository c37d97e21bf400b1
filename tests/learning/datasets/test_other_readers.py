"""What is exported is laid out as other programs look for it.

Each test does what a reader of theirs does: Ultralytics (``img2label_paths``, ``check_det_dataset``), datumaro, CVAT's
own import and pycocotools.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from learning.datasets.conftest import imported
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats import format_of, options_of
from onlooker.learning.datasets.manifest import LabelledBox, Media, Sample, Task
from onlooker.learning.datasets.media import look_at

TASKS = {"objects": Task(kind="boxes", classes=("person", "car"))}


def box(label, left, **more):
    return LabelledBox(label=label, box=(left, 0.25, left + 0.25, 0.5), **more)


def dataset_of(folder, root, *samples):
    dataset = Dataset.create(folder, name="set", tasks=TASKS, root=str(root))
    dataset.put(samples)
    dataset.save()
    return dataset


def write(name, dataset, target, **options):
    return format_of(name).write(dataset, dataset.samples, target, options_of(format_of(name), options))


def by_ultralytics(folder):
    """Labels by side and picture: a picture is below ``images``, its labels at the same place below ``labels``."""
    facts = yaml.safe_load((folder / "data.yaml").read_text())
    found = {}
    for side in ("train", "val"):
        for picture in sorted((Path(facts["path"]) / facts[side]).rglob("*.jpg")):
            before, _, inside = str(picture).rpartition(f"{os.sep}images{os.sep}")
            labels = Path(before, "labels", inside).with_suffix(".txt")
            assert picture.stat().st_size > 1000
            found[side, picture.name] = labels.read_text().split() if labels.is_file() else None
    return found


@pytest.fixture
def stills(media, tmp_path):
    """Two pictures in a folder called images, as many sets have it, and two frames."""
    root = tmp_path / "root"
    for place in ("images/train/one.jpg", "images/two.jpg", "walk.mp4"):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(media / Path(place).name, root / place)
    one, two = (look_at(root, Media(path=f"images/{n}.jpg", kind="image")) for n in ("train/one", "two"))
    walk = look_at(root, Media(path="walk.mp4", kind="video"))
    return dataset_of(
        tmp_path / "set",
        root,
        Sample(id="first", media=(one,), split="train", labels={"objects": (box("car", 0.25, track="3"),)}),
        Sample(id="second", media=(two,), split="val", labels={"objects": ()}),
        Sample(id="frame", media=(walk,), at=1.5, split="val", labels={"objects": (box("person", 0.5),)}),
        Sample(id="no side", media=(walk,), at=2.5, labels={"objects": (box("person", 0.5),)}),
    )


def test_yolo_lies_where_ultralytics_looks_for_labels(stills, tmp_path):
    done = write("yolo", stills, tmp_path / "out")
    assert (done.samples, +done.left_out) == (4, {})
    assert by_ultralytics(tmp_path / "out") == {
        ("train", "one.jpg"): ["1", "0.3750000", "0.3750000", "0.2500000", "0.2500000"],
        ("val", "two.jpg"): [],
        ("val", "walk-1.500.jpg"): ["0", "0.6250000", "0.3750000", "0.2500000", "0.2500000"],
    }


def test_yolo_is_read_again_without_its_media_and_with_them(stills, tmp_path):
    write("yolo", stills, tmp_path / "out")
    alone = imported(tmp_path / "alone", "yolo", tmp_path / "out")
    assert {s.id: (s.split, s.media[0].path, s.at) for s in alone.samples} == {
        "first": ("train", "images/train/one.jpg", None),
        "second": ("val", "images/val/two.jpg", None),
        "frame": ("val", "images/val/walk-1.500.jpg", None),
        "no side": (None, "images/walk-2.500.jpg", None),
    }
    assert {s.id: [b.track for b in s.labels["objects"]] for s in alone.samples}["first"] == ["3"]
    again = imported(tmp_path / "again", "yolo", tmp_path / "out", media=stills.root)
    assert {s.id: (s.split, s.media[0].path, s.at) for s in again.samples} == {
        s.id: (s.split, s.media[0].path, s.at) for s in stills.samples
    }
    assert {s.id: [b.label for b in s.labels["objects"]] for s in again.samples} == {
        s.id: [b.label for b in s.labels["objects"]] for s in stills.samples
    }


def test_yolo_that_is_written_twice_or_where_its_pictures_lie_changes_no_picture(stills, tmp_path):
    before = {p: p.read_bytes() for p in stills.root.rglob("*.jpg")}
    for _ in range(2):
        write("yolo", stills, tmp_path / "out")
        write("yolo", stills, stills.root)
    assert {p: p.read_bytes() for p in before} == before
    assert not any(p.is_symlink() for p in before)
    assert len(by_ultralytics(tmp_path / "out")) == len(by_ultralytics(stills.root)) == 3


def test_a_picture_that_changes_its_side_is_on_one_side_only(stills, tmp_path):
    write("yolo", stills, tmp_path / "out")
    stills.put([s.model_copy(update={"split": "train"}) for s in stills.samples])
    write("yolo", stills, tmp_path / "out")
    assert {side for side, _ in by_ultralytics(tmp_path / "out")} == {"train"}
    alone = imported(tmp_path / "alone", "yolo", tmp_path / "out")
    assert [(s.id, s.split) for s in alone.samples] == [(s.id, "train") for s in stills.samples]


def test_frames_of_videos_of_one_name_are_pictures_of_their_own(media, tmp_path):
    samples = []
    for n, place in enumerate(("a/walk.mp4", "b/walk.mp4")):
        (tmp_path / "root" / place).parent.mkdir(parents=True)
        shutil.copy(media / "walk.mp4", tmp_path / "root" / place)
        walk = look_at(tmp_path / "root", Media(path=place, kind="video"))
        samples.append(Sample(id=str(n), media=(walk,), at=1.0, labels={"objects": ()}))
    dataset = dataset_of(tmp_path / "set", tmp_path / "root", *samples)
    for name, target in (("coco", "out.json"), ("yolo", "yolo")):
        done = write(name, dataset, tmp_path / target)
        assert len({f for f in done.files if f.suffix == ".jpg"}) == 2


def test_a_picture_of_another_export_is_not_written_over(stills, tmp_path):
    other = tmp_path / "out" / "images" / "val" / "two.jpg"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"another")
    write("yolo", stills, tmp_path / "out")
    assert other.read_bytes() == b"another"
    assert (other.parent / "two-2.jpg").is_file()


def test_pictures_are_copied_where_there_are_no_links(stills, tmp_path, monkeypatch):
    def no_link(*_):
        raise OSError("no links here")

    monkeypatch.setattr(Path, "symlink_to", no_link)
    write("yolo", stills, tmp_path / "out")
    write("yolo", stills, tmp_path / "out")
    assert not any(p.is_symlink() for p in (tmp_path / "out").rglob("*"))
    assert len(by_ultralytics(tmp_path / "out")) == 3


def test_boxes_of_coco_have_an_outline_that_is_empty(stills, tmp_path):
    write("coco", stills, tmp_path / "coco.json")
    notes = json.loads((tmp_path / "coco.json").read_text())["annotations"]
    # of instances, readers expect it; a box is no outline
    assert [n["segmentation"] for n in notes] == [[], [], []]


def test_images_of_a_cvat_task_have_no_subset(stills, tmp_path):
    write("cvat", stills, tmp_path / "tasks.xml", form="images")
    images = list(ElementTree.parse(tmp_path / "tasks.xml").getroot().iter("image"))
    # it is what projects have: readers of one task's file leave out images of subsets that it has not
    assert [i.get("subset") for i in images] == [None] * 4
    again = imported(tmp_path / "again", "cvat", tmp_path / "tasks.xml", media=stills.root)
    assert {s.id: s.split for s in again.samples} == {s.id: s.split for s in stills.samples}


def test_tracks_of_cvat_end_with_their_video(media, tmp_path):
    walk = look_at(media, Media(path="walk.mp4", kind="video"))
    boxes = tuple(box("car", 0.1, at=at, track="1") for at in (17.7, 17.8, 17.9))
    dataset = dataset_of(tmp_path / "set", media, Sample(id="a", media=(walk,), labels={"objects": boxes}))
    write("cvat", dataset, tmp_path / "walk.xml")
    frames = [int(b.attrib["frame"]) for b in ElementTree.parse(tmp_path / "walk.xml").getroot().iter("box")]
    # CVAT refuses the file for a frame that the video has not
    assert frames == [177, 178, 179]
