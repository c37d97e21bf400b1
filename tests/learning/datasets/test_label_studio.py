"""Label Studio: what its exports mean, as it shows them, and columns of a user's own."""

from __future__ import annotations

import json
import math

import pytest

from learning.datasets.conftest import imported
from onlooker.core.errors import ConfigError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats import format_of, options_of
from onlooker.learning.datasets.manifest import LabelledBox, LabelledSpan, Media, Sample, Task
from onlooker.learning.datasets.media import look_at

PLACE = {"x": 10, "y": 10, "width": 20, "height": 20, "rotation": 0}


def read(media, tmp_path, *tasks, **options):
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps(list(tasks)))
    format = format_of("label-studio")
    return format.read(path, options_of(format, options), media, tmp_path / "space")


def task(*results, **data):
    return {"id": 1, "data": data or {"image": "one.jpg"}, "annotations": [{"result": list(results)}]}


def result(key, name, kind, **value):
    return {"id": key, "from_name": name, "to_name": "it", "type": kind, "value": value}


def track(*keys, rate=24, timed=True, **more):
    """An object of walk.mp4, which has 180 frames, 10 a second, as Label Studio writes it."""
    sequence = []
    for frame, left, on in keys:
        key = {"frame": frame, "enabled": on, "rotation": 0, "x": left, "y": 0, "width": 10, "height": 10}
        sequence.append({**key, **({"time": frame / rate} if timed else {})})
    return result("t", "things", "videorectangle", sequence=sequence, labels=["man"], **more)


def walk(*results):
    return task(*results, video="/data/upload/1/0a1b2c3d-walk.mp4")


def seen(made):
    return {b.at: b.box[0] for b in made.found[0].sample.labels["things"]}


WHOLE = {"framesCount": 432, "duration": 18.0}


def test_boxes_of_a_video_lie_on_its_frames_at_label_studios_times(media, tmp_path):
    events = result("e", "events", "timelinelabels", ranges=[{"start": 1, "end": 144}], timelinelabels=["walk"])
    made = read(media, tmp_path, walk(track((1, 0, True), (145, 60, False), **WHOLE), events))
    places = seen(made)
    assert [*places] == [n / 10 for n in range(61)]
    assert (places[0.0], places[6.0]) == (0.0, 0.6)
    # it moves by 60 in 6 seconds, from 1/24 on
    assert all(left == pytest.approx((at - 1 / 24) / 10, abs=1e-6) for at, left in places.items() if 0 < at < 6)
    (span,) = made.found[0].sample.labels["events"]
    assert (span.start, span.end) == (0.0, 6.0)
    assert made.notes == [
        "Label Studio counted 24 frames a second, the file has 10; times are those of Label Studio: walk.mp4"
    ]


@pytest.mark.parametrize(
    ("more", "options", "end", "notes"),
    [
        (WHOLE, {}, 6.0, ["Label Studio counted 24 frames a second"]),
        (WHOLE, {"rate": "12"}, 6.0, ["--set rate=12 is not used: the export counts 24", "Label Studio counted 24"]),
        ({}, {"rate": "12"}, 12.0, []),
        ({}, {}, 14.4, ["frames are counted at the file's 10 a second, as the export does not say; --set rate=24"]),
    ],
)
def test_where_keys_have_no_time_frames_and_length_tell_the_rate(more, options, end, notes, media, tmp_path):
    made = read(media, tmp_path, walk(track((1, 0, True), (145, 60, False), timed=False, **more)), **options)
    assert max(seen(made)) == end
    assert [note for note in made.notes if not any(note.startswith(n) for n in notes)] == []
    assert len(made.notes) == len(notes)


def test_an_object_that_is_switched_off_is_not_there_until_it_is_switched_on(media, tmp_path):
    keys = [(20, 0, True), (40, 20, False), (80, 50, True), (100, 50, False)]
    places = seen(read(media, tmp_path, walk(track(*keys, rate=10, framesCount=180, duration=18.0))))
    assert [*places] == [n / 10 for n in [*range(20, 41), *range(80, 101)]]
    assert places[3.0] == 0.1
    # what was never switched off stays, which a user is told
    made = read(media, tmp_path, walk(track((170, 5, True), rate=10, framesCount=180, duration=18.0)))
    assert seen(made) == {n / 10: 0.05 for n in range(170, 180)}
    assert made.notes == [
        "objects whose last key frame is not switched off stay to the end, as Label Studio shows them: walk.mp4"
    ]


@pytest.mark.parametrize("frame", [None, "x", -1, 1e400, 10**12])
@pytest.mark.parametrize("kind", ["videorectangle", "timelinelabels"])
def test_frames_that_are_none_are_refused_in_words(kind, frame, media, tmp_path):
    key = {"frame": frame, "start": 1, "end": frame, "x": 1, "y": 1, "width": 1, "height": 1}
    odd = result("t", "things", kind, sequence=[key], ranges=[key], timelinelabels=["walk"])
    with pytest.raises(ConfigError, match=r"tasks.json: task 0: (frame|end): expected a number of a frame, got"):
        read(media, tmp_path, walk(odd))


