"""CVAT's files: projects of several videos as CVAT writes them, and files with odd content."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cli.sample_library import run
from learning.datasets.conftest import imported
from onlooker.core.errors import ConfigError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats import format_of, options_of
from onlooker.learning.datasets.importing import ImportRequest, import_samples

SIZE = "<original_size><width>360</width><height>240</height></original_size>"


def read(path, media=None, **options):
    format = format_of("cvat")
    return format.read(path, options_of(format, options), media, path)


def box(frame, left="36", more='outside="0"'):
    return f'<box frame="{frame}" {more} xtl="{left}" ytl="24" xbr="180" ybr="120"/>'


def track(number, boxes, more=""):
    return f'<track id="{number}" label="person" {more}>{boxes}</track>'


def xml_of(folder, body, meta=""):
    path = folder / "annotations.xml"
    path.write_text(f"<annotations><version>1.1</version><meta>{meta}</meta>{body}</annotations>")
    return path


def one_video(folder, body, size=SIZE):
    return xml_of(folder, body, f"<task><id>3</id>{size}<source>walk.mp4</source></task>")


def task(number, source, subset="default", size=100, start=0, stop=None, step=None):
    """A task in the meta part of a project, with what `TaskData.meta_for_task` of CVAT writes."""
    stop = start + (size - 1) * (step or 1) if stop is None else stop
    rate = f"<frame_filter>step={step}</frame_filter>" if step else "<frame_filter></frame_filter>"
    return (
        f"<task><id>{number}</id><name>t</name><size>{size}</size><mode>interpolation</mode><subset>{subset}</subset>"
        f"<start_frame>{start}</start_frame><stop_frame>{stop}</stop_frame>{rate}"
        + (f"{SIZE}<source>{source}</source>" if source else "")
        + "</task>"
    )


def project(folder, tasks, body):
    labels = "<labels><label><name>person</name><type>rectangle</type></label></labels>"
    return xml_of(folder, body, f"<project><id>1</id><tasks>{''.join(tasks)}</tasks>{labels}</project>")


@pytest.fixture
def films(media, tmp_path):
    """Three videos of ten frames a second."""
    folder = tmp_path / "films"
    folder.mkdir()
    for name in ("a", "b", "c"):
        shutil.copy(media / "walk.mp4", folder / f"{name}.mp4")
    return folder


def test_tasks_of_a_project_are_videos_of_their_own(films, tmp_path):
    tasks = [task(4, "a.mp4", "Train"), task(7, "b.mp4", "Train", size=30, start=10, step=2), task(5, "c.mp4", "val")]
    body = (
        track(0, box(0) + box(1) + box(2, more='outside="1"'), 'task_id="4" subset="Train"')
        # frames of later tasks of a subset follow those of earlier ones: 100, then 70 of b.mp4
        + track(1, box(110) + box(112), 'task_id="7" subset="Train"')
        + track(2, box(5, left="72"), 'task_id="5" subset="val"')
    )
    made = imported(tmp_path / "set", "cvat", project(tmp_path, tasks, body), media=films)
    assert {s.id: (s.split, s.span) for s in made.samples} == {
        "a.mp4": ("train", None), "b.mp4": ("train", None), "c.mp4": ("val", None),
    }  # fmt: skip
    held = {s.id: [(b.at, b.track, b.box[0]) for b in s.labels["objects"]] for s in made.samples}
    assert held == {
        "a.mp4": [(0.0, "0", 0.1), (0.1, "0", 0.1)],
        "b.mp4": [(1.0, "1", 0.1), (1.2, "1", 0.1)],
        "c.mp4": [(0.5, "2", 0.2)],
    }
    assert made.info.tasks["objects"].classes == ("person",)


def test_tasks_of_one_video_are_its_parts(films, tmp_path):
    tasks = [task(4, "a.mp4", size=50), task(5, "a.mp4", size=50, start=50)]
    body = track(0, box(7), 'task_id="4"') + track(1, box(105), 'task_id="5"')
    made = imported(tmp_path / "set", "cvat", project(tmp_path, tasks, body), media=films)
    assert {s.id: s.span for s in made.samples} == {"a.mp4#0-5": (0, 5), "a.mp4#5-10": (5, 10)}
    assert [b.at for s in made.samples for b in s.labels["objects"]] == [0.7, 5.5]


def test_what_a_project_has_besides_videos_is_told(films, tmp_path):
    path = project(
        tmp_path,
        [task(1, None, size=2), task(2, "a.mp4"), task(3, "b.mp4")],
        track(0, box(0), 'task_id="1"') + track(1, box(3), 'task_id="2"'),
    )
    dataset = Dataset.create(tmp_path / "set", name="set")
    report = import_samples(dataset, ImportRequest("cvat", path, media=films))
    assert {s.id: [b.at for b in s.labels["objects"]] for s in dataset.samples} == {"a.mp4": [0.1], "b.mp4": []}
    assert report.as_dict()["left_out"] == {"tracks of tasks without a video": 1}
    assert report.notes == ["taken as videos in which nothing is: b.mp4"]


TWO = [task(1, "a.mp4"), task(2, "b.mp4")]


@pytest.mark.parametrize(
    ("tasks", "more", "expected"),
    [
        (TWO, "", r":1: track: 'task_id' is missing"),
        (TWO, 'task_id="9"', r":1: track: task_id: the project has no task '9'"),
        (TWO, 'task_id="2"', r":1: box: frame: expected one of its task, 100 to 199"),
        (
            [TWO[0].replace("<size>100", "<size>many"), TWO[1]],
            'task_id="2"',
            r"task: size: expected .*got 'many'",
        ),
        ([task(1, None)], 'task_id="1"', r"the XML does not name its video"),
    ],
)
def test_a_project_that_does_not_fit_is_refused_in_words(tasks, more, expected, films, tmp_path):
    path = project(tmp_path, tasks, track(0, box(3), more))
    with pytest.raises(ConfigError, match=f"annotations.xml.*{expected}"):
        read(path, films)


def test_a_video_that_is_named_is_that_of_one_task(films, tmp_path):
    body = track(0, box(3), 'task_id="1"')
    made = read(project(tmp_path, [task(1, "lost.mp4")], body), films, video="c.mp4")
    assert made.found[0].sample.id == "c.mp4"
    with pytest.raises(ConfigError, match=r"annotations.xml: it has 2 videos.*leave out --set video"):
        read(project(tmp_path, TWO, body), films, video="c.mp4")


@pytest.mark.parametrize("meta", ["", "<task><labels><label><name>dog</name></label></labels></task>"])
def test_a_file_without_images_and_tracks_is_told(meta, tmp_path, capsys):
    path = xml_of(tmp_path, "", meta)
    assert run("dataset", "import", "cvat", str(path), "--into", str(tmp_path / "set")) == 1
    assert "annotations.xml: there are no images and no tracks in it" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


def test_a_video_without_tracks_is_one_in_which_nothing_is_and_that_is_said(media, tmp_path):
    made = read(one_video(tmp_path, "", size=""), media)
    assert [f.sample.labels for f in made.found] == [{"objects": ()}]
    assert made.notes == ["taken as videos in which nothing is: walk.mp4"]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("", "original_size is missing"),
        ("<original_size/>", "original_size: width is missing"),
        ("<original_size><width/><height>240</height></original_size>", "width: expected pixels, got ''"),
        (SIZE.replace("360", "null"), "original_size: width: expected pixels, got 'null'"),
        (SIZE.replace("240", "0"), "original_size: height: expected pixels, got '0'"),
        (SIZE.replace("240", "nan"), "original_size: height: expected pixels, got 'nan'"),
    ],
)
def test_a_size_that_is_none_is_refused_in_words(size, expected, media, tmp_path):
    with pytest.raises(ConfigError, match=rf"annotations.xml.*{expected}.*width and height of the video"):
        read(one_video(tmp_path, track(0, box(3)), size), media)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (track(0, box(-3)), "box: frame: expected a whole number from 0, got '-3'"),
        (track(0, box("x")), "box: frame: expected a whole number from 0, got 'x'"),
        (track(0, box("1.5")), "box: frame: expected a whole number from 0, got '1.5'"),
        (track(0, box("9" * 30)), "box: frame: expected a whole number from 0, got '999"),
        (track(0, box(3, left="nan")), "box: xtl: expected a number, got 'nan'"),
        (track(0, box(3, left="")), "box: xtl: expected a number, got ''"),
        (track(0, box(3, more='rotation="up"')), "box: rotation: expected a number, got 'up'"),
        (track(0, box(3)).replace('label="person"', ""), "box: 'label' is missing"),
    ],
)
def test_boxes_of_tracks_that_do_not_fit_are_refused_in_words(body, expected, media, tmp_path):
    with pytest.raises(ConfigError, match=f"annotations.xml:1: {expected}"):
        read(one_video(tmp_path, body), media)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ('width="" height="9"', "image: width: expected a number, got ''"),
        ('width="9" height="inf"', "image: height: expected a number, got 'inf'"),
        ('width="9" height="9" kept="{"', "image: kept: not JSON"),
        ('width="9" height="9" kept="3"', "image: kept: expected an object, got 3"),
    ],
)
def test_images_that_do_not_fit_are_refused_in_words(more, expected, media, tmp_path):
    with pytest.raises(ConfigError, match=f"annotations.xml:1: {expected}"):
        read(xml_of(tmp_path, f'<image id="0" name="one.jpg" {more}></image>'), media)


def image(number, name, more=""):
    rectangle = '<box label="person" xtl="36" ytl="24" xbr="180" ybr="120"/>'
    return f'<image id="{number}" name="{name}" width="360" height="240" {more}>{rectangle}</image>'


def test_images_of_a_video_are_its_frames(films, tmp_path):
    """CVAT names them by their numbers in the video, without a suffix."""
    tasks = [task(4, "a.mp4", "Train"), task(7, "b.mp4", "val", size=30, start=10, step=2)]
    body = image(0, "frame_000007", 'task_id="4" subset="Train"') + image(1, "frame_000012", 'task_id="7" subset="val"')
    made = imported(tmp_path / "set", "cvat", project(tmp_path, tasks, body), media=films)
    assert {s.id: (s.at, s.split, s.media[0].path) for s in made.samples} == {
        "a.mp4#0.7": (0.7, "train", "a.mp4"), "b.mp4#1.2": (1.2, "val", "b.mp4"),
    }  # fmt: skip
    assert [b.box[0] for s in made.samples for b in s.labels["objects"]] == [0.1, 0.1]


def test_images_of_a_video_that_were_saved_are_found(films, media, tmp_path):
    (films / "images").mkdir()
    shutil.copy(media / "one.jpg", films / "images" / "frame_000003.PNG")
    path = one_video(tmp_path, image(0, "frame_000003") + image(1, "frame_000004"))
    made = read(path, films, video="c.mp4")
    assert [(f.sample.media[0].path, f.sample.at) for f in made.found] == [
        ("images/frame_000003.PNG", None), ("c.mp4", 0.4),
    ]  # fmt: skip


def test_images_of_a_video_that_is_not_there_are_told(films, tmp_path, capsys):
    path = one_video(tmp_path, image(0, "frame_000003"))
    args = ["dataset", "import", "cvat", str(path), "--into", str(tmp_path / "set"), "--media", str(films)]
    assert run(*args) == 1
    assert "the frames a second of" in (said := capsys.readouterr().err)
    assert "walk.mp4 are not known" in said
    # what is no number of a frame is a picture that is looked for by its name
    assert run(*[a if a != str(path) else str(one_video(tmp_path, image(0, "other"))) for a in args]) == 1
    assert "other" in capsys.readouterr().err


def test_between_key_frames_lie_boxes_too(media, tmp_path):
    """As of a program that writes no more than key frames, which is all that CVAT itself reads."""
    inside, outside = 'outside="0" keyframe="1"', 'outside="1" keyframe="1"'
    body = track(0, box(0, "36", inside) + box(4, "72", inside) + box(6, "72", outside) + box(8, "36", inside))
    # single boxes of each frame as CVAT writes them, and a track without marks
    body += track(1, box(0, more=inside) + box(1, more='outside="0" keyframe="0"') + box(2, more=outside))
    body += track(2, box(0) + box(5))
    made = read(one_video(tmp_path, body), media)
    held = [b for f in made.found for b in f.sample.labels["objects"]]
    ats = {n: [(round(b.at * 10), b.box[0]) for b in held if b.track == n] for n in "012"}
    assert ats["0"] == [(0, 0.1), (1, 0.125), (2, 0.15), (3, 0.175), (4, 0.2), (5, 0.2), (8, 0.1)]
    assert [at for at, _ in ats["1"]] == [0, 1]
    assert [at for at, _ in ats["2"]] == [0, 5]
    assert made.notes == ["walk.mp4: 4 boxes were put in between key frames, where CVAT shows them"]


def test_frames_that_a_task_leaves_out_are_no_gaps(media, tmp_path):
    key = 'outside="0" keyframe="1"'
    size = f"<frame_filter>step=5</frame_filter>{SIZE}"
    made = read(one_video(tmp_path, track(0, box(0, more=key) + box(5, more=key) + box(15, more=key)), size), media)
    assert [b.at for b in made.found[0].sample.labels["objects"]] == [0.0, 0.5, 1.0, 1.5]


def test_key_frames_that_lie_too_far_apart_are_refused(media, tmp_path):
    key = 'outside="0" keyframe="1"'
    path = one_video(tmp_path, track(0, box(0, more=key) + box(999_999_999, more=key)))
    with pytest.raises(ConfigError, match="track: frame: expected key frames at most 100000 apart"):
        read(path, media)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ('<polygon label="car" points="36,24;72,24;72.0,48"/>', (0.1, 0.1, 0.2, 0.2)),
        ('<polyline label="car" points="72,24;36,48"/>', (0.1, 0.1, 0.2, 0.2)),
        ('<mask label="car" rle="1, 9" left="36" top="24" width="36" height="24"/>', (0.1, 0.1, 0.2, 0.2)),
        ('<ellipse label="car" cx="72" cy="48" rx="36" ry="24"/>', (0.1, 0.1, 0.3, 0.3)),
        ('<ellipse label="car" cx="72" cy="120" rx="24" ry="36" rotation="90"/>', (0.1, 0.4, 0.3, 0.6)),
        ('<cuboid label="car" xtl1="36" ytl1="24" xbl1="36" ybl1="48" xtr1="54" ytr1="24" xbr1="54" ybr1="48" '
         'xtl2="60" ytl2="30" xbl2="60" ybl2="40" xtr2="72" ytr2="30" xbr2="72" ybr2="40"/>', (0.1, 0.1, 0.2, 0.2)),
    ],
)  # fmt: skip
def test_of_outlines_the_box_around_them_is_taken(shape, expected, tmp_path):
    made = read(xml_of(tmp_path, f'<image id="0" name="one.jpg" width="360" height="240">{shape}</image>'))
    (box,) = made.found[0].sample.labels["objects"]
    assert (box.label, box.box) == ("car", pytest.approx(expected))
    assert +made.left_out == {"outlines, of which the box is taken": 1}
    bad = shape.replace("24", "x")
    with pytest.raises(ConfigError, match=rf"annotations.xml:1: {shape[1:].split()[0]}: .* expected"):
        read(xml_of(tmp_path, f'<image id="0" name="one.jpg" width="360" height="240">{bad}</image>'))


def test_images_and_videos_of_which_not_all_could_be_taken_stay_unlabelled(media, tmp_path):
    points = '<points label="nose" frame="3" outside="0" points="36,24"/>'
    skeleton = f'<skeleton label="body" frame="3" outside="0">{points}</skeleton>'
    rest = image(0, "one.jpg") + '<image id="2" name="three.jpg" width="360" height="240"></image>'
    for shape in (points, skeleton):
        body = image(1, "two.jpg").replace("</image>", f"{shape}</image>")
        path = xml_of(tmp_path, rest + body)
        made = read(path)
        held = {f.sample.id: [len(v) for v in f.sample.labels.values()] for f in made.found}
        assert held == {"one.jpg": [1], "three.jpg": [0], "two.jpg": []}
        assert made.left_out["points and skeletons, which have no box"] == 1
        assert any("--set pass_over=true" in reason for reason in +made.left_out)
        made = read(path, pass_over=True)
        assert [len(f.sample.labels["objects"]) for f in made.found] == [1, 0, 1]
        path = one_video(tmp_path, track(0, box(3)) + track(1, shape))
        assert read(path, media).found[0].sample.labels == {}
        assert len(read(path, media, pass_over=True).found[0].sample.labels["objects"]) == 1


LABELS = """<labels><label><name>car</name><type>rectangle</type></label><label><name>weather</name><type>tag</type>
<attributes><attribute><name>sky</name><input_type>radio</input_type><values>sun\nrain\n__undefined__</values>
</attribute></attributes></label></labels>"""


@pytest.fixture
def export(media, tmp_path):
    """A project of two tasks with pictures of one name, as CVAT writes it, unpacked."""
    for n, subset in enumerate(("Train", "Validation")):
        (tmp_path / "out" / "images" / subset).mkdir(parents=True)
        shutil.copy(media / ("one.jpg", "two.jpg")[n], tmp_path / "out" / "images" / subset / "a.jpg")
    sky = '<tag label="weather"><attribute name="sky">rain</attribute></tag>'
    edges = 'label="car" xtl="1" ytl="2" xbr="3" ybr="4"'
    body = "".join(
        f'<image id="{n}" name="a.jpg" subset="{subset}" task_id="{n}" width="8" height="8"><box {edges}/>{sky}</image>'
        for n, subset in enumerate(("Train", "Validation"))
    )
    xml_of(tmp_path / "out", body, f"<project><id>1</id>{LABELS}</project>")
    return tmp_path / "out"


def test_pictures_lie_where_cvat_puts_them(export, tmp_path):
    made = imported(tmp_path / "set", "cvat", export)
    assert {s.id: s.split for s in made.samples} == {"images/Train/a.jpg": "train", "images/Validation/a.jpg": "val"}
    again = imported(tmp_path / "other", "cvat", export, media=export / "images")
    assert [s.id for s in again.samples] == ["Train/a.jpg", "Validation/a.jpg"]


def test_what_could_be_chosen_of_a_tag_are_the_classes(export, tmp_path):
    made = imported(tmp_path / "set", "cvat", export)
    assert made.info.tasks["sky"].classes == ("sun", "rain")
    assert [s.labels["sky"] for s in made.samples] == ["rain", "rain"]


def test_a_zip_file_is_to_be_unpacked(export, tmp_path):
    with pytest.raises(ConfigError, match=r"it is a ZIP file.*unpack it"):
        read(Path(shutil.make_archive(str(tmp_path / "out"), "zip", export)))
