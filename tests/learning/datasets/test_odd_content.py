"""Files of annotations with odd content: nothing is taken for what it does not say, and errors are in words."""

from __future__ import annotations

import json
import shutil

import pytest

from onlooker.cli.main import main
from onlooker.core.errors import ConfigError
from onlooker.learning.datasets.formats import format_of, options_of

IMAGE = {"id": 1, "file_name": "one.jpg", "width": 640, "height": 480}
NOTE = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5]}
DOGS = [{"id": 1, "name": "dog"}]


def read(name, path, media=None):
    format = format_of(name)
    return format.read(path, format.Options(), media, path)


WHOLE = {"images": [IMAGE], "annotations": [NOTE], "categories": DOGS}
NAN = float("nan")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"images": [IMAGE, {**IMAGE, "file_name": "two.jpg"}]}, r"images.1: the id 1 is that of another image"),
        ({"images": [IMAGE, 3]}, r"images.1: expected an object, got 3"),
        ({"images": [None]}, r"images.0: expected an object, got None"),
        ({"images": [{**IMAGE, "id": [1]}]}, r"images.0: id: expected a number or a text, got \[1\]"),
        ({"images": [{**IMAGE, "id": {"a": 1}}]}, r"images.0: id: expected a number or a text, got {'a': 1}"),
        ({"images": [{**IMAGE, "file_name": 3}]}, r"images.0: file_name: expected a text, got 3"),
        ({"images": [{**IMAGE, "width": None}]}, r"annotations.0: its image: width and height: .*got None, 480"),
        ({"images": [{**IMAGE, "width": NAN}]}, r"annotations.0: its image: width and height: .*got nan, 480"),
        ({"images": [{**IMAGE, "width": "640"}]}, r"annotations.0: its image: width and height: .*got '640', 480"),
        ({"categories": 3}, r"categories: expected a list, got 3"),
        ({"categories": {"id": 1, "name": "dog"}}, r"categories: expected a list, got {'id': 1, 'name': 'dog'}"),
        ({"categories": ["dog"]}, r"categories.0: expected an object, got 'dog'"),
        ({"categories": [{"id": [1], "name": "dog"}]}, r"categories.0: id: expected a number or a text, got \[1\]"),
        ({"categories": [{"id": 1, "name": ["dog"]}]}, r"categories.0: name: expected a number or a text, got"),
        ({"annotations": {"1": NOTE, "2": NOTE}}, r"annotations: expected a list, got {'1': {'id': 1, .*\.\.\.$"),
        ({"annotations": "none"}, r"annotations: expected a list, got 'none'"),
        ({"annotations": [NOTE, 7]}, r"annotations.1: expected an object, got 7"),
        ({"annotations": [NOTE, "x"]}, r"annotations.1: expected an object, got 'x'"),
        ({"annotations": [None]}, r"annotations.0: expected an object, got None"),
    ],
)
def test_coco_that_does_not_fit_is_refused_in_words(changed, expected, media, tmp_path):
    path = tmp_path / "coco.json"
    path.write_text(json.dumps({**WHOLE, **changed}))
    with pytest.raises(ConfigError, match=f"coco.json: {expected}"):
        read("coco", path, media)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"image_id": [1]}, r"image_id: expected a number or a text, got \[1\]"),
        ({"category_id": {}}, r"category_id: expected a number or a text, got {}"),
        ({"bbox": [1, 2, 3]}, r"bbox: expected 4 numbers, got \[1, 2, 3\]"),
        ({"bbox": [1, "2", 3, 4]}, r"bbox: expected 4 numbers, got \[1, '2', 3, 4\]"),
        ({"bbox": [1, None, 3, 4]}, r"bbox: expected 4 numbers, got \[1, None, 3, 4\]"),
        ({"bbox": [1, NAN, 3, 4]}, r"bbox: expected 4 numbers, got \[1, nan, 3, 4\]"),
        ({"bbox": [1, 10**400, 3, 4]}, r"bbox: expected 4 numbers, got \[1, 1000"),
        ({"bbox": "1 2 3 4"}, r"bbox: expected 4 numbers, got '1 2 3 4'"),
        ({"bbox": {"x": 1}}, r"bbox: expected 4 numbers, got {'x': 1}"),
        ({"attributes": ["a"]}, r"attributes: expected an object, got \['a'\]"),
        ({"score": "high"}, r"score: .*number"),
        ({"caption": 3}, r"caption: expected a text, got 3"),
    ],
)
def test_notes_of_coco_that_do_not_fit_are_refused_in_words(changed, expected, media, tmp_path):
    path = tmp_path / "coco.json"
    path.write_text(json.dumps({**WHOLE, "annotations": [{**NOTE, "caption": "a"}, {**NOTE, **changed}]}))
    if "caption" not in changed:
        path.write_text(json.dumps({**WHOLE, "annotations": [NOTE, {**NOTE, **changed}]}))
    with pytest.raises(ConfigError, match=f"coco.json: annotations.1: {expected}"):
        read("coco", path, media)


@pytest.mark.parametrize("kept", [{"media": 3}, {"media": [3]}])
def test_what_coco_keeps_of_a_sample_is_checked(kept, media, tmp_path):
    path = tmp_path / "coco.json"
    ours = {"sample": "one", "split": None, "groups": {}}
    path.write_text(json.dumps({**WHOLE, "images": [{**IMAGE, **ours, **kept}]}))
    with pytest.raises(ConfigError, match=r"coco.json: images.0: media: expected a list of paths, got \[?3"):
        read("coco", path, media)


