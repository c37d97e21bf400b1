"""COCO files: what of them becomes boxes, and images of which not all is known are not taken for empty."""

from __future__ import annotations

import json
import shutil

import pytest

from learning.datasets.conftest import imported
from onlooker.core.errors import ConfigError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats import format_of
from onlooker.learning.datasets.importing import ImportRequest, import_samples
from onlooker.learning.datasets.media import picture_size

ONE = {"id": 9, "file_name": "one.jpg", "width": 640, "height": 480}
BOX = {"bbox": [64, 48, 128, 96]}


def coco(folder, *notes, image=ONE, **more):
    """A file of one image and its annotations."""
    held = [{"id": n, "image_id": 9, "category_id": 18, **note} for n, note in enumerate(notes, 1)]
    whole = {"images": [image], "categories": [{"id": 18, "name": "dog"}], "annotations": held, **more}
    (folder / "coco.json").write_text(json.dumps({k: v for k, v in whole.items() if v != "none"}))
    return folder / "coco.json"


def read(path):
    return format_of("coco").read(path, format_of("coco").Options(), None, path.parent)


def labels(path):
    return read(path).found[0].sample.labels


@pytest.mark.parametrize(
    ("segmentation", "expected"),
    [
        ([[64, 48, 192, 48, 64.0, 144]], (0.1, 0.1, 0.3, 0.3)),
        ([[64, 48, 96, 48, 96, 96], [128, 48, 192, 144, 128, 144]], (0.1, 0.1, 0.3, 0.3)),
        ([64, 48, 192, 48, 64, 144], (0.1, 0.1, 0.3, 0.3)),
        # two columns of pixels, of which the first goes to the end
        ({"size": [480, 640], "counts": [64 * 480 + 240, 240, 48, 96]}, (0.1, 0.1, 66 / 640, 1)),
        ({"size": [480, 640], "counts": [64 * 480 + 240, 300]}, (0.1, 0, 66 / 640, 1)),
        # by pycocotools: encode of 1 in [48:144, 64:192]
        ({"size": [480, 640], "counts": "`Qn0P3P<" + "0" * 253 + "`na6"}, (0.1, 0.1, 0.3, 0.3)),
    ],
)
def test_without_a_box_that_around_the_segmentation_is_taken(segmentation, expected, tmp_path):
    made = read(coco(tmp_path, BOX, {"bbox": [], "segmentation": segmentation}))
    given, found = made.found[0].sample.labels["objects"]
    assert given.box == (0.1, 0.1, 0.3, 0.3)
    assert (found.label, found.box) == ("dog", pytest.approx(expected))
    assert +made.left_out == {"outlines, of which the box is taken": 1}


@pytest.mark.parametrize(
    "note",
    [
        {"segmentation": []},
        {"segmentation": [[]], "bbox": None},
        {"segmentation": [[1, 2]]},
        {"segmentation": [[1, "a", 3, 4, 5, 6]]},
        {"segmentation": {"size": [480, 640], "counts": [480 * 640]}},
        {"segmentation": {"size": [4, 4], "counts": [5, 12]}},
        {"segmentation": {"size": [4, 4], "counts": "~~"}},
        {"segmentation": {"size": [4, 4]}},
        {"keypoints": [1, 1, 2]},
    ],
)
def test_an_image_of_which_not_all_could_be_taken_is_not_labelled(note, tmp_path):
    for notes in ((note,), (BOX, note)):
        made = read(coco(tmp_path, *notes))
        assert made.found[0].sample.labels == {}
        assert +made.left_out == {
            "annotations without a box": 1, "images left without boxes, as not all of their annotations have one": 1,
        }  # fmt: skip
        assert made.tasks["objects"].classes == ("dog",)


def test_a_file_without_annotations_labels_nothing_and_an_empty_list_does(tmp_path):
    for path in (coco(tmp_path, annotations="none"), coco(tmp_path, annotations=None)):
        made = read(path)
        assert made.found[0].sample.labels == {}
        assert made.notes == [f"{path} has no annotations: its images are not labelled"]
    assert labels(coco(tmp_path)) == {"objects": ()}


def test_labels_that_a_file_does_not_give_do_not_replace_those_that_are_there(media, tmp_path):
    shutil.copy(media / "one.jpg", tmp_path)
    dataset = Dataset.create(tmp_path / "set", name="set")
    for notes, more in (((BOX,), {}), ((BOX, {}), {}), ((), {"annotations": "none"})):
        import_samples(dataset, ImportRequest("coco", coco(tmp_path, *notes, **more)))
        assert len(dataset.samples[0].labels["objects"]) == 1


def test_captions_are_joined(tmp_path):
    made = read(coco(tmp_path, {"caption": "a dog 1"}, {"caption": "a dog 2"}))
    assert made.found[0].sample.labels == {"caption": "a dog 1\na dog 2"}
    assert not +made.left_out


def test_images_whose_size_is_not_told_are_measured(media, tmp_path):
    image = {k: ONE[k] for k in ("id", "file_name")}
    path = coco(tmp_path, BOX, image=image)
    with pytest.raises(ConfigError, match=r"annotations.0: its image: .* got None, None, and .*one.jpg is not there"):
        read(path)
    shutil.copy(media / "one.jpg", tmp_path)
    wide, high = picture_size(media / "one.jpg")
    (box,) = imported(tmp_path / "set", "coco", path).samples[0].labels["objects"]
    assert box.box == pytest.approx((64 / wide, 48 / high, 192 / wide, 144 / high))
    # a broken picture costs itself only
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    two = [image, {"id": 10, "file_name": "bad.jpg"}]
    notes = [{"id": n, "image_id": i, "category_id": 18, **BOX} for n, i in enumerate((9, 10))]
    dataset = Dataset.create(tmp_path / "again", name="again")
    report = import_samples(dataset, ImportRequest("coco", coco(tmp_path, images=two, annotations=notes)))
    assert (report.new, list(report.failures)) == (1, ["bad.jpg"])
