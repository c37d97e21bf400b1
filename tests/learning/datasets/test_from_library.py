"""Out of a library into samples, to a labelling tool, and back."""

# what may be None in general is there in these tests
# pyright: reportOptionalMemberAccess=false, reportOptionalSubscript=false, reportOptionalIterable=false
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import json
import shutil

import pytest

from onlooker.core.event import Event, event_id
from onlooker.core.observation import Box, Observation, Producer
from onlooker.core.store import Batch
from onlooker.core.time import Span
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats import format_of
from onlooker.learning.datasets.from_library import LibraryRequest, Verdict, samples_from_library
from onlooker.learning.datasets.importing import ImportRequest, import_samples
from onlooker.learning.datasets.manifest import Task
from onlooker.sources import open_source
from onlooker.timeline.stores.embedded import EmbeddedStore

OBJECTS = Producer("objects", "1", "c" * 32)


@pytest.fixture
def library(media, tmp_path):
    """One real video with boxes whose scores go from sure to unsure, and a sound event."""
    info = open_source(str(media / "walk.mp4")).info
    with EmbeddedStore(tmp_path / "library") as store:
        store.add_source(info)
        made = [
            Observation(
                Span.of_seconds(n, n + 0.1),
                "object",
                score=n / 18,
                label="person",
                box=Box(0.1, 0.2, 0.3, 0.5),
                track="t1",
            ).of(info.id, OBJECTS, 0)
            for n in range(18)
        ]
        made.append(Observation(Span.of_seconds(2, 4), "sound", score=0.5, label="bark").of(info.id, OBJECTS, 0))
        store.commit(Batch(info.id, made))
        yield store, info


def test_uncertain_moments_become_proposals_and_come_back_labelled(library, media, tmp_path):
    store, info = library
    dataset = Dataset.create(tmp_path / "set", name="set")
    request = LibraryRequest(low=0.3, high=0.6, uncertain=True, limit=3)
    report = samples_from_library(dataset, store.sources(), store.query, request)
    # scores 0.39, 0.44 and 0.5 lie nearest to the middle of the range
    assert [s.at for s in dataset.samples] == [7.0, 8.0, 9.0]
    assert report.taken == {"uncertain": 3}
    assert all(s.status == "proposed" and s.groups == {"source": info.id} for s in dataset.samples)
    assert dataset.path(dataset.samples[0].media[0]).resolve() == (media / "walk.mp4").resolve()

    target = tmp_path / "tasks.json"
    studio = format_of("label-studio")
    done = studio.write(dataset, dataset.samples, target, studio.Options())
    tasks = json.loads(target.read_text())
    assert len(tasks) == done.samples == 3
    assert all(t["predictions"] and not t["annotations"] for t in tasks)
    assert len([f for f in done.files if f.suffix == ".jpg"]) == 3
    assert '<RectangleLabels name="object" toName="image">' in (tmp_path / "tasks.xml").read_text()

    # a person moves the box of the first, and finds nothing in the second
    first = tasks[0].pop("predictions")[0]
    first["result"][0]["value"] |= {"x": 50.0, "width": 10.0}
    tasks[0]["annotations"] = [first]
    tasks[1]["annotations"] = [{"result": []}]
    target.write_text(json.dumps(tasks[:2]))
    loaded = Dataset.load(tmp_path / "set")
    back = import_samples(loaded, ImportRequest("label-studio", target))
    assert (back.new, back.replaced) == (0, 2)
    again = Dataset.load(tmp_path / "set").samples
    assert [s.status for s in again] == ["labelled", "labelled", "proposed"]
    assert again[0].labels["object"][0].box == (0.5, 0.2, 0.6, 0.5)
    assert again[0].at == 7.0
    assert again[1].labels["object"] == ()
    assert again[0].origin["reason"] == "uncertain"

    # what a person labelled is not overwritten by the library
    dataset = Dataset.load(tmp_path / "set")
    samples_from_library(dataset, store.sources(), store.query, request)
    assert dataset.samples[0].labels["object"][0].box == (0.5, 0.2, 0.6, 0.5)


def test_a_second_look_keeps_splits_and_proposals_of_other_kinds(library, tmp_path):
    store, info = library
    face = Observation(Span.of_seconds(7, 7.1), "face", score=0.5, label="face", box=Box(0.1, 0.1, 0.2, 0.2))
    store.commit(Batch(info.id, [face.of(info.id, OBJECTS, 1)]))
    dataset = Dataset.create(tmp_path / "set", name="set")
    request = LibraryRequest(uncertain=True, limit=3)
    samples_from_library(dataset, store.sources(), store.query, request)
    dataset.put(s.model_copy(update={"split": "train", "notes": "dark"}) for s in dataset.samples)
    samples_from_library(dataset, store.sources(), store.query, LibraryRequest(kinds=("face",)))
    first = Dataset.load(tmp_path / "set").samples[0]
    assert (first.at, first.split, first.notes) == (7.0, "train", "dark")
    assert {task: boxes[0].label for task, boxes in first.labels.items()} == {"object": "person", "face": "face"}
    assert len(first.origin["observations"]) == 2


