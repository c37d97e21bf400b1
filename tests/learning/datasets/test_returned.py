"""Frames go to a labelling tool as pictures; what comes back has their names, and little else of ours."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats import format_of
from onlooker.learning.datasets.importing import ImportRequest, import_samples
from onlooker.learning.datasets.manifest import LabelledBox, Media, Sample, Task
from onlooker.learning.datasets.media import look_at


@pytest.fixture
def proposals(media, tmp_path):
    """Two frames with proposed boxes of the task ``thing``."""
    dataset = Dataset.create(tmp_path / "set", name="set", root=str(media))
    walk = look_at(media, Media(path="walk.mp4", kind="video"))
    box = LabelledBox(label="person", box=(0.1, 0.2, 0.3, 0.5), at=1.0, track="t1", score=0.4)
    made = [
        Sample(
            id=f"39a2#{at:g}",
            media=(walk,),
            at=at,
            split="train",
            labels={"thing": (box.model_copy(update={"at": at}),)},
            status="proposed",
        )
        for at in (1.0, 2.5)
    ]
    dataset.put(made, {"thing": Task(kind="boxes", classes=("person",))})
    dataset.save()
    return tmp_path / "set"


def by_cvat(dataset, folder, name):
    """What CVAT writes of it: it knows no attributes but its own, and names of uploads without their folder."""
    cvat = format_of("cvat")
    cvat.write(dataset, dataset.samples, folder / "tasks.xml", cvat.Options())
    text = (folder / "tasks.xml").read_text()
    text = re.sub(r""" (sample|kept|score|track|at)=("[^"]*"|'[^']*')""", "", text)
    (folder / "back.xml").write_text(text if name else text.replace("tasks-frames/", ""))
    return folder / "back.xml"


def by_coco(dataset, folder):
    coco = format_of("coco")
    coco.write(dataset, dataset.samples, folder / "tasks.json", coco.Options())
    values = json.loads((folder / "tasks.json").read_text())
    for image in values["images"]:
        for key in image.keys() - {"id", "file_name", "width", "height"}:
            del image[key]
    for note in values["annotations"]:
        for key in ("attributes", "score"):
            note.pop(key, None)
    (folder / "back.json").write_text(json.dumps(values))
    return folder / "back.json"


@pytest.mark.parametrize("how", ["cvat", "cvat without folders", "coco"])
def test_labels_of_frames_find_their_samples(proposals, tmp_path, how):
    dataset = Dataset.load(proposals)
    (tmp_path / "out").mkdir()
    file = by_coco(dataset, tmp_path / "out") if how == "coco" else by_cvat(dataset, tmp_path / "out", how == "cvat")
    report = import_samples(dataset, ImportRequest(how.partition(" ")[0], file))
    assert (report.new, report.replaced, report.failures) == (0, 2, {})
    assert "objects is taken for thing, as the dataset calls its boxes" in report.notes
    back = Dataset.load(proposals)
    assert list(back.info.tasks) == ["thing"]
    assert [(s.id, s.at, s.split, s.status) for s in back.samples] == [
        ("39a2#1", 1.0, "train", "labelled"),
        ("39a2#2.5", 2.5, "train", "labelled"),
    ]
    assert [s.media[0].path for s in back.samples] == ["walk.mp4"] * 2
    box = back.samples[1].labels["thing"][0]
    assert (box.label, box.at, box.score) == ("person", 2.5, None)
    assert box.box == pytest.approx((0.1, 0.2, 0.3, 0.5), abs=1e-3)


def test_a_task_that_the_user_names_is_another(proposals, tmp_path):
    dataset = Dataset.load(proposals)
    file = by_cvat(dataset, tmp_path, True)
    import_samples(dataset, ImportRequest("cvat", file, {"boxes": "objects"}))
    assert list(Dataset.load(proposals).info.tasks) == ["thing", "objects"]


def test_frames_of_videos_that_are_called_alike_lie_side_by_side(media, tmp_path):
    """They were written over each other, and the labels of one video lay on pictures of the other."""
    for name, source in (("cam.mp4", "walk.mp4"), ("cam.mkv", "talk.mpg")):
        shutil.copy(media / source, tmp_path / name)
    dataset = Dataset.create(tmp_path / "set", name="set", root="..")
    samples = [
        Sample(id=n, media=(look_at(tmp_path, Media(path=n, kind="video")),), at=1.0, labels={"thing": ()})
        for n in ("cam.mp4", "cam.mkv")
    ]
    dataset.put(samples, {"thing": Task(kind="boxes", classes=("person",))})
    dataset.save()
    file = by_cvat(dataset, tmp_path, False)
    assert len({p.read_bytes() for p in (tmp_path / "tasks-frames").iterdir()}) == 2
    import_samples(dataset, ImportRequest("cvat", file))
    assert [(s.id, s.media[0].path) for s in Dataset.load(tmp_path / "set").samples] == [
        ("cam.mp4", "cam.mp4"),
        ("cam.mkv", "cam.mkv"),
    ]
