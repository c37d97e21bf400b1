"""Export, then import: ids, splits, groups, labels and tracks are the same, in every format that is written."""

from __future__ import annotations

import configparser
import json
import re
import shutil
from xml.etree import ElementTree

import pytest

from learning.datasets.conftest import imported
from onlooker.core.errors import ConfigError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats import format_names, format_of, options_of
from onlooker.learning.datasets.manifest import LabelledBox, LabelledSpan, Media, Sample, Task
from onlooker.learning.datasets.media import look_at

WRITING = [n for n in format_names() if format_of(n).holds]
TARGETS = {"csv": "out.csv", "folders": "out", "mot": "out", "yolo": "out", "cvat": "out.xml"}
KINDS = {"folders": "class", "activitynet": "spans", "csv": "boxes"}


def box(label, left, **more):
    return LabelledBox(label=label, box=(left, 0.25, left + 0.25, 0.5), **more)


def parts_of_a_video(walk, kind):
    """Two stretches, one more that overlaps them, and one frame, on several sides."""
    if kind == "spans":
        labels = [
            (LabelledSpan(label="van", start=1, end=2),),
            (LabelledSpan(label="a & <b>", start=7, end=9), LabelledSpan(label="van", start=7, end=8)),
            (),
            None,
        ]
    elif kind == "boxes":
        labels = [
            (box("van", 0.1, at=1.0, track="7"), box("van", 0.2, at=1.1, track="7"), box("van", 0.5, at=1.1)),
            (box("van", 0.3, at=7.0, track="left door"), box("a & <b>", 0.4, at=7.1, track="left door", crowd=True)),
            (box("van", 0.6, at=4.0, track="7"),),
            None,
        ]
    else:
        labels = ["van", "a & <b>", "van", "van"]
    spans, splits = [(0, 6), (6, 12), (3, 9), (12, 15)], ["train", "fold 2", "train", None]
    return [
        Sample(
            id=f"clip {n}: 100%/走", media=(walk,), span=spans[n], split=splits[n], groups={"source": "cam=1"},
            weight=n + 1, notes="blurred", labels={} if labels[n] is None else {"task": labels[n]},
        )
        for n in range(4)
    ]  # fmt: skip


def pictures(one, two, walk):
    still = (box("van", 0.1, track="3"), box("a & <b>", 0.5, crowd=True, score=0.5))
    common = {"groups": {"person": "Ann"}, "weight": 2.0}
    return [
        Sample(id="first: 100%", media=(one,), split="val", labels={"task": still}, **common),
        Sample(id="nothing in it", media=(two,), split="fold 2", labels={"task": ()}),
        Sample(id="a frame", media=(walk,), at=1.5, split="train", labels={"task": (box("van", 0.2, track="3"),)}),
        Sample(id="not looked at", media=(walk,), at=2.5, labels={}),
    ]


def trip(name, tmp_path, root, samples, kind, target=None, more=None):
    """What comes back, and what the export had no place for."""
    task = Task(kind=kind, classes=("van", "unused", "a & <b>"))
    dataset = Dataset.create(tmp_path / "set", name="set", tasks={"task": task}, root=str(root))
    dataset.put(samples)
    dataset.save()
    format = format_of(name)
    target = tmp_path / (target or TARGETS.get(name, "out.json"))
    done = format.write(dataset, dataset.samples, target, options_of(format, more or {}))
    naming = {"boxes" if name == "cvat" else "task": "task"}
    naming = naming if next(iter(naming)) in format.Options.model_fields else {}
    media = {} if name == "folders" else {"media": root}
    return imported(tmp_path / "again", name, target, naming, **media), +done.left_out


def same(dataset, samples, *, media=True):
    got = {s.id: s for s in dataset.samples}
    assert sorted(got) == sorted(s.id for s in samples)
    for old in samples:
        new = got[old.id]
        for field in ("split", "groups", "weight", "notes", *(("span", "at") if media else ())):
            assert getattr(new, field) == getattr(old, field), (old.id, field)
        assert not media or [m.path for m in new.media] == [m.path for m in old.media]
        assert new.labels.keys() == old.labels.keys(), old.id
        for task, label in old.labels.items():
            if not label or isinstance(label, str):
                assert new.labels[task] == label
            else:
                assert sorted(plain(p, old.at) for p in new.labels[task]) == sorted(plain(p, old.at) for p in label)


def plain(part, at):
    """A box or span to compare, as exact as pixels are; a box of a frame has its time, said or not."""
    if isinstance(part, LabelledSpan):
        return (part.start, part.end, part.label)
    sides = tuple(round(v, 3) for v in part.box)
    return (
        at or 0.0 if part.at is None else part.at,
        sides,
        part.label,
        str(part.track),
        part.crowd,
        part.score or 0.0,
    )


@pytest.fixture
def walk(media):
    return look_at(media, Media(path="walk.mp4", kind="video"))


@pytest.mark.parametrize("name", [n for n in WRITING if "video" in format_of(n).media and n != "folders"])
def test_parts_of_a_video_come_back_as_they_were(name, media, walk, tmp_path):
    kind = KINDS.get(name, "boxes")
    samples = parts_of_a_video(walk, kind)
    target = "out" if name == "cvat" else None
    again, lost = trip(name, tmp_path, media, samples, kind, target)
    same(again, samples)
    assert not lost
    if name in ("cvat", "mot", "activitynet"):
        assert again.info.tasks["task"].classes == ("van", "unused", "a & <b>")