def test_moments_that_people_labelled_are_counted(library, tmp_path):
    store, _ = library
    dataset = Dataset.create(tmp_path / "set", name="set")
    samples_from_library(dataset, store.sources(), store.query, LibraryRequest(limit=3))
    dataset.put(s.model_copy(update={"status": "labelled"}) for s in dataset.samples[:2])
    report = samples_from_library(dataset, store.sources(), store.query, LibraryRequest(limit=3))
    assert (report.new, report.replaced, report.left) == (0, 1, 2)


def test_what_was_said_of_an_event_changes_and_its_clip_keeps_the_rest(library, tmp_path):
    store, info = library
    second = 10**9
    id = event_id("door", info.id, 5 * second, "")
    made = Event(id, "door", info.id, "cam", "end", 5 * second, 7 * second, "high")
    dataset = Dataset.create(tmp_path / "set", name="set", tasks={"action": Task(kind="class", classes=("walk",))})
    for verdict in ("wrong", "right"):
        said = [Verdict(made, verdict, "anna")]
        samples_from_library(dataset, store.sources(), store.query, LibraryRequest(kinds=()), said)
        (sample,) = dataset.samples
        more = {"split": "test", "labels": {**sample.labels, "action": "walk"}}
        dataset.put([sample.model_copy(update=more)])
    (sample,) = Dataset.load(tmp_path / "set").samples
    assert (sample.split, sample.labels) == ("test", {"alarm": "right", "action": "walk"})


def test_late_moments_have_ids_of_their_own(library, tmp_path):
    store, info = library
    late = [
        Observation(Span.of_seconds(at, at + 0.01), "object", score=0.5, label="car", box=Box(0, 0, 0.5, 0.5)).of(
            info.id, OBJECTS, 9 + n
        )
        for n, at in enumerate((20000.0, 20000.04))
    ]
    store.commit(Batch(info.id, late))
    dataset = Dataset.create(tmp_path / "set", name="set")
    request = LibraryRequest(labels=("car",), gap=0)
    for _ in range(2):
        samples_from_library(dataset, store.sources(), store.query, request)
        assert [(s.id.partition("#")[2], s.at) for s in dataset.samples] == [
            ("20000", 20000.0),
            ("20000.040000", 20000.04),
        ]


def test_the_same_by_cvat(library, tmp_path):
    store, _ = library
    dataset = Dataset.create(tmp_path / "set", name="set")
    samples_from_library(dataset, store.sources(), store.query, LibraryRequest(limit=2))
    cvat = format_of("cvat")
    done = cvat.write(dataset, dataset.samples, tmp_path / "tasks.xml", cvat.Options())
    assert done.samples == 2
    assert 'label="person"' in (tmp_path / "tasks.xml").read_text()


def test_frames_beside_judged_events_go_to_cvat_as_pictures(library, tmp_path):
    store, info = library
    made = Event(event_id("door", info.id, 0, ""), "door", info.id, "cam", "end", 0, 10**9, "high")
    dataset = Dataset.create(tmp_path / "set", name="set")
    said = [Verdict(made, "wrong", "anna")]
    samples_from_library(dataset, store.sources(), store.query, LibraryRequest(limit=2), said)
    cvat = format_of("cvat")
    done = cvat.write(dataset, dataset.samples, tmp_path / "tasks.xml", cvat.Options())
    assert done.samples == 2
    assert done.left_out["not a picture or frame"] == 1
    assert len(list((tmp_path / "tasks-frames").iterdir())) == 2


def test_sounds_become_spans(library, tmp_path):
    store, _ = library
    dataset = Dataset.create(tmp_path / "set", name="set")
    samples_from_library(dataset, store.sources(), store.query, LibraryRequest(kinds=("sound",)))
    (sample,) = dataset.samples
    span = sample.labels["sound"][0]
    assert (span.label, span.start, span.end, span.score) == ("bark", 2, 4, 0.5)


def test_spans_come_back_from_a_folder_without_the_videos(library, tmp_path):
    store, _ = library
    dataset = Dataset.create(tmp_path / "set", name="set")
    samples_from_library(dataset, store.sources(), store.query, LibraryRequest(kinds=("sound",)))
    studio = format_of("label-studio")
    target = tmp_path / "elsewhere" / "tasks.json"
    studio.write(dataset, dataset.samples, target, studio.Options())
    (task,) = json.loads(target.read_text())
    task["annotations"] = task.pop("predictions")
    task["annotations"][0]["result"][0]["value"]["ranges"][0]["end"] = 50
    target.write_text(json.dumps([task]))
    import_samples(dataset, ImportRequest("label-studio", target))
    (sample,) = Dataset.load(tmp_path / "set").samples
    span = sample.labels["sound"][0]
    # ten frames a second
    assert (sample.status, span.label, span.start, span.end) == ("labelled", "bark", 2, 5)


