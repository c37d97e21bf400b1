"""Whether evaluated samples were learned from: other parts, other datasets, and what cannot be known."""

from __future__ import annotations

import pytest
import yaml
from PIL import Image

from analyzers.bundle.making import COLOURS, colour_bundle
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Media, Sample, Task
from onlooker.learning.evaluate.run import EvaluationRequest, evaluate
from onlooker.learning.run_folder import dataset_digest

TASKS = {"colour": Task(kind="class", classes=tuple(COLOURS))}


@pytest.fixture(scope="module")
def pictures(data, tmp_path_factory):
    """Six photographs, and the same ones saved again in less quality."""
    folder = tmp_path_factory.mktemp("pictures")
    for number, path in enumerate(sorted(data("coco128/images").glob("*.jpg"))[:6]):
        image = Image.open(path).convert("RGB").resize((160, 120))
        image.save(folder / f"{number}.jpg", quality=95)
        image.save(folder / f"again{number}.jpg", quality=60)
    return folder


def made(folder, pictures, rows, splits):
    """A dataset of ``(id, file, source, part)``."""
    dataset = Dataset.create(folder, name=folder.name, tasks=TASKS, root=str(pictures))
    samples = [
        Sample(
            id=name,
            media=(Media(path=file, kind="image"),),
            groups={"source": source} if source else {},
            split=part,
            labels={"colour": TASKS["colour"].classes[n % 3]},
        )
        for n, (name, file, source, part) in enumerate(rows)
    ]
    dataset.put(samples)
    dataset.info = dataset.info.model_copy(update={"splits": splits})
    dataset.save()
    return dataset


def run_of(folder, dataset, part="train", **more):
    """The folder of a run that learned from a part of a dataset."""
    folder.mkdir()
    colour_bundle(folder, **more)
    (folder / "recipe.yaml").write_text(yaml.safe_dump({"dataset": str(dataset.folder), "splits": {"train": part}}))
    return folder


def looked_for(run, dataset, split="test", *, near=None):
    found = evaluate(EvaluationRequest(str(run), dataset.folder, split, near=near, draws=200, threads=1, errors=0))
    return {leak.code: leak.count for leak in found.leaks}, found.notes


def test_two_parts_were_learned_from(pictures, tmp_path):
    rows = [(str(n), f"{n}.jpg", f"s{n % 3}", p) for n, p in enumerate(("train", "train", "val", "test", "test"))]
    dataset = made(tmp_path / "set", pictures, rows, ("train", "val", "test"))
    run = run_of(tmp_path / "run", dataset, "train+val")
    assert looked_for(run, dataset, "val") == ({"trained-on": 1}, [])
    assert looked_for(run, dataset) == ({"same-group": 2}, [])


def test_the_bundle_itself_says_which_part_it_learned_from(pictures, tmp_path):
    rows = [("a", "0.jpg", "", "train"), ("b", "1.jpg", "", "val")]
    dataset = made(tmp_path / "set", pictures, rows, ("train", "val"))
    steps = [{"name": "train", "settings": {"splits.train": "train+val"}}]
    bundle = colour_bundle(tmp_path, provenance={"dataset": dataset_digest(dataset), "steps": steps})
    assert looked_for(bundle.folder, dataset, "val") == ({"trained-on": 1}, [])


def test_another_dataset_holds_what_was_learned_from(pictures, tmp_path):
    """Saved again, or the same files without a digest; equal ids alone are no leak."""
    rows = [(str(n), f"{n}.jpg", f"cam{n}", "train") for n in range(4)]
    base = made(tmp_path / "base", pictures, rows, ("train",))
    run = run_of(tmp_path / "run", base)
    again = [(f"again{n}", f"again{n}.jpg", f"cam{n}" if n < 2 else "", "test") for n in range(4)]
    other = made(tmp_path / "other", pictures, again, ("test",))
    assert looked_for(run, other) == ({"same-group": 2, "near-duplicate": 4}, [])
    assert looked_for(run, other, near=False) == ({"same-group": 2}, [])
    strangers = [(str(n), f"{n}.jpg", "", "test") for n in (3, 4, 5)]
    third = made(tmp_path / "third", pictures / ".." / pictures.name, strangers, ("test",))
    assert looked_for(run, third) == ({"same-file": 1}, [])


def test_a_copy_of_the_dataset_is_the_same_one(pictures, tmp_path):
    rows = [("a", "0.jpg", "", "train"), ("b", "1.jpg", "", "test")]
    base = made(tmp_path / "base", pictures, rows, ("train", "test"))
    copy = made(tmp_path / "copy", pictures, rows, ("train", "test"))
    run = run_of(tmp_path / "run", base, provenance={"dataset": dataset_digest(base)})
    assert looked_for(run, copy, "train") == ({"trained-on": 1}, [])


def test_what_cannot_be_compared_is_said(pictures, tmp_path):
    rows = [("a", "0.jpg", "", "train"), ("b", "gone.jpg", "", "train"), ("c", "1.jpg", "", "test")]
    base = made(tmp_path / "base", pictures, rows, ("train", "test"))
    leaks, notes = looked_for(run_of(tmp_path / "run", base), base)
    assert leaks == {}
    assert [n for n in notes if "1 of the samples that were learned from cannot be compared" in n and "gone.jpg" in n]
    leaks, notes = looked_for(run_of(tmp_path / "older", base, "fold1"), base)
    assert leaks == {}
    assert notes == [f"{base.folder} has no labelled sample in fold1, which was learned from: not looked for leaks"]
