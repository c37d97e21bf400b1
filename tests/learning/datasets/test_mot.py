"""MOT sequences of pictures: each gets the boxes of the frame that its name tells."""

from __future__ import annotations

import re

import pytest

from learning.datasets.test_importing import picture
from onlooker.core.errors import ConfigError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats import format_of, options_of
from onlooker.learning.datasets.importing import ImportRequest, import_samples
from onlooker.learning.datasets.statistics import statistics_of


def sequence(folder, names, frames, length=None, conf: float = 1):
    """A folder with boxes whose left side, in pixels, is the number of their frame."""
    for n, name in enumerate(names):
        picture(folder / "img1" / name, n)
    (folder / "gt").mkdir()
    (folder / "gt" / "gt.txt").write_text("".join(f"{n},1,{n},10,5,5,{conf},1,1\n" for n in frames))
    size = "" if length is None else f"seqLength={length}\n"
    (folder / "seqinfo.ini").write_text(f"[Sequence]\nframeRate=25\n{size}imWidth=64\nimHeight=48\n")
    return folder


def read(folder, **options):
    return format_of("mot").read(folder, options_of(format_of("mot"), options), None, folder)


def frames_of(made):
    """By picture, the frames whose boxes it got."""
    boxes = {f.sample.media[0].path.removeprefix("img1/"): f.sample.labels["objects"] for f in made.found}
    return {name: [round(b.box[0] * 64) for b in held] for name, held in boxes.items()}


@pytest.mark.parametrize(
    ("names", "length", "expected"),
    [
        (("000001.jpg", "000011.jpg", "000021.jpg"), 30, [1, 11, 21]),
        (("000001.jpg", "000011.jpg", "000021.jpg"), None, [1, 11, 21]),
        (("frame0_1080p.jpg", "frame9_1080p.jpg", "frame10_1080p.jpg"), 30, [1, 10, 11]),
        (("seq2_7.jpg",), 30, [7]),
        (("a.jpg", "b.jpg", "c.jpg"), 30, [1, 2, 3]),
        (("cam1_a.jpg", "cam1_b.jpg"), 30, [1, 2]),
        # the second half of a longer sequence
        (tuple(f"{n:06d}.jpg" for n in range(101, 131)), 30, list(range(1, 31))),
    ],
)
def test_pictures_get_the_boxes_of_the_frame_that_their_name_tells(names, length, expected, tmp_path):
    made = read(sequence(tmp_path, names, range(1, 31), length))
    assert frames_of(made) == dict(zip(names, ([n] for n in expected), strict=True))
    assert made.left_out["boxes of frames without a picture"] == 30 - len(names)
    assert len(made.notes) == (names[0] == "000101.jpg")


def test_pictures_and_boxes_that_both_count_on_belong_together(tmp_path):
    names = [f"{n:06d}.jpg" for n in range(31, 34)]
    made = read(sequence(tmp_path, names, range(31, 34), length=3))
    assert frames_of(made) == {name: [n] for name, n in zip(names, range(31, 34), strict=True)}


def test_hidden_files_are_no_frames(tmp_path):
    folder = sequence(tmp_path, ("000001.jpg", "000002.jpg"), (1, 2))
    for name in ("img1/._000001.jpg", "img1/.hidden.jpg", "._video.mp4"):
        (folder / name).write_bytes(b"\0\5\x16\7")
    assert frames_of(read(folder)) == {"000001.jpg": [1], "000002.jpg": [2]}


def test_pictures_after_the_end_are_counted_and_every_nth_is_taken(tmp_path):
    made = read(sequence(tmp_path, [f"{n}.jpg" for n in range(1, 13)], range(1, 11), length=10), every=4)
    assert frames_of(made) == {"1.jpg": [1], "5.jpg": [5], "9.jpg": [9]}
    assert +made.left_out == {"pictures after the end of their sequence": 2}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("000001.jpg", "000001.png"), "do not tell them apart"),
        (("1_left.jpg", "1_right.jpg", "2_left.jpg"), "do not tell them apart"),
        (("000101.jpg", "000111.jpg"), "pictures are numbered 101 to 111, but frames 1 to 30"),
    ],
)
def test_pictures_that_are_no_frames_of_the_sequence_are_refused_in_words(names, expected, tmp_path):
    folder = sequence(tmp_path, names, range(1, 31), 30)
    with pytest.raises(ConfigError, match=re.escape(str(folder / "img1")) + f": .*{expected}"):
        read(folder)


def test_scores_of_a_detector_are_counted(tmp_path):
    assert read(sequence(tmp_path, ("1.jpg", "2.jpg"), (1, 2), conf=0.87)).left_out["scores of boxes"] == 2


def test_tracks_of_two_sequences_are_told_apart(tmp_path):
    for name in ("A", "B"):
        sequence(tmp_path / "mot" / name, ("000001.jpg", "000002.jpg"), (1, 2))
    dataset = Dataset.create(tmp_path / "set", name="set")
    import_samples(dataset, ImportRequest("mot", tmp_path / "mot"))
    assert len(dataset.samples) == 4
    assert statistics_of(dataset)["tasks"]["objects"]["tracks"] == 2