def test_pictures_and_videos_are_projects_of_their_own(library, tmp_path):
    """A set-up for both is none for Label Studio: it asks for all that it shows in each task."""
    store, _ = library
    dataset = Dataset.create(tmp_path / "set", name="set")
    samples_from_library(dataset, store.sources(), store.query, LibraryRequest(kinds=("object", "sound"), limit=2))
    studio = format_of("label-studio")
    done = studio.write(dataset, dataset.samples, tmp_path / "tasks.json", studio.Options())
    assert "give it tasks-image.json, tasks-video.json, each with its set-up" in done.notes[0]
    for kind, count in (("image", 2), ("video", 1)):
        assert len(json.loads((tmp_path / f"tasks-{kind}.json").read_text())) == count
        set_up = (tmp_path / f"tasks-{kind}.xml").read_text()
        assert [name for name in ("$image", "$video") if name in set_up] == [f"${kind}"]
    assert not (tmp_path / "tasks.xml").exists()
    # all of it comes back from either
    import_samples(dataset, ImportRequest("label-studio", tmp_path / "tasks-video.json"))
    report = import_samples(dataset, ImportRequest("label-studio", tmp_path / "tasks.json"))
    assert (report.new, report.replaced) == (0, 3)


def test_a_kind_with_and_without_boxes_becomes_two_tasks(library, tmp_path):
    store, info = library
    made = [
        Observation(Span.of_seconds(1, 1.1), "text", score=0.5, label="EXIT", box=Box(0.1, 0.1, 0.2, 0.2)),
        Observation(Span.of_seconds(3, 5), "text", score=0.5, label="EXIT"),
    ]
    store.commit(Batch(info.id, [o.of(info.id, OBJECTS, 20 + n) for n, o in enumerate(made)]))
    dataset = Dataset.create(tmp_path / "set", name="set")
    for _ in range(2):
        samples_from_library(dataset, store.sources(), store.query, LibraryRequest(kinds=("text",)))
    assert {n: t.kind for n, t in dataset.info.tasks.items()} == {"text": "boxes", "text in time": "spans"}
    assert [list(s.labels) for s in dataset.samples] == [["text"], ["text in time"]]


def test_judged_events_become_labelled_clips(library, tmp_path):
    store, info = library
    second = 10**9
    made = Event(
        event_id("door", info.id, 5 * second, ""), "door", info.id, "cam", "end", 5 * second, 7 * second, "high"
    )
    dataset = Dataset.create(tmp_path / "set", name="set")
    request = LibraryRequest(kinds=(), padding=1)
    report = samples_from_library(
        dataset, store.sources(), store.query, request, [Verdict(made, "wrong", "anna", "a cat")]
    )
    (sample,) = dataset.samples
    # who looks at it again is told which part of the video is meant
    studio = format_of("label-studio")
    studio.write(dataset, dataset.samples, tmp_path / "tasks.json", studio.Options())
    assert json.loads((tmp_path / "tasks.json").read_text())[0]["data"]["part"] == "from 4 to 8 s"
    assert '<Header value="$part"/>' in (tmp_path / "tasks.xml").read_text()
    assert sample.span == (4.0, 8.0)
    assert sample.labels == {"alarm": "wrong"}
    assert sample.status == "labelled"
    assert sample.notes == "door: a cat"
    assert report.taken == {"said to be wrong": 1}


def test_a_file_that_was_replaced_is_not_labelled_by_what_was_seen_in_the_old_one(media, tmp_path):
    place = tmp_path / "cam.mp4"
    shutil.copy(media / "walk.mp4", place)
    info = open_source(str(place)).info
    box = Box(0.1, 0.2, 0.3, 0.5)
    seen = Observation(Span.of_seconds(1, 1.1), "object", score=0.5, label="person", box=box)
    with EmbeddedStore(tmp_path / "library") as store:
        store.add_source(info)
        store.commit(Batch(info.id, [seen.of(info.id, OBJECTS, 0)]))
        shutil.copy(media / "talk.mpg", place)
        dataset = Dataset.create(tmp_path / "set", name="set")
        report = samples_from_library(dataset, store.sources(), store.query, LibraryRequest(), cached=store.cached_id)
    assert report.new == 0
    assert "other content than what was analysed" in report.failures[str(place)]


def test_a_source_whose_file_is_gone_is_told(library, tmp_path):
    from dataclasses import replace

    store, info = library
    store.add_source(replace(info, id="f" * 32, path="/nowhere/x.mp4"))
    dataset = Dataset.create(tmp_path / "set", name="set")
    report = samples_from_library(dataset, store.sources(), store.query, LibraryRequest(limit=1))
    assert list(report.failures) == ["/nowhere/x.mp4"]
    assert report.new == 1
