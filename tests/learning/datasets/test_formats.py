"""Every format: what it writes comes back, garbage is refused with its place, and the real sets are taken."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from learning.datasets.conftest import imported
from onlooker.core.errors import ConfigError, OnlookerError, UsageError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats import format_names, format_of, options_of
from onlooker.learning.datasets.importing import ImportRequest, import_samples
from onlooker.learning.datasets.manifest import Media, Sample, Task
from onlooker.learning.datasets.media import look_at

WRITING = [n for n in format_names() if format_of(n).holds]
ALL = (
    *("activitynet", "arrays", "coco", "csv", "cvat", "folders", "hmdb", "kinetics", "label-studio", "mot", "ucf"),
    "yolo",
)
names = st.text(st.characters(codec="utf-8", categories=("L", "N")), min_size=1, max_size=8) | st.sampled_from(
    ['a "b"', "a & b <c>", "it's", "x,y", "走 路"]
)
side = st.integers(0, 100).map(lambda v: v / 100)


def boxes(draw, classes, rate=None, frames=0):
    made = []
    for track in range(draw(st.integers(0, 3))):
        label = draw(st.sampled_from(classes))
        for frame in draw(st.lists(st.integers(0, frames), min_size=1, max_size=3, unique=True)):
            left, right = sorted((draw(side), draw(side)))
            top, bottom = sorted((draw(side), draw(side)))
            box = {"label": label, "box": [left, top, right, bottom]}
            if rate is not None:
                box |= {"at": round(frame / rate, 6), "track": str(track + 1)}
            made.append(box)
            if rate is None:
                break
    return sorted(made, key=lambda b: (b.get("at", 0), b.get("track", "")))


@st.composite
def labels(draw, kind, media, classes):
    match kind:
        case "class" | "ordinal":
            return draw(st.sampled_from(classes))
        case "multi-label":
            return draw(st.lists(st.sampled_from(classes), min_size=1, unique=True).map(sorted))
        case "identity":
            return draw(names)
        case "text":
            return draw(names)
        case "regression":
            return draw(st.integers(-999, 999).map(lambda v: v / 8))
        case "spans":
            rate = 10 if media.kind == "video" else 1000
            ends = draw(st.lists(st.tuples(st.integers(0, 90), st.integers(91, 170)), min_size=1, max_size=3))
            return [{"label": draw(st.sampled_from(classes)), "start": a / rate, "end": b / rate} for a, b in ends]
        case _:
            return boxes(draw, classes, 10 if media.kind == "video" else None, 179)


@pytest.fixture(scope="module")
def known(media):
    files = (
        Media(path="one.jpg", kind="image"),
        Media(path="walk.mp4", kind="video"),
        Media(path="bark.ogg", kind="audio"),
    )
    return {m.kind: look_at(media, m) for m in files}


def test_all_formats_are_there():
    assert format_names() == ALL
    with pytest.raises(UsageError, match="no dataset format is called 'x'"):
        format_of("x")


@pytest.mark.parametrize("name", ALL)
def test_a_format_describes_itself(name):
    format = format_of(name)
    assert format.name == name
    assert format.description
    assert bool(format.holds) == bool(format.media)
    with pytest.raises(UsageError, match=f"{name}: nothing: there is no such option"):
        options_of(format, {"nothing": "1"})


@pytest.mark.parametrize("name", WRITING)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(chance=st.data())
def test_what_a_format_writes_it_reads_again(name, known, media, tmp_path_factory, chance):
    format = format_of(name)
    classes = sorted(chance.draw(st.lists(names, min_size=1, max_size=3, unique_by=str.strip)))
    kind = chance.draw(st.sampled_from(sorted(format.holds)))
    fitting = {"boxes": ("image", "video"), "spans": ("video", "audio")}.get(kind, ("image", "video", "audio"))
    able = [k for k in fitting if k in format.media and not (kind == "multi-label" and name == "cvat" and k == "video")]
    medium = known[chance.draw(st.sampled_from(able))]
    with_classes = Task(kind=kind).has_classes
    task = {"cvat": "tags" if kind == "multi-label" else "objects"}.get(name, "task")
    value = chance.draw(labels(kind, medium, classes))
    folder = tmp_path_factory.mktemp("round")
    dataset = Dataset.create(
        folder / "set", name="set", tasks={task: Task(kind=kind, classes=tuple(classes) if with_classes else ())}
    )
    dataset.info = dataset.info.model_copy(update={"root": str(media)})
    sample = Sample(id=medium.path, media=(medium,), labels={task: value})
    dataset.put([sample])
    target = folder / ("out" if name in ("folders", "mot", "yolo") else "out.xml" if name == "cvat" else "out.json")
    if name == "csv":
        target = target.with_suffix(".csv")
    done = format.write(dataset, dataset.samples, target, format.Options())
    assert done.samples == 1
    assert not +done.left_out
    settable = {"task": task} if "task" in format.Options.model_fields else {}
    elsewhere = None if name == "folders" else media
    again = format.read(target, options_of(format, settable), elsewhere, folder / "space")
    found = [f.sample for f in again.found if f.sample.media[0].path.endswith(medium.path)]
    assert len(found) == 1
    expected, got = dataset.samples[0].labels[task], found[0].labels[task]
    if kind in ("boxes", "spans"):
        assert len(got) == len(expected)
        for a, b in zip(*(sorted(v, key=lambda g: _order(g, expected)) for v in (expected, got)), strict=True):
            assert b.label == a.label
            assert _numbers(b) == pytest.approx(_numbers(a), abs=2e-6)
            if kind == "boxes" and medium.kind == "video":
                assert b.track == a.track
    else:
        assert got == expected


def _numbers(part):
    return [*part.box, part.at or 0] if hasattr(part, "box") else [part.start, part.end]


def _order(part, expected):
    """Where a part stands among those expected: formats may give them in another order."""
    near = [sum(abs(x - y) for x, y in zip(_numbers(part), _numbers(e), strict=True)) for e in expected]
    same = [near[n] if e.label == part.label else 99 for n, e in enumerate(expected)]
    return same.index(min(same))


GARBAGE = [b"", b"\x00\xff\xfe", b"{", b"[1, 2]", b"<a><b></a>", b'{"images": 3}', b"a,b\n1\n", "走".encode("gbk")]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("body", GARBAGE)
def test_garbage_is_refused_by_name(name, body, tmp_path):
    suffix = {"csv": ".csv", "cvat": ".xml", "arrays": ".npz"}.get(name, ".json")
    path = tmp_path / f"file{suffix}"
    path.write_bytes(body)
    if name in ("mot", "yolo", "hmdb", "ucf", "kinetics"):
        (tmp_path / "gt").mkdir()
        for inner in ("gt/gt.txt", "seqinfo.ini", "trainlist01.txt", "a_test_split1.txt", "list.csv"):
            (tmp_path / inner).write_bytes(body)
        path = tmp_path
    with pytest.raises(OnlookerError) as error:
        format_of(name).read(path, format_of(name).Options(), None, tmp_path / "space")
    assert str(tmp_path) in str(error.value)


def test_an_xml_that_defines_entities_is_refused(tmp_path):
    bomb = '<?xml version="1.0"?>\n<!DOCTYPE a [<!ENTITY x "y">]>\n<annotations>&x;</annotations>'
    (tmp_path / "bomb.xml").write_text(bomb)
    with pytest.raises(ConfigError, match=r"bomb.xml:2: a document type is not allowed"):
        format_of("cvat").read(tmp_path / "bomb.xml", format_of("cvat").Options(), None, tmp_path)


def test_errors_of_coco_name_the_place(tmp_path):
    whole = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 10, "height": 10}],
        "categories": [{"id": 1, "name": "dog"}],
        "annotations": [{"image_id": 1, "category_id": 7, "bbox": [0, 0, 1, 1]}],
    }
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(whole))
    with pytest.raises(ConfigError, match=r"coco.json: annotations.0: there is no category 7"):
        format_of("coco").read(path, format_of("coco").Options(), None, tmp_path)


def test_lists_of_ucf_hmdb_and_kinetics(fight_folder, tmp_path):
    clips = sorted(p.name for p in (fight_folder / "fight").iterdir())
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 fight\n2 noFight\n")
    (lists / "trainlist01.txt").write_text(f"fight/{clips[0]} 1\nfight/gone.mp4 1\n")
    (lists / "testlist01.txt").write_text(f"fight/{clips[1]}\n")
    ucf = imported(tmp_path / "ucf", "ucf", lists, media=fight_folder)
    assert [(s.split, s.labels["action"]) for s in ucf.samples] == [("test", "fight"), ("train", "fight")]
    assert ucf.info.tasks["action"].classes == ("fight", "noFight")

    (lists / "fight_test_split1.txt").write_text(f"{clips[0]} 1\n{clips[1]} 2\n{clips[2]} 0\n")
    hmdb = imported(tmp_path / "hmdb", "hmdb", lists, media=fight_folder)
    assert [s.split for s in hmdb.samples] == ["train", "test", None]
    (lists / "fight_test_split1.txt").write_text(f"{clips[0]} 5\n")
    with pytest.raises(ConfigError, match=r"fight_test_split1.txt:1: expected a video and 0, 1 or 2"):
        format_of("hmdb").read(lists, format_of("hmdb").Options(), fight_folder, tmp_path)

    stem = clips[0].removesuffix(".mp4")
    (lists / "val.csv").write_text(f"label,youtube_id,time_start,time_end,split\nfight,{stem},0.5,1.5,validate\n")
    kinetics = imported(tmp_path / "kinetics", "kinetics", lists, media=fight_folder)
    assert kinetics.samples[0].span == (0.5, 1.5)
    assert kinetics.samples[0].groups == {"source": stem}


def test_ucf_videos_of_one_group_have_one_source(tmp_path, fight_folder):
    clip = next((fight_folder / "fight").iterdir())
    for name in ("v_Run_g01_c01.mp4", "v_Run_g01_c02.mp4", "v_Run_g02_c01.mp4"):
        (tmp_path / "Run").mkdir(exist_ok=True)
        (tmp_path / "Run" / name).write_bytes(clip.read_bytes())
    (tmp_path / "trainlist01.txt").write_text(
        "".join(f"Run/{p.name} 1\n" for p in sorted((tmp_path / "Run").iterdir()))
    )
    made = format_of("ucf").read(tmp_path, format_of("ucf").Options(), None, tmp_path)
    assert [f.sample.groups["source"] for f in made.found] == ["Run_g01", "Run_g01", "Run_g02"]


REAL = {
    "fight_surv": ("csv", "labels.csv", {"labels": {"action": "label"}}, {}, 200),
    "esc10": (
        "csv", "labels.csv", {"media": "audio/{file}", "labels": {"sound": "label"}},
        {"groups": {"source": r"file~^\d-(\d+)-"}, "split": "fold{fold}"}, 320,
    ),
    "grid_av": ("csv", "transcripts.tsv", {"labels": {"words": "transcript:text"}}, {}, 7),
    "speech": ("csv", "transcripts.tsv", {"labels": {"words": "transcript:text"}}, {}, 6),
    "ocr": ("csv", "gt.json", {"media": "{key}", "labels": {"words": "value:text"}}, {}, 6),
    "ucsd_ped2": (
        "csv", "frame_gt.json",
        {"media": "test/{key}.mp4", "labels": {"odd": "abnormal_frames_1based_inclusive:spans"}, "unit": "frames1"},
        {}, 7,
    ),
    "lfw_multitask": (
        "csv", "labels.csv",
        {"media": "images/{file}", "labels": {"who": "identity:identity", "gender": "gender", "mood": "expression"}},
        {"groups": {"person": "{identity}"}}, 1211,
    ),
    "ravdess_speech": (
        "csv", "labels.csv", {"media": "audio/{file}", "labels": {"mood": "emotion", "gender": "gender"}},
        {"groups": {"person": "{actor}"}}, 540,
    ),
    "mot_pets09_s2l1": ("mot", ".", {"every": "50"}, {}, 10),
    "coco128": ("yolo", ".", {"labels": "object_detection_labels"}, {}, 128),
    "ckplus48": (
        "arrays", "ckplus48.npz", {"labels": {"mood": "labels"}, "classes": "classes"},
        {"groups": {"person": "{subjects}"}}, 729,
    ),
    "orl_faces": ("arrays", "orl.npz", {"labels": {"who": "ids:identity"}}, {"groups": {"person": "{ids}"}}, 300),
    "av_digits": (
        "arrays", "fsdd.npz",
        {"data": "audio", "form": "sound", "rate": "rate", "labels": {"digit": "digits"}, "limit": "50"},
        {"groups": {"person": "{speakers}"}}, 50,
    ),
    "cifar10": (
        "arrays", "test_jpeg.npz",
        {"data": "jpeg", "form": "encoded", "labels": {"object": "labels"}, "classes": "classes", "limit": "200"},
        {"split": "test"}, 200,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REAL)
def test_the_real_sets_are_taken(name, data, tmp_path):
    format, file, options, more, count = REAL[name]
    dataset = imported(tmp_path / name, format, data(name) / file, options, **more)
    assert len(dataset.samples) == count
    assert all(m.digest for s in dataset.samples for m in s.media)
    assert all(dataset.path(m).is_file() for s in dataset.samples for m in s.media)
    if more.get("groups"):
        assert all(s.groups for s in dataset.samples)


def test_spans_of_frames_from_one_are_seconds(data, tmp_path):
    format, file, options, more, _ = REAL["ucsd_ped2"]
    dataset = imported(tmp_path / "ped", format, data("ucsd_ped2") / file, options, **more)
    first = dataset.samples[0].labels["odd"][0]
    # frames 61 to 180 at 10 a second, counted from 1
    assert (first.start, first.end) == (6.0, 18.0)


def test_boxes_of_mot_lie_where_the_file_says(data, tmp_path):
    dataset = imported(tmp_path / "pets", "mot", data("mot_pets09_s2l1"))
    (sample,) = dataset.samples
    boxes = sample.labels["objects"]
    assert len(boxes) == 2712
    assert boxes[0].track == "9"
    assert [v * s for v, s in zip(boxes[0].box, (768, 576, 768, 576), strict=True)] == pytest.approx(
        [499.20, 157.69, 499.20 + 31.03, 157.69 + 75.17], abs=0.01
    )
    written = format_of("mot").write(dataset, dataset.samples, tmp_path / "out", format_of("mot").Options())
    rows = [[float(v) for v in line.split(",")[:6]] for line in written.files[0].read_text().splitlines()]
    truth = [
        [float(v) for v in line.split(",")[:6]] for line in data("mot_pets09_s2l1/gt/gt.txt").read_text().splitlines()
    ]
    assert len(rows) == len(truth)
    assert sorted(rows) == [pytest.approx(t, abs=0.01) for t in sorted(truth)]


def test_copied_media_lie_in_the_dataset(fight_folder, tmp_path):
    dataset = imported(tmp_path / "set", "folders", fight_folder, copy=True)
    assert dataset.info.root == "."
    assert all(dataset.path(s.media[0]).is_relative_to(tmp_path / "set") for s in dataset.samples)
    assert len(list((tmp_path / "set" / "media").rglob("*.mp4"))) == 12


def test_media_of_two_roots_do_not_mix(fights, media):
    with pytest.raises(UsageError, match=r"media of the dataset lie in .*a dataset of their own"):
        import_samples(fights, ImportRequest("folders", media, {"labelled": False}))
    assert len(Dataset.load(fights.folder).samples) == 12


def test_a_broken_medium_is_told_and_the_rest_taken(fight_folder, tmp_path):
    folder = tmp_path / "clips" / "fight"
    folder.mkdir(parents=True)
    (folder / "bad.mp4").write_bytes(b"no video at all")
    good = next((fight_folder / "fight").iterdir())
    (folder / "good.mp4").write_bytes(good.read_bytes())
    dataset = Dataset.create(tmp_path / "set", name="set")
    report = import_samples(dataset, ImportRequest("folders", tmp_path / "clips"))
    assert report.new == 1
    assert list(report.failures) == ["fight/bad.mp4"]


def test_label_studio_of_its_own_export(tmp_path, media):
    tasks = [
        {
            "id": 7,
            "data": {"image": "/data/upload/1/1a2b3c4d-one.jpg"},
            "annotations": [
                {
                    "result": [
                        {
                            "from_name": "things", "to_name": "image", "type": "rectanglelabels",
                            "value": {"x": 10, "y": 20, "width": 30, "height": 40, "rectanglelabels": ["dog"]},
                        },
                        {"from_name": "mood", "to_name": "image", "type": "choices", "value": {"choices": ["good"]}},
                    ]
                }
            ],
        },
        {
            "id": 8,
            "data": {"video": "/data/local-files/?d=somewhere/walk.mp4"},
            "annotations": [
                {
                    "result": [
                        {
                            "from_name": "events", "type": "timelinelabels",
                            "value": {"ranges": [{"start": 11, "end": 20}], "timelinelabels": ["fall"]},
                        }
                    ]
                }
            ],
        },
    ]  # fmt: skip
    path = tmp_path / "export.json"
    path.write_text(json.dumps(tasks))
    dataset = imported(tmp_path / "set", "label-studio", path, media=media)
    first, second = dataset.samples
    assert first.labels["mood"] == "good"
    assert first.labels["things"][0].box == (0.1, 0.2, 0.4, 0.6)
    assert (second.labels["events"][0].start, second.labels["events"][0].end) == (1.0, 2.0)
