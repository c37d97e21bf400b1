"""What a second import does to what a dataset has: nothing of it is written over by what only is called the same."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from cli.sample_library import run
from onlooker.core.errors import UsageError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.importing import ImportRequest, import_samples
from onlooker.learning.datasets.manifest import Media, Sample, Task
from onlooker.learning.datasets.media import look_at


def picture(place, seed=0):
    place.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(place)
    return place


def files_of(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def sites(tmp_path):
    """Two folders with files of the same names."""
    for site, first in (("A", 0), ("B", 10)):
        for n, name in enumerate(("fight/1.jpg", "fight/2.jpg", "calm/1.jpg")):
            picture(tmp_path / site / name, first + n)
    return tmp_path


def sequence(folder, left, seed):
    """A MOTChallenge sequence of two pictures."""
    for n in (1, 2):
        picture(folder / "img1" / f"{n:06d}.jpg", seed + n)
    (folder / "gt").mkdir()
    (folder / "gt" / "gt.txt").write_text("".join(f"{n},1,{left},10,5,5,1,1,1\n" for n in (1, 2)))
    (folder / "seqinfo.ini").write_text("[Sequence]\nframeRate=25\nseqLength=2\nimWidth=64\nimHeight=48\n")


def test_a_second_sequence_does_not_put_its_boxes_on_pictures_of_the_first(tmp_path, capsys):
    sequence(tmp_path / "mot" / "A", 16, 0)
    sequence(tmp_path / "mot" / "B", 32, 5)
    into = ("--into", tmp_path / "set")
    assert run("dataset", "import", "mot", tmp_path / "mot" / "A", *into) == 0
    before = files_of(tmp_path / "set")
    capsys.readouterr()
    assert run("dataset", "import", "mot", tmp_path / "mot" / "B", *into) != 0
    said = capsys.readouterr().err
    assert "of other content: img1/000001.jpg, img1/000002.jpg" in said
    assert "a folder that holds both" in said
    assert files_of(tmp_path / "set") == before
    # as the message says
    for name in ("A", "B"):
        args = (tmp_path / "mot" / name, "--into", tmp_path / "both", "--media", tmp_path / "mot")
        assert run("dataset", "import", "mot", *args) == 0
    assert {s.id: s.labels["objects"][0].box[0] for s in Dataset.load(tmp_path / "both").samples} == {
        f"{name}/img1/00000{n}.jpg": left for name, left in (("A", 0.25), ("B", 0.5)) for n in (1, 2)
    }


def test_copies_do_not_take_the_place_of_other_files(sites):
    dataset = Dataset.create(sites / "set", name="set")
    import_samples(dataset, ImportRequest("folders", sites / "A", copy=True))
    before = files_of(sites / "set")
    with pytest.raises(UsageError, match=r"other content: calm/1.jpg, fight/1.jpg, fight/2.jpg.*other names"):
        import_samples(dataset, ImportRequest("folders", sites / "B", copy=True))
    assert files_of(sites / "set") == before
    # the same again, and what has other names
    shutil.rmtree(sites / "B" / "calm")
    (sites / "B" / "fight").rename(sites / "B" / "other")
    assert import_samples(dataset, ImportRequest("folders", sites / "A", copy=True)).replaced == 3
    assert import_samples(dataset, ImportRequest("folders", sites / "B", copy=True)).new == 2
    assert (sites / "set" / "media" / "other" / "1.jpg").read_bytes() == (sites / "B" / "other" / "1.jpg").read_bytes()


def test_copies_do_not_take_the_place_of_samples_whose_files_lie_in_the_dataset_itself(sites):
    shutil.copytree(sites / "A", sites / "own")
    dataset = Dataset.create(sites / "own", name="own")
    import_samples(dataset, ImportRequest("folders", sites / "own"))
    before = files_of(sites / "own")
    with pytest.raises(UsageError, match=r"another sample called calm/1.jpg, which shows calm/1.jpg"):
        import_samples(dataset, ImportRequest("folders", sites / "B", copy=True))
    assert files_of(sites / "own") == before
    assert import_samples(dataset, ImportRequest("folders", sites / "A", copy=True)).replaced == 3


def test_media_that_are_the_same_or_not_there_are_those_of_the_dataset(sites):
    dataset = Dataset.create(sites / "set", name="set")
    import_samples(dataset, ImportRequest("folders", sites / "A"))
    shutil.copytree(sites / "A", sites / "moved")
    shutil.rmtree(sites / "moved" / "calm")
    (sites / "moved" / "labels.csv").write_text("file,mood\nfight/1.jpg,bad\ncalm/1.jpg,good\n")
    request = ImportRequest("csv", sites / "moved" / "labels.csv", {"labels": {"mood": "mood"}})
    assert import_samples(dataset, request).replaced == 2
    assert dataset.root.resolve() == (sites / "A").resolve()
    assert {s.id: s.labels.get("mood") for s in dataset.samples} == {
        "calm/1.jpg": "good", "fight/1.jpg": "bad", "fight/2.jpg": None,
    }  # fmt: skip


def test_files_that_are_not_there_are_counted_whole(tmp_path, capsys):
    picture(tmp_path / "one.jpg")
    rows = "".join(f"gone{n}.jpg,a\n" for n in range(30))
    (tmp_path / "table.csv").write_text(f"file,kind\none.jpg,a\n{rows}")
    args = ("dataset", "import", "csv", tmp_path / "table.csv", "--into", tmp_path / "set", "--label", "kind=kind")
    assert run(*args) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if line.startswith("cannot be used: gone")]) == 20
    assert lines[-1] == "cannot be used: ... and 10 more, 30 in all"


def test_moments_late_in_a_long_video_have_ids_of_their_own(media, tmp_path):
    table = tmp_path / "rows.csv"
    table.write_text("file,at,what\nwalk.mp4,20000.0,sit\nwalk.mp4,20000.04,stand\n")
    for _ in range(2):  # the second time they find themselves
        dataset = (
            Dataset.load(tmp_path / "set")
            if (tmp_path / "set").is_dir()
            else Dataset.create(tmp_path / "set", name="x")
        )
        import_samples(dataset, ImportRequest("csv", table, {"labels": {"what": "what"}}, media))
        assert {s.id: s.at for s in Dataset.load(tmp_path / "set").samples} == {
            "walk.mp4#20000": 20000.0,
            "walk.mp4#20000.040000": 20000.04,
        }


def test_weights_and_files_beside_stay_where_labels_come_back_without_them(media, tmp_path):
    """CVAT keeps what is its own, and has one file in a task."""
    dataset = Dataset.create(tmp_path / "set", name="set", root=str(media))
    files = (Media(path="one.jpg", kind="image"), Media(path="bark.ogg", kind="audio"))
    tasks = {"objects": Task(kind="boxes", classes=("dog",)), "mood": Task(kind="class", classes=("good",))}
    more = {"weight": 2.0, "weights": {"objects": 0.5}, "text": "a dog"}
    dataset.put(
        [Sample(id="one.jpg", media=tuple(look_at(media, m) for m in files), labels={"mood": "good"}, **more)], tasks
    )
    dataset.save()
    before = dataset.samples[0]
    image = (
        '<image id="0" name="one.jpg" width="10" height="10"><box label="dog" xtl="1" ytl="1" xbr="5" ybr="5"/></image>'
    )
    (tmp_path / "back.xml").write_text(f"<annotations><version>1.1</version>{image}</annotations>")
    import_samples(dataset, ImportRequest("cvat", tmp_path / "back.xml", media=media))
    (after,) = Dataset.load(tmp_path / "set").samples
    assert after.labels["objects"][0].box == (0.1, 0.1, 0.5, 0.5)
    assert after.model_copy(update={"labels": before.labels}) == before
