"""What an improvement is measured on was not learned from, whatever the parts are called."""

from __future__ import annotations

import pytest
from PIL import Image

from learning.improve._material import colours
from learning.improve.conftest import tinted
from onlooker.core.errors import UsageError
from onlooker.improving.labels import KEPT
from onlooker.improving.lessons import lessons
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Media, Sample, Task
from onlooker.learning.improve.held_out import held_out
from onlooker.learning.recipe import Splits

TASKS = {"colour": Task(kind="class", classes=("red", "green", "blue"))}


def dataset_of(folder, shown, parts):
    """Six tinted pictures of each part."""
    folder.mkdir()
    samples = []
    for n in range(6 * len(parts)):
        colour, split = ("red", "green", "blue")[n % 3], parts[n // 6]
        Image.fromarray(tinted(shown[8 * n], colour)).save(folder / f"{n}.png")
        media = (Media(path=f"{n}.png", kind="image"),)
        samples.append(Sample(id=f"{n}", media=media, labels={"colour": colour}, split=split))
    dataset = Dataset.create(folder, name="colours", tasks=TASKS)
    dataset.put(samples)
    dataset.save()
    return folder


def test_the_recipe_s_own_part_is_measured(shown, tmp_path):
    data = dataset_of(tmp_path / "data", shown, ("fold1", "fold2", "fold3"))
    used, other = colours(tmp_path, "used").folder, colours(tmp_path, "other", threshold=0.6).folder
    found = held_out(other, used, data, Splits(train="fold1", validation="fold2", test="fold3"), threads=1)
    assert (found["split"], found["count"]) == ("fold3", 6)
    found = held_out(other, used, data, Splits(train="fold1+fold3", validation="fold2", test=None), threads=1)
    assert (found["split"], found["count"]) == ("fold2", 6)


def test_what_is_learned_from_is_not_held_out(shown, tmp_path):
    data = dataset_of(tmp_path / "data", shown, ("train", "val"))
    both = Splits(train="train+val", validation="val", test="test")
    said = "data is held out: test, for test, is not there; val, for validation, is learned from"
    with pytest.raises(UsageError, match=said):
        held_out(tmp_path / "other", tmp_path / "used", data, both)


def test_an_earlier_improvement_s_samples_of_the_same_video_are_not_replayed(shown, tmp_path):
    base = Dataset.load(dataset_of(tmp_path / "data", shown, ("train",)))
    marks = [{}, {"reason": KEPT}, {"feedback": "ab"}, {"reason": KEPT}]
    paths = ["0.png", "1.png", "2.png", "3.png"]
    base.samples = [s.model_copy(update={"origin": m}) for s, m in zip(base.samples, marks, strict=False)]
    videos = {str((base.root / p).resolve())[1:] for p in paths[:3]}
    new = [base.samples[0].model_copy(update={"id": "new"})]
    made = lessons(tmp_path / "lessons", base, {"train": "train"}, new, [], TASKS, replay=9, videos=videos)
    assert {s.id.split(" ")[0] for s in made.samples} == {"0", "3", "new"}
