"""Samples in Parquet: the same dataset as in lines of JSON."""

from __future__ import annotations

import pytest

from onlooker.core.errors import ConfigError
from onlooker.learning.datasets.dataset import MANIFEST, Dataset
from onlooker.learning.datasets.manifest import Sample, Task

arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

TASKS = {"mood": Task(kind="class", classes=("good", "bad"))}
ROWS = {
    "id": ["1", "2"],
    "media": ["[]", "[]"],
    "labels": ['{"mood": "good"}', "{}"],
    "rest": ['{"text": "fine"}', '{"text": "so so", "weight": 2}'],
}


def made(folder, file="samples.parquet"):
    dataset = Dataset.create(folder, name="moods", tasks=TASKS)
    dataset.put([Sample(id="1", text="fine", split="train", labels={"mood": "good"})])
    dataset.save()
    manifest = folder / MANIFEST
    manifest.write_text(manifest.read_text(encoding="utf-8") + f"samples: {file}\n", encoding="utf-8")
    return folder


def test_a_dataset_becomes_parquet_and_json_again_as_its_manifest_says(tmp_path):
    folder = made(tmp_path / "set")
    dataset = Dataset.load(folder)
    assert [s.id for s in dataset.samples] == ["1"]
    dataset.put([Sample(id="2", text="bad", labels={"mood": "bad"})])
    dataset.save()
    # nothing old is left that could be taken for the samples later
    assert {p.name for p in folder.iterdir()} == {MANIFEST, "samples.parquet"}
    assert [s.id for s in Dataset.load(folder).samples] == ["1", "2"]

    manifest = folder / MANIFEST
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("samples.parquet", "samples.jsonl"))
    back = Dataset.load(folder)
    back.save()
    assert {p.name for p in folder.iterdir()} == {MANIFEST, "samples.jsonl"}
    assert Dataset.load(folder).samples == dataset.samples


def test_samples_that_are_nowhere_are_told(tmp_path):
    folder = made(tmp_path / "set")
    (folder / "samples.jsonl").unlink()
    with pytest.raises(ConfigError, match=r"has no samples\.parquet, which its dataset\.yaml names"):
        Dataset.load(folder)


def loaded(tmp_path, columns):
    folder = made(tmp_path / "set")
    parquet.write_table(arrow.table(columns), folder / "samples.parquet")
    return Dataset.load(folder).samples


def test_columns_that_may_lack(tmp_path):
    assert [(s.text, s.weight, s.split) for s in loaded(tmp_path, ROWS)] == [("fine", 1, None), ("so so", 2, None)]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"labels": None}, "samples.parquet has no column labels; it has id, media, rest"),
        ({"rest": ["[1]", "{}"]}, r"samples.parquet:1: rest: expected an object, got \[1\]"),
        ({"rest": ['{"text": "x"}', "{"]}, "samples.parquet:2: rest: not JSON"),
        ({"split": [b"\xff", b"a"]}, "column split: expected text, got binary"),
        ({"id": [1, 2]}, "column id: expected text, got int64"),
        ({"labels": [{"mood": "good"}, {"mood": "bad"}]}, "column labels: expected JSON as text, got struct<mood"),
    ],
)
def test_columns_of_another_form_are_told(tmp_path, columns, said):
    held = {k: v for k, v in (ROWS | columns).items() if v is not None}
    with pytest.raises(ConfigError, match=said):
        loaded(tmp_path, held)