def regions():
    return [
        result("a", "box", "rectanglelabels", **PLACE, rectanglelabels=["car", "old"]),
        result("b", "box", "rectanglelabels", **PLACE, rectanglelabels=["car"]),
        result("a", "colour", "choices", **PLACE, choices=["red"]),
        result("b", "colour", "choices", **PLACE, choices=["blue"]),
        result("b", "plate", "textarea", **PLACE, text=["CD 2"]),
        result("c", "scene", "choices", choices=["street"]),
    ]


def test_answers_about_single_regions_are_not_those_of_the_picture(media, tmp_path):
    made = read(media, tmp_path, task(*regions()))
    assert [*made.tasks] == ["scene", "box"]
    assert [b.label for b in made.found[0].sample.labels["box"]] == ["car", "car"]
    assert dict(+made.left_out) == {
        "answers about single regions called colour": 2,
        "answers about single regions called plate": 1,
        "labels of regions besides their first": 1,
    }
    made = read(media, tmp_path, task(*regions()), label="{colour} {label}")
    assert [b.label for b in made.found[0].sample.labels["box"]] == ["red car", "blue car"]
    assert made.left_out["answers about single regions called colour"] == 0


def test_a_rectangle_and_its_labels_are_one_box_and_the_rest_is_counted_by_type(media, tmp_path):
    results = [
        result("q", "rect", "rectangle", **PLACE),
        result("q", "name", "labels", **PLACE, labels=["dog"]),
        result("r", "rect", "rectangle", **PLACE),
        result("p", "shape", "polygon", points=[[1, 1], [2, 2], [1, 2]]),
        result("p", "name", "labels", points=[[1, 1], [2, 2], [1, 2]], labels=["dog"]),
        result("k", "spot", "keypointlabels", x=1, y=1, keypointlabels=["eye"]),
        {"type": "relation", "from_id": "q", "to_id": "r", "direction": "right"},
    ]
    made = read(media, tmp_path, task(*results))
    (box,) = made.found[0].sample.labels["rect"]
    assert (box.label, box.box) == ("dog", (0.1, 0.1, 0.3, 0.3))
    assert [*made.found[0].sample.labels] == ["rect"]
    assert dict(+made.left_out) == {
        "regions and choices without a label": 1,
        "results of type polygon": 1,
        "results of type keypointlabels": 1,
        "results of type relation": 1,
    }


def test_a_track_takes_its_class_from_the_labels_beside_it(media, tmp_path):
    bare = track((10, 0, False), rate=10)
    bare["value"].pop("labels")
    beside = {**bare, "from_name": "name", "type": "labels", "value": {**bare["value"], "labels": ["dog"]}}
    made = read(media, tmp_path, walk(bare, beside))
    assert [(b.label, b.at) for b in made.found[0].sample.labels["things"]] == [("dog", 1.0)]
    assert not +made.left_out


def test_of_a_taxonomy_the_last_of_each_path_is_a_class(media, tmp_path):
    one = task(result("t", "kind", "taxonomy", taxonomy=[["Animal", "Dog"]]))
    two = task(
        result("t", "kind", "taxonomy", taxonomy=[["Animal", "Other"], ["Car", "Other"], ["Car", "Van"]]),
        image="two.jpg",
    )
    made = read(media, tmp_path, one)
    assert (made.tasks["kind"].kind, made.found[0].sample.labels) == ("class", {"kind": "Dog"})
    made = read(media, tmp_path, one, two)
    assert (made.tasks["kind"].kind, made.tasks["kind"].classes) == ("multi-label", ("Dog", "Other", "Van"))
    assert [f.sample.labels["kind"] for f in made.found] == [("Dog",), ("Other", "Van")]
    assert made.notes == ["kind: Animal/Other, Car/Other are one class, Other"]


COLUMNS = [
    *({"origin": "camera 2"}, {"weight": "3 kg"}, {"weights": 3}, {"at": "2024-01-02"}, {"span": "morning"}),
    *({"tasks": "3"}, {"groups": "A"}, {"split": "day 1/2"}, {"path": "/data/u/p1.jpg"}, {"media": 7}),
    *({"sample": 5}, {"sample": "S1", "origin": "lab"}, {"notes": 4}, {"onlooker": "x"}, {"text": [{"a": 1}]}),
    {"fps": "many"},
]


@pytest.mark.parametrize("column", COLUMNS, ids=str)
def test_columns_of_a_users_own_are_no_bookkeeping(column, media, tmp_path):
    choice = result("c", "mood", "choices", choices=["good"])
    dataset = imported_from(tmp_path, media, "label-studio", [task(choice, image="one.jpg", **column)])
    (sample,) = dataset.samples
    assert (sample.id, sample.labels) == ("one.jpg", {"mood": "good"})
    images = [{"id": 1, "file_name": "one.jpg", "width": 64, "height": 48, **column}]
    coco = {"images": images, "categories": [], "annotations": []}
    (sample,) = imported_from(tmp_path, media, "coco", coco).samples
    assert (sample.id, sample.origin, sample.weight, sample.at) == ("one.jpg", {}, 1.0, None)