@pytest.mark.parametrize("name", ["coco", "csv", "cvat", "label-studio", "yolo"])
def test_pictures_and_frames_come_back_as_they_were(name, media, walk, tmp_path):
    one, two = (look_at(media, Media(path=f"{n}.jpg", kind="image")) for n in ("one", "two"))
    samples = pictures(one, two, walk)
    again, lost = trip(name, tmp_path, media, samples, "boxes", more={"form": "images"} if name == "cvat" else None)
    same(again, samples)
    assert not lost


def test_files_of_classes_come_back_as_they_were(tmp_path, media):
    root = tmp_path / "files"
    root.mkdir()
    samples = []
    for n, split in enumerate(("train", "fold 2", None, "test")):
        shutil.copy(media / "one.jpg", root / f"p {n}.jpg")
        one = Media(path=f"p {n}.jpg", kind="image")
        label = ("van", "a & <b>")[n % 2]
        samples.append(Sample(id=f"no. {n}", media=(one,), split=split, groups={"who": "x"}, labels={"task": label}))
    again, lost = trip("folders", tmp_path, root, samples, "class")
    same(again, samples, media=False)
    assert again.info.tasks["task"].classes == ("van", "unused", "a & <b>")
    assert not lost


def test_what_a_format_has_no_place_for_is_told(tmp_path, media, walk):
    tasks = {"task": Task(kind="boxes", classes=("van",)), "mood": Task(kind="class", classes=("good",))}
    dataset = Dataset.create(tmp_path / "set", name="set", tasks=tasks, root=str(media))
    scored = (box("van", 0.1, at=0.0, score=0.5),)
    labels = {"task": scored, "mood": "good"}
    dataset.put([Sample(id="a", media=(walk,), labels=labels, status="proposed")])
    for name in ("mot", "cvat"):
        done = format_of(name).write(dataset, dataset.samples, tmp_path / name, format_of(name).Options())
        assert done.left_out["labels of mood"] == 1
        assert done.left_out["marks of proposals: they come back as labelled"] == 1
        assert done.left_out["boxes' score"] == (1 if name == "mot" else 0)


def test_tools_of_mot_and_cvat_can_read_what_is_written(media, walk, tmp_path):
    odd = walk.model_copy(update={"rate": "30000/1001"})
    samples = parts_of_a_video(odd, "boxes")
    trip("mot", tmp_path, media, samples, "boxes")
    files = sorted((tmp_path / "out").rglob("seqinfo.ini"))
    assert [f.parent.relative_to(tmp_path / "out").as_posix() for f in files] == [
        "fold 2/walk", "train/walk", "train/walk-2", "walk",
    ]  # fmt: skip
    for file in files:
        # with variables, as most tools read it
        parser = configparser.ConfigParser()
        parser.read(file)
        facts = dict(parser["Sequence"])
        # some refuse what MOTChallenge does not have
        assert facts.keys() == {"name", "imdir", "framerate", "seqlength", "imwidth", "imheight", "imext"}
        assert [int(facts[k]) > 0 for k in ("framerate", "seqlength", "imwidth", "imheight")] == [True] * 4
        for line in (file.parent / "gt" / "gt.txt").read_text().splitlines():
            assert len([float(v) for v in line.split(",")]) == 9
    shutil.rmtree(tmp_path / "set")
    shutil.rmtree(tmp_path / "again")
    trip("cvat", tmp_path, media, samples, "boxes", "cvat")
    for file in (tmp_path / "cvat").glob("*.xml"):
        tracks = ElementTree.parse(file).getroot().findall("track")
        numbers = [int(t.attrib["id"]) for t in tracks]
        assert len(set(numbers)) == len(numbers)


def test_a_sequence_in_a_folder_of_a_split_is_of_that_split(data, tmp_path):
    for split in ("train", "test"):
        shutil.copytree(data("mot_pets09_s2l1"), tmp_path / "sets" / split / f"seq-{split}")
    again = imported(tmp_path / "again", "mot", tmp_path / "sets")
    assert {s.id: s.split for s in again.samples} == {f"{s}/seq-{s}/video.mp4": s for s in ("train", "test")}


@pytest.mark.parametrize(
    ("file", "body", "expected"),
    [
        (
            "onlooker.json",
            {"samples": {"1": {"sample": "q", "frames": ["a", 3]}}},
            "frames: expected the first and the",
        ),
        ("onlooker.json", {"samples": {"1": 3}}, r"onlooker.json: expected an object with samples .*export again"),
        ("onlooker.json", {"tracks": [1], "samples": {}}, r"onlooker.json: tracks: expected an object .*export again"),
        (
            "seqinfo.ini",
            "seqLength=99999999999",
            r"seqinfo.ini: seqlength: no video has 99999999999 frames",
        ),
        ("seqinfo.ini", "seqLength=x", r"seqinfo.ini: seqlength: expected a number, got 'x'"),
    ],
)
def test_what_was_kept_and_is_broken_is_refused_in_words(file, body, expected, data, tmp_path):
    shutil.copytree(data("mot_pets09_s2l1"), tmp_path / "set")
    place = tmp_path / "set" / file
    if isinstance(body, str):
        place.write_text(re.sub("seqLength=.*", body, place.read_text()))
    else:
        place.write_text(json.dumps(body))
    with pytest.raises(ConfigError, match=expected):
        imported(tmp_path / "made", "mot", tmp_path / "set")
