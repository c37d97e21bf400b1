"""The test part decides: it must be held out, and measure every task."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cli.sample_library import run
from learning._tiny import tiny_dataset, tiny_recipe
from onlooker.learning.compress.contract import Contract
from onlooker.learning.compress.measure import worth_of
from onlooker.learning.compress.run import _held_to_it, compress, hopeful
from onlooker.learning.compress.search import Request, Search
from onlooker.learning.training.train import train

GRAPH = {"steps": ("graph",), "slices": False, "threads": 1}


def trained(folder: Path, **splits: str) -> tuple[Path, Path]:
    """A run that learned by these parts, and its dataset."""
    tiny_dataset(folder / "data")
    training = {"epochs": 1, "batch": 8, "threads": 1, "workers": 0, "checkpoint_seconds": 0}
    train(tiny_recipe(folder, folder / "data", splits=splits, training=training), out=folder / "run")
    return folder / "run", folder / "data"


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        ({"train": "train", "validation": "test", "test": "test"}, "chosen by and is the one to test on"),
        ({"train": "train+test", "validation": "val", "test": "test"}, "learned from and is the one to test on"),
    ],
)
def test_nothing_is_kept_on_a_test_part_that_was_learned_from_or_chosen_by(
    splits: dict[str, str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, data = trained(tmp_path, **splits)
    given = ("--data", data, "--out", tmp_path / "out", "--steps", "graph", "--max-drop", 100, "--threads", 1)
    assert run("compress", folder, *given) == 1
    told = capsys.readouterr().err
    assert "the part test of " in told
    assert expected in told
    assert "splits: {train: train, validation: val, test: test}" in told, "what to do"
    assert not list((tmp_path / "out").rglob("*.json"))
    if splits["train"] == "train+test":
        shutil.copytree(folder / "bundle", tmp_path / "alone")
        assert run("compress", tmp_path / "alone", *given) == 1
        assert expected in capsys.readouterr().err, "a bundle alone says too what it learned from"


def test_a_validation_part_that_was_learned_from_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, data = trained(tmp_path, train="train+val", validation="val", test="test")
    given = ("--data", data, "--out", tmp_path / "out", "--steps", "graph", "--max-drop", 100, "--threads", 1)
    assert run("compress", folder, *given, "--no-slices", "--json") == 0
    output = capsys.readouterr()
    (told,) = json.loads(output.out)["warnings"]
    assert told.startswith("val was learned from")
    assert f"warning: {told}" in output.err
    assert told in (tmp_path / "out" / "report.html").read_text()


def test_samples_of_the_test_part_that_go_with_what_was_learned_from_are_told(
    tiny_subject, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = tiny_dataset(tmp_path / "data")
    last = [s for s in dataset.samples if s.split in ("train", "test")][-12:]
    dataset.put([s.model_copy(update={"groups": {"person": s.id[-1]}}) for s in last])
    dataset.save()
    train(tiny_recipe(tmp_path, dataset.folder), out=tmp_path / "run")
    given = ("--data", dataset.folder, "--out", tmp_path / "out", "--steps", "graph", "--max-drop", 100)
    assert run("compress", tmp_path / "run", *given, "--threads", 1, "--no-slices") == 0
    output = capsys.readouterr()
    chosen = json.loads((tmp_path / "out" / "compression.json").read_text())["chosen"]
    (leak,) = chosen["leaks"]
    assert leak["code"] == "same-group"
    assert leak["count"] > 0
    assert f"leak into the test part: {leak['message']}" in output.out
    assert f"warning: test part: {leak['message']}" in output.err
    assert leak["message"] in (tmp_path / "out" / "report.html").read_text()
    whole = Request(str(tiny_subject[0].run), tiny_subject[1].folder, Contract(100), tmp_path / "clean", **GRAPH)
    assert compress(whole)["chosen"]["leaks"] == []


def test_a_task_that_the_test_part_cannot_measure_is_refused_before_the_search(
    tiny_subject, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subject, _ = tiny_subject
    less = tiny_dataset(tmp_path / "data")
    less.put([s.model_copy(update={"labels": {"side": s.labels["side"]}}) for s in less.of_split("test")])
    less.save()
    given = ("--out", tmp_path / "out", "--steps", "graph", "--max-drop", 100, "--threads", 1, "--no-slices", "--json")
    assert run("compress", subject.run, "--data", less.folder, *given) == 1
    told = capsys.readouterr().err
    assert "no sample of the part test of " in told
    assert "has a label of shade" in told
    assert not list((tmp_path / "out").rglob("*.json"))


def test_a_task_is_not_kept_where_its_labels_on_the_test_part_measure_nothing(tiny_subject, tmp_path: Path) -> None:
    """There may be labels, and of one kind alone, by which nothing can be ranked."""
    subject, dataset = tiny_subject
    request = Request(str(subject.run), dataset.folder, Contract(100), tmp_path / "out", **GRAPH)
    search = Search(request)
    search.tried(({"step": "graph"},))
    whole = worth_of(search.original.bundle, dataset.folder, "test", like=subject.run)
    one = hopeful(search.candidates, search.base_worth)[0]
    told = _held_to_it(search, one, {n: w for n, w in whole[0].items() if n != "shade"}, whole[1])
    assert told["broken"] == ["shade could not be measured on the part test"]
    assert not told["kept"]
    assert not (tmp_path / "out" / "bundle").exists()


def test_an_output_that_no_sample_measures_is_told(tiny_subject, tmp_path: Path, capsys) -> None:
    subject, _ = tiny_subject
    less = tiny_dataset(tmp_path / "data")
    less.put([s.model_copy(update={"labels": {"side": s.labels["side"]}}) for s in less.samples])
    less.save()
    given = ("--out", tmp_path / "out", "--steps", "graph", "--max-drop", 100, "--threads", 1, "--no-slices")
    assert run("compress", subject.run, "--data", less.folder, *given) == 0
    assert (
        "warning: shade could not be measured on the part val: no candidate is judged by it" in capsys.readouterr().err
    )