def imported_from(tmp_path, media, format, content):
    (tmp_path / f"{format}.json").write_text(json.dumps(content))
    return imported(tmp_path / f"set of {format}", format, tmp_path / f"{format}.json", media=media)


def test_columns_of_a_users_own_are_fields(media, tmp_path):
    made = read(media, tmp_path, task(image="one.jpg", origin="camera 2", split="val"))
    assert made.found[0].fields["origin"] == "camera 2"
    assert made.found[0].sample.split == "val"


def test_a_split_that_is_no_name_is_told(media, tmp_path):
    made = read(media, tmp_path, task(image="one.jpg", split="day 1/2"))
    assert made.notes == ["the column split is not taken for splits, as it holds what is no name: one.jpg"]
    image = {"id": 1, "file_name": "one.jpg", "width": 64, "height": 48, "split": "day 1/2"}
    (tmp_path / "coco.json").write_text(json.dumps({"images": [image]}))
    coco = format_of("coco")
    made = coco.read(tmp_path / "coco.json", coco.Options(), media, tmp_path)
    assert made.left_out["splits of images that are no names"] == 1


@pytest.fixture
def ours(media, tmp_path):
    """A dataset with a video, a part of one, a frame, a picture and a text, and its export."""
    one, video = (
        look_at(media, Media(path="one.jpg", kind="image")),
        look_at(media, Media(path="walk.mp4", kind="video")),
    )

    def box(left, at=None):
        return LabelledBox(label="man", box=(left, 0.25, left + 0.25, 0.5), at=at, track=None if at is None else "t")

    both = (box(0.0, 0.0), box(0.1, 0.1), box(0.2, 0.2), box(0.3, 0.3), box(0.5, 4.0))
    more = {"groups": {"who": "Ann"}, "split": "val", "weight": 2.0, "notes": "blurred", "origin": {"reason": "odd"}}
    spans = (LabelledSpan(label="walk", start=1, end=2),)
    samples = [
        Sample(id="video", media=(video,), labels={"things": both, "events": spans}, **more),
        Sample(id="part", media=(video,), span=(1, 5), labels={"things": (), "mood": "good"}),
        Sample(id="frame", media=(video,), at=1.5, labels={"things": (box(0.2),)}),
        Sample(id="picture", media=(one,), text="a dog", labels={"mood": "good"}),
        Sample(id="words", text="hello", labels={"mood": "bad"}),
    ]
    tasks = {
        "things": Task(kind="boxes", classes=("man",)),
        "events": Task(kind="spans", classes=("walk",)),
        "mood": Task(kind="class", classes=("bad", "good")),
    }
    dataset = Dataset.create(tmp_path / "ours", name="ours", tasks=tasks, root=str(media))
    dataset.put(samples)
    format = format_of("label-studio")
    format.write(dataset, dataset.samples, tmp_path / "ours.json", format.Options())
    return dataset, json.loads((tmp_path / "ours.json").read_text())


def known(samples):
    """Samples as they are told apart, with boxes of a frame at its time."""
    made = []
    for sample in samples:
        things = sample.labels.get("things")
        timed = None if things is None else tuple(b.model_copy(update={"at": b.at or sample.at}) for b in things)
        labels = {k: v for k, v in {**sample.labels, "things": timed}.items() if v is not None}
        media = tuple(m.path for m in sample.media)
        made.append(sample.model_copy(update={"labels": labels, "media": media}))
    return made


def test_an_export_comes_back_the_same(ours, media, tmp_path):
    dataset, tasks = ours
    assert all(t["data"].keys() <= {"image", "video", "text", "fps", "part", "onlooker"} for t in tasks)
    again = imported_from(tmp_path, media, "label-studio", tasks)
    assert known(again.samples) == known(dataset.samples)


def test_an_export_that_was_written_before_comes_back_the_same(ours, media, tmp_path):
    dataset, tasks = ours
    for one in tasks:
        kept = one["data"].pop("onlooker")
        one["data"] = {**kept, **one["data"]}
        for found in one["annotations"][0]["result"]:
            for key in found["value"].get("sequence", []):
                key |= {"enabled": True, "frame": round(key["time"] * 10) + 1}
    again = imported_from(tmp_path, media, "label-studio", tasks)
    expected = known(dataset.samples)
    # a text beside a picture was not kept
    expected[3] = expected[3].model_copy(update={"text": None})
    assert known(again.samples) == expected


def test_an_export_that_label_studio_saved_comes_back_the_same(ours, media, tmp_path):
    dataset, tasks = ours
    # the set-up makes it count as the file does
    assert '<Video name="video" value="$video" frameRate="$fps"/>' in (tmp_path / "ours-video.xml").read_text()
    for one in tasks:
        for found in one["annotations"][0]["result"]:
            if found["type"] == "videorectangle":
                rate = one["data"]["fps"]
                found["value"] |= {"framesCount": math.ceil(18 * rate), "duration": 18.0}
                for key in found["value"]["sequence"]:
                    key["time"] = key["frame"] / rate
    again = imported_from(tmp_path, media, "label-studio", tasks)
    assert known(again.samples) == known(dataset.samples)
