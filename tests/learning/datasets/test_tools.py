"""Datasets as the tools that make them write them."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from learning.datasets.conftest import imported
from onlooker.core.errors import ConfigError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats import format_of
from onlooker.learning.datasets.importing import ImportRequest, import_samples


def put(media, place, name="one.jpg"):
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(media / name, place)
    return place


def read(name, path, media=None, **options):
    format = format_of(name)
    return format.read(path, format.Options(**options), media, path)


def splits(dataset):
    return {s.media[0].path: s.split for s in dataset.samples}


def test_yolo_of_ultralytics_says_the_splits_in_its_yaml(media, tmp_path):
    for name in ("train2017/a", "val2017/b", "more/c"):
        put(media, tmp_path / "images" / f"{name}.jpg")
    (tmp_path / "labels").mkdir()
    (tmp_path / "lists.txt").write_text("./images/more/c.jpg\n")
    (tmp_path / "data.yaml").write_text(
        "path: ../sets\ntrain: images/train2017\nval: [images/val2017]\ntest: lists.txt\nnames: {0: car, 5: bus}\n"
    )
    made = imported(tmp_path / "set", "yolo", tmp_path / "data.yaml")
    sides = {"images/train2017/a.jpg": "train", "images/val2017/b.jpg": "val", "images/more/c.jpg": "test"}
    assert splits(made) == sides
    assert made.info.tasks["objects"].classes == ("car", "bus")


def test_yolo_of_roboflow_has_pictures_and_labels_in_each_side(media, tmp_path):
    for side in ("train", "valid"):
        put(media, tmp_path / side / "images" / "a.jpg")
        (tmp_path / side / "labels").mkdir()
    (tmp_path / "train" / "labels" / "a.txt").write_text("1 0.5 0.5 0.2 0.4\n")
    (tmp_path / "data.yaml").write_text("train: ../train/images\nval: ../valid/images\nnc: 2\nnames: ['car', 'bus']\n")
    made = imported(tmp_path / "set", "yolo", tmp_path)
    assert splits(made) == {"train/images/a.jpg": "train", "valid/images/a.jpg": "val"}
    assert [(b.label, b.box) for b in made.samples[0].labels["objects"]] == [("bus", (0.4, 0.3, 0.6, 0.7))]
    assert made.samples[1].labels["objects"] == ()


def test_outlines_of_yolo_become_the_boxes_around_them(media, tmp_path):
    put(media, tmp_path / "images" / "a.jpg")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 0.1 0.2 0.5 0.2 0.5 0.6 0.3 0.9\n0 0.5 0.5 0.2 0.4 0.75\n")
    made = read("yolo", tmp_path)
    first, second = made.found[0].sample.labels["objects"]
    assert (first.box, first.score) == ((0.1, 0.2, 0.5, 0.9), None)
    assert (second.box, second.score) == ((0.4, 0.3, 0.6, 0.7), 0.75)
    assert made.left_out == {"outlines, of which the box is taken": 1}
    (tmp_path / "data.yaml").write_text("names: [person]\nkpt_shape: [2, 2]\n")
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 0.2 0.4 0.45 0.5 0.55 0.5\n")
    assert read("yolo", tmp_path).found[0].sample.labels["objects"][0].box == (0.4, 0.3, 0.6, 0.7)
    (tmp_path / "labels" / "a.txt").write_bytes(b"\xff\xfe0")
    with pytest.raises(ConfigError, match=r"labels/a.txt: box: .*codec"):
        read("yolo", tmp_path)


def test_two_pictures_of_one_name_do_not_write_one_yolo_file(media, tmp_path):
    put(media, tmp_path / "images" / "a.jpg")
    put(media, tmp_path / "images" / "a.jpeg", "two.jpg")
    (tmp_path / "labels").mkdir()
    made = imported(tmp_path / "set", "yolo", tmp_path)
    done = format_of("yolo").write(made, made.samples, tmp_path / "out", format_of("yolo").Options())
    assert (done.samples, +done.left_out) == (2, {})
    assert sorted(p.name for p in (tmp_path / "out" / "labels").iterdir()) == ["a-2.txt", "a.txt"]
    assert sorted(p.name for p in (tmp_path / "out" / "images").iterdir()) == ["a-2.jpg", "a.jpeg"]


def test_splits_come_back_from_yolo(media, tmp_path):
    for name in ("a", "b", "c"):
        put(media, tmp_path / "images" / f"{name}.jpg")
    (tmp_path / "labels").mkdir()
    made = imported(tmp_path / "set", "yolo", tmp_path)
    sides = zip(made.samples, ("train", "val", None), strict=True)
    made.put([s.model_copy(update={"split": split}) for s, split in sides])
    format_of("yolo").write(made, made.samples, tmp_path / "out", format_of("yolo").Options())
    again = imported(tmp_path / "again", "yolo", tmp_path / "out", media=tmp_path)
    assert splits(again) == {"images/a.jpg": "train", "images/b.jpg": "val", "images/c.jpg": None}


def test_kinetics_as_it_is_published(media, tmp_path):
    put(media, tmp_path / "val" / "-ab_c_000010_000020.mp4", "walk.mp4")
    put(media, tmp_path / "val" / "-ab_c_000010_000020.webp", "one.jpg")
    put(media, tmp_path / "whole.mp4", "walk.mp4")
    head = "label,youtube_id,time_start,time_end,split,is_cc\r\n"
    rows = '"shaking hands, twice",-ab_c,10,20,validate,0\r\nrun,whole,0,2,train,0\r\nwalk,whole,2,4,train,0\r\n'
    (tmp_path / "kinetics.csv").write_text(head + rows)
    made = imported(tmp_path / "set", "kinetics", tmp_path / "kinetics.csv")
    assert [(s.id, s.split, s.labels["action"]) for s in made.samples] == [
        ("val/-ab_c_000010_000020.mp4", "val", "shaking hands, twice"),
        ("whole.mp4#0-2", "train", "run"),
        ("whole.mp4#2-4", "train", "walk"),
    ]


def test_a_clip_that_is_listed_twice_costs_itself_only(media, tmp_path):
    for name in ("abc", "def"):
        put(media, tmp_path / f"{name}_000010_000020.mp4", "walk.mp4")
    row, other = "walk,abc,10,20,train\n", "walk,def,10,20,train\n"

    def listed(*rows):
        (tmp_path / "train.csv").write_text("label,youtube_id,time_start,time_end,split\n" + "".join(rows))
        made = read("kinetics", tmp_path / "train.csv")
        return [(f.sample.media[0].path[:3], f.sample.labels["action"]) for f in made.found], dict(+made.left_out)

    assert listed(row, row, other) == ([("abc", "walk"), ("def", "walk")], {"listed twice": 1})
    # of what it says two things, neither is guessed at
    for unlike in (row.replace("walk", "run"), row.replace("train", "validate")):
        assert listed(row, unlike, other) == ([("def", "walk")], {"listed with several labels or splits": 1})
    with pytest.raises(ConfigError, match=r"train.csv: no video of the lists has one label and one split"):
        listed(row, unlike)


@pytest.mark.parametrize("listed", ["../out.avi", "{root}/out.avi"])
def test_a_list_that_leads_out_of_its_folder_is_refused_in_words(listed, media, tmp_path):
    put(media, tmp_path / "out.avi", "walk.mp4")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "trainlist01.txt").write_text(listed.format(root=tmp_path) + " 1\n")
    with pytest.raises(ConfigError, match=r"lists: listed video: path: expected a path inside"):
        read("ucf", tmp_path / "lists")


def test_activitynet_takes_the_video_and_not_its_picture(media, tmp_path):
    put(media, tmp_path / "v_one.jpg")
    put(media, tmp_path / "v_one.mp4", "walk.mp4")
    video = {"subset": "validation", "annotations": [{"label": "fall", "segment": [1.0, 2.5]}], "duration": 18.0}
    (tmp_path / "net.json").write_text(json.dumps({"version": "1.3", "database": {"one": video}}))
    (sample,) = imported(tmp_path / "set", "activitynet", tmp_path / "net.json").samples
    assert (sample.media[0].kind, sample.split, sample.labels["events"][0].end) == ("video", "val", 2.5)


def test_a_segment_that_ends_before_it_starts_costs_itself_only(media, tmp_path):
    put(media, tmp_path / "one.mp4", "walk.mp4")
    notes = [{"label": "fall", "segment": s} for s in ([3.0, 1.0], [1.0, 2.5], [2.0, 2.0])]
    (tmp_path / "net.json").write_text(json.dumps({"database": {"one": {"subset": "training", "annotations": notes}}}))
    made = read("activitynet", tmp_path / "net.json")
    assert [(s.start, s.end) for s in made.found[0].sample.labels["events"]] == [(1.0, 2.5), (2.0, 2.0)]
    assert +made.left_out == {"segments that end before they start": 1}


def test_files_whose_names_no_manifest_can_hold_are_counted(media, tmp_path):
    for name in (b"a/good \n-1.jpg", b"a/\xe9.jpg", b"a/b\\c.jpg"):
        put(media, tmp_path / os.fsdecode(name))
    made = read("folders", tmp_path)
    assert [f.sample.id for f in made.found] == ["a/good \n-1.jpg"]
    assert made.left_out == {"names that are not UTF-8 or have a backslash": 2}


def test_mot_of_2015_has_a_place_in_the_world_and_no_class(media, tmp_path):
    put(media, tmp_path / "walk.mp4", "walk.mp4")
    (tmp_path / "gt").mkdir()
    (tmp_path / "gt" / "gt.txt").write_text("1,1,10,20,30,40,1,3.21,-5.5,0\n2,1,11,20,30,40,1,12.9,-5.4,0\n")
    (tmp_path / "seqinfo.ini").write_text("[Sequence]\nname=a\nframeRate=10\nseqLength=2\nimWidth=360\nimHeight=240\n")
    made = read("mot", tmp_path)
    assert made.tasks["objects"].classes == ("person",)
    (tmp_path / "walk.mp4").unlink()
    put(media, tmp_path / "img1" / "000001.jpg")
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(ConfigError, match=r"media: .*is not in the subpath"):
        read("mot", tmp_path, tmp_path / "elsewhere")


def test_turned_boxes_and_outlines_of_cvat(media, tmp_path):
    box = '<box label="car" xtl="100" ytl="100" xbr="300" ybr="200" rotation="90.00" occluded="0" source="manual"/>'
    images = (
        f'<image id="0" name="one.jpg" width="400" height="400">{box}<polygon label="car" points="1,1;2,2"/></image>'
    )
    (tmp_path / "images.xml").write_text(f"<annotations><version>1.1</version>{images}</annotations>")
    made = read("cvat", tmp_path / "images.xml", media)
    assert [b.box for b in made.found[0].sample.labels["objects"]] == [
        (0.375, 0.125, 0.625, 0.625), (0.0025, 0.0025, 0.005, 0.005),
    ]  # fmt: skip
    assert made.left_out["outlines, of which the box is taken"] == 1
    size = "<original_size><width>360</width><height>240</height></original_size><source>walk.mp4</source>"
    head = f"<meta><task>{size}</task></meta>"
    track = '<track id="0" label="car"><polygon frame="0" keyframe="1" outside="0" points="36,24;72,48;36,48"/></track>'
    (tmp_path / "video.xml").write_text(f"<annotations>{head}{track}</annotations>")
    made = read("cvat", tmp_path / "video.xml", media)
    assert [(b.box, b.at, b.track) for b in made.found[0].sample.labels["objects"]] == [((0.1, 0.1, 0.2, 0.2), 0, "0")]


def studio(name, results, **more):
    return {
        "id": 1,
        "data": {"image": f"/data/upload/3/{name}"},
        "annotations": [{"result": r} for r in results],
        **more,
    }


def choice(label):
    return {"from_name": "mood", "to_name": "image", "type": "choices", "value": {"choices": [label]}}


def test_turned_rectangles_and_second_opinions_of_label_studio(media, tmp_path):
    value = {"x": 50, "y": 10, "width": 20, "height": 10, "rotation": 90, "rectanglelabels": ["dog"]}
    turned = {
        "from_name": "things",
        "type": "rectanglelabels",
        "value": value,
        "original_width": 200,
        "original_height": 100,
    }
    task = studio("one.jpg", [[choice("bad")], [choice("good"), turned], [choice("odd")]])
    task["annotations"][1]["ground_truth"] = True
    (tmp_path / "out.json").write_text(json.dumps([task]))
    made = read("label-studio", tmp_path / "out.json", media)
    labels = made.found[0].sample.labels
    assert labels["mood"] == "good"
    assert labels["things"][0].box == pytest.approx((0.45, 0.1, 0.5, 0.5))
    assert made.left_out["annotations of a task besides its true or last one"] == 2


def test_a_missing_picture_of_label_studio_costs_itself_only(media, tmp_path):
    tasks = [studio("gone.jpg", [[choice("bad")]]), {**studio("one.jpg", [[choice("good")]]), "id": 2}]
    (tmp_path / "out.json").write_text(json.dumps(tasks))
    report = import_samples(
        Dataset.create(tmp_path / "set", name="set"),
        ImportRequest("label-studio", tmp_path / "out.json", media=media),
    )
    assert (report.new, list(report.failures)) == (1, ["data/upload/3/gone.jpg"])


def test_a_persons_word_outlives_proposals_and_silence(media, tmp_path):
    def take(dataset, task):
        (tmp_path / "out.json").write_text(json.dumps([task]))
        import_samples(dataset, ImportRequest("label-studio", tmp_path / "out.json", media=media))
        return dataset.samples[0]

    proposal = studio("one.jpg", [], predictions=[{"result": [choice("bad")]}])
    dataset = Dataset.create(tmp_path / "set", name="set")
    assert take(dataset, proposal).status == "proposed"
    # a task that nobody looked at comes back as it went
    sample = take(dataset, studio("one.jpg", [], predictions=[]))
    assert (sample.status, sample.labels) == ("proposed", {"mood": "bad"})
    rating = {"from_name": "grade", "type": "number", "value": {"number": 4}}
    sample = take(dataset, studio("one.jpg", [[rating]]))
    assert (sample.status, sample.labels) == ("labelled", {"grade": 4.0})
    take(dataset, studio("one.jpg", [[choice("good")]]))
    sample = take(dataset, proposal)
    assert (sample.status, sample.labels) == ("labelled", {"grade": 4.0, "mood": "good"})
