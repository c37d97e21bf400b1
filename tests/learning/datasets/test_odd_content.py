"""Files of annotations with odd content: nothing is taken for what it does not say, and errors are in words."""

from __future__ import annotations

import json
import shutil

import pytest

from onlooker.cli.main import main
from onlooker.core.errors import ConfigError
from onlooker.learning.datasets.formats import format_of

IMAGE = {"id": 1, "file_name": "one.jpg", "width": 640, "height": 480}
NOTE = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5]}
DOGS = [{"id": 1, "name": "dog"}]


def read(name, path, media=None):
    format = format_of(name)
    return format.read(path, format.Options(), media, path)


@pytest.mark.parametrize(
    ("images", "notes", "expected"),
    [
        ([IMAGE, {**IMAGE, "file_name": "two.jpg"}], [NOTE], r"images.1: the id 1 is that of another image"),
        ([{**IMAGE, "width": None}], [NOTE], r"annotations.0: .*width and height.*None"),
        ([IMAGE], [{**NOTE, "bbox": [1, 2, 3]}], r"annotations.0: bbox: expected 4 numbers, got \[1, 2, 3\]"),
    ],
)
def test_coco_that_does_not_fit_is_refused_in_words(images, notes, expected, media, tmp_path):
    path = tmp_path / "coco.json"
    path.write_text(json.dumps({"images": images, "annotations": notes, "categories": DOGS}))
    with pytest.raises(ConfigError, match=expected):
        read("coco", path, media)


def yolo(media, folder, line, names):
    (folder / "images").mkdir()
    (folder / "labels").mkdir()
    shutil.copy(media / "one.jpg", folder / "images" / "one.jpg")
    (folder / "labels" / "one.txt").write_text(line)
    (folder / "data.yaml").write_text(names)
    return folder


@pytest.mark.parametrize(
    ("line", "names", "expected"),
    [
        ("0 .5 .5 .1 .1\n", "names: dog\n", r"data.yaml: names: expected a list .*got 'dog'"),
        ("0 .5 .5 .1 .1\n", "names: [dog]\ntrain: 3\n", r"data.yaml: train: expected .*got 3"),
        ("0 .5 .5\n", "names: [dog]\n", r"one.txt:1: box: expected a class and at least 4 numbers, got '0 .5 .5'"),
        ("0,.5,.5,.1,.1\n", "names: [dog]\n", r"one.txt:1: box: expected a class and .*got '0,.5,.5,.1,.1'"),
    ],
)
def test_yolo_that_does_not_fit_is_refused_in_words(line, names, expected, media, tmp_path):
    with pytest.raises(ConfigError, match=expected):
        read("yolo", yolo(media, tmp_path, line, names))


def test_numbers_of_yolo_classes_may_have_a_point(media, tmp_path):
    made = read("yolo", yolo(media, tmp_path, "0.000e+00 .5 .5 .1 .1\n", "names: [dog]\n"))
    assert made.found[0].sample.labels["objects"][0].label == "dog"


def mot(media, folder, rows, length="20"):
    (folder / "gt").mkdir()
    head = f"[Sequence]\nname=x\nframeRate=10\nseqLength={length}\nimWidth=360\nimHeight=240\n"
    (folder / "seqinfo.ini").write_text(head)
    (folder / "gt" / "gt.txt").write_text(rows)
    shutil.copy(media / "walk.mp4", folder / "walk.mp4")
    return folder


def test_one_track_of_mot_by_two_spellings_of_its_number_is_one(media, tmp_path):
    made = read("mot", mot(media, tmp_path, "1,7.00,1,1,5,5,1,1,1\n2, 7,1,1,5,5,1,1,1\n3,-1.0,1,1,5,5,1,1,1\n"))
    assert [b.track for b in made.found[0].sample.labels["objects"]] == ["7", "7", None]


@pytest.mark.parametrize(
    ("rows", "length", "expected"),
    [
        ("1,1,1\n", "20", r"gt.txt:1: row: expected at least 6 columns, got 3"),
        ("1,1,1,1,5,5,1,1,1\n", "many", r"seqinfo.ini: seqlength: expected a number.* got 'many'"),
    ],
)
def test_mot_that_does_not_fit_is_refused_in_words(rows, length, expected, media, tmp_path):
    with pytest.raises(ConfigError, match=expected):
        read("mot", mot(media, tmp_path, rows, length))


@pytest.mark.parametrize(
    ("format", "content"), [("coco", '{"images": [], "annotations": [], "categories": []}'), ("label-studio", "[]")]
)
def test_a_file_without_a_sample_is_no_import(format, content, tmp_path, capsys):
    path = tmp_path / "empty.json"
    path.write_text(content)
    with pytest.raises(SystemExit) as ended:
        main(["dataset", "import", format, str(path), "--into", str(tmp_path / "set"), "--json"])
    assert ended.value.code == 1
    assert "empty.json: there is no sample in it" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


CHOICE = {"from_name": "what", "to_name": "i", "type": "choices", "value": {"choices": ["dog"]}}
BOX = {"from_name": "where", "to_name": "i", "type": "rectanglelabels", "original_width": 640, "original_height": 480}
PLACE = {"x": 1, "y": 1, "width": 9, "height": 9}


def labelled(*results):
    return {"data": {"image": "one.jpg"}, "annotations": [{"result": list(results)}]}


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (None, "task 0: it: expected an object, got None"),
        ({"data": 7, "annotations": []}, "data: expected an object, got 7"),
        (labelled({**CHOICE, "from_name": None}), "result.0.from_name: expected a name, got None"),
        (labelled(CHOICE, {**CHOICE, "value": None}), "result.1.value: expected an object, got None"),
        ({"data": {"image": "one.jpg"}, "annotations": 3}, "annotations: expected a list, got 3"),
    ],
)
def test_label_studio_that_does_not_fit_is_refused_in_words(task, expected, media, tmp_path):
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps([task]))
    with pytest.raises(ConfigError, match=expected):
        read("label-studio", path, media)


def test_regions_without_a_label_are_counted(media, tmp_path):
    path = tmp_path / "tasks.json"
    bare = {**BOX, "value": {**PLACE, "rectanglelabels": []}}
    path.write_text(json.dumps([labelled(bare, {**BOX, "value": {**PLACE, "rectanglelabels": ["dog"]}}, CHOICE)]))
    made = read("label-studio", path, media)
    assert made.left_out["regions and choices without a label"] == 1
    (found,) = made.found
    assert found.sample.labels["what"] == "dog"
    assert [b.label for b in found.sample.labels["where"]] == ["dog"]


def test_a_video_of_activitynet_that_is_none_is_told(media, tmp_path):
    path = tmp_path / "net.json"
    path.write_text('{"database": {"v": null}}')
    with pytest.raises(ConfigError, match=r"database.v: expected an object, got None"):
        read("activitynet", path, media)