def test_a_number_that_is_too_long_for_json_is_told(tmp_path):
    path = tmp_path / "coco.json"
    path.write_text('{"images": [], "size": ' + "9" * 5000 + "}")
    with pytest.raises(ConfigError, match=r"coco.json: not JSON: .*too long"):
        read("coco", path)


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


WALKED = "1,7,1,1,5,5,1,1,1\n"
SEQUENCE = {"name": "x", "frameRate": "10", "seqLength": "20", "imWidth": "360", "imHeight": "240"}


def mot(media, folder, rows=WALKED, head="[Sequence]\n", **facts):
    (folder / "gt").mkdir()
    said = "".join(f"{k}={v}\n" for k, v in {**SEQUENCE, **facts}.items() if v is not None)
    (folder / "seqinfo.ini").write_text(head + said)
    (folder / "gt" / "gt.txt").write_text(rows)
    shutil.copy(media / "walk.mp4", folder / "walk.mp4")
    return folder


def test_one_track_of_mot_by_two_spellings_of_its_number_is_one(media, tmp_path):
    made = read("mot", mot(media, tmp_path, "1,7.00,1,1,5,5,1,1,1\n2, 7,1,1,5,5,1,1,1\n3,-1.0,1,1,5,5,1,1,1\n"))
    assert [b.track for b in made.found[0].sample.labels["objects"]] == ["7", "7", None]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("1,1,1\n", r"gt.txt:1: row: expected at least 6 columns, got 3"),
        ("1,1,1,one,5,5,1,1,1\n", r"gt.txt:1: row: top: expected a number, got 'one'"),
        ("1,1,1,nan,5,5,1,1,1\n", r"gt.txt:1: row: top: expected a number, got 'nan'"),
        ("1e12,1,1,1,5,5,1,1,1\n", r"gt.txt:1: row: frames count from 1 to 999999999, got 1000000000000"),
        ("1e400,1,1,1,5,5,1,1,1\n", r"gt.txt:1: row: frame: expected a number, got '1e400'"),
        ("1,1,1,1,5,5,1,x,1\n", r"gt.txt:1: row: class: expected a number, got 'x'"),
    ],
)
def test_rows_of_mot_that_do_not_fit_are_refused_in_words(rows, expected, media, tmp_path):
    with pytest.raises(ConfigError, match=expected):
        read("mot", mot(media, tmp_path, rows))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"seqLength": "many"}, r"seqlength: expected a number.* got 'many'"),
        *[
            ({"frameRate": rate}, f"framerate: no video has {rate} frames a second")
            for rate in ("1e999", "1e9999999999")
        ],
        *[
            ({"frameRate": rate}, f"framerate: no video has {rate} frames a second")
            for rate in ("inf", "nan", "0", "-25")
        ],
        *[
            ({"frameRate": rate}, f"framerate: no video has {rate} frames a second")
            for rate in ("1e-300", "1e9", "1e-9")
        ],
        ({"frameRate": "fast"}, r"framerate: expected a number, got 'fast'"),
        ({"frameRate": "25/0"}, r"framerate: expected a number, got '25/0'"),
        ({"frameRate": None}, r"framerate is missing"),
        ({"imWidth": "1e999"}, r"imwidth: no picture has 1e999 pixels"),
        ({"imHeight": "nan"}, r"imheight: no picture has nan pixels"),
    ],
)
def test_facts_of_mot_that_do_not_fit_are_refused_in_words(facts, expected, media, tmp_path):
    with pytest.raises(ConfigError, match=f"seqinfo.ini: {expected}"):
        read("mot", mot(media, tmp_path, **facts))


def test_a_video_of_mot_that_lies_elsewhere_than_the_media_is_told(media, tmp_path):
    with pytest.raises(ConfigError, match=r"its video walk.mp4 is not below .*--media"):
        read("mot", mot(media, tmp_path), media)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("", r"seqinfo.ini:1: expected a line \[Sequence\] above the values \(put it first\)"),
        ("[Sequence]\nsome words\n", r"seqinfo.ini:2: expected NAME=VALUE, got 'some words' \(one value a line\)"),
        ("[Sequence]\nname=y\n", r"seqinfo.ini:3: 'name' is there twice \(remove one\)"),
        ("[Sequence]\n[Sequence]\n", r"seqinfo.ini:2: 'Sequence' is there twice \(remove one\)"),
    ],
)
def test_a_seqinfo_of_another_form_is_refused_in_one_line(head, expected, media, tmp_path):
    with pytest.raises(ConfigError, match=expected) as refused:
        read("mot", mot(media, tmp_path, head=head))
    assert "\n" not in str(refused.value)


def test_a_sequence_without_its_facts_says_how_to_write_them(media, tmp_path):
    folder = mot(media, tmp_path)
    (folder / "seqinfo.ini").unlink()
    with pytest.raises(ConfigError, match=r"there is no .*seqinfo.ini \(write it: \[Sequence\], frameRate=25, imWidth"):
        read("mot", folder)
    (folder / "seqinfo.ini").write_text("[Sequence]\nframeRate=25\nimWidth=1920\nimHeight=1080\n")
    assert len(read("mot", folder).found) == 1


def test_a_sequence_without_a_length_is_as_long_as_its_boxes(media, tmp_path):
    made = read("mot", mot(media, tmp_path, WALKED + "13,7,1,1,5,5,1,1,1\n", seqLength="0"))
    assert made.found[0].sample.span == (0.0, 1.3)
    made = format_of("mot").read(tmp_path, options_of(format_of("mot"), {"every": "6"}), None, tmp_path)
    assert [f.sample.at for f in made.found] == [0.0, 0.6, 1.2]


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
