"""Smaller networks that learn from the original, as a search tries them and as a user asks for them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cli.sample_library import run
from onlooker.bundles import load_bundle
from onlooker.core.errors import UsageError
from onlooker.learning.compress.contract import Contract
from onlooker.learning.compress.plan import RATIOS, key_of, pruned_by, said, sequences
from onlooker.learning.compress.run import compress
from onlooker.learning.compress.search import Request, Search
from onlooker.learning.compress.students import asked_students, shallower_student
from onlooker.learning.run_folder import RunFolder


@pytest.fixture(scope="module")
def taught(tiny_subject, tmp_path_factory: pytest.TempPathFactory):
    """A search in which another network learned from the original by settings that a user gives."""
    subject, dataset = tiny_subject
    (name,) = RunFolder(subject.run).recipe().inputs
    (student,) = asked_students([f"inputs.{name}={{network: frame_cnn, widths: [5], stem: 4}}"])
    request = Request(
        str(subject.run), dataset.folder, Contract(max_drop=100.0), tmp_path_factory.mktemp("taught") / "out",
        steps=("prune", "distil", "graph"), epochs=1, threads=1, ratios=(0.4,), slices=False, students=(student,),
        student_epochs=2,
    )  # fmt: skip
    return compress(request), student


def test_another_network_takes_the_place_of_the_original(taught) -> None:
    found, student = taught
    rows = [r for r in found["candidates"] if r["steps"][0].get("student") == student]
    assert [[s["step"] for s in r["steps"]] for r in rows] == [
        ["distil", "graph"],
        ["distil", "prune", "distil", "graph"],
    ]
    assert [r.get("error") for r in rows] == [None, None]
    assert rows[1]["size_mb"] < rows[0]["size_mb"] < found["baseline"]["size_mb"], "pruned after it learned"
    folder = Path(rows[0]["bundle"])
    learned = RunFolder(folder.parents[1] / key_of(tuple(rows[0]["steps"][:1])) / "run").recipe()
    (network,) = learned.inputs.values()
    assert (network.network, tuple(network.widths)) == ("frame_cnn", (5,))  # type: ignore[attr-defined]
    told = load_bundle(folder).manifest.provenance
    step = next(s for s in told.steps if s.name == "distil")
    assert json.loads(str(step.settings["student"])) == student, "its lineage says which network it is"
    assert told.parent == load_bundle(folder.parents[1] / key_of(tuple(rows[0]["steps"][:1])) / "bundle").digest


def test_by_default_it_is_one_of_the_same_kind_with_fewer_layers(tiny_subject, tmp_path: Path) -> None:
    subject, dataset = tiny_subject
    recipe = RunFolder(subject.run).recipe()
    (name, network) = next(iter(recipe.inputs.items()))
    expected = {"inputs": {name: network.shallower()}}
    assert expected["inputs"][name] is not None
    assert shallower_student(subject.run) == expected

    def search(**more) -> Search:
        return Search(Request(str(subject.run), dataset.folder, Contract(), tmp_path / "out", threads=1, **more))

    assert search().students() == ((expected,), recipe.training.epochs)
    assert search(student_epochs=3).students() == ((expected,), 3)
    assert search(student_epochs=0).students() == ((), 0)
    with pytest.raises(UsageError, match=r"--student: student.inputs.other: the original has"):
        search(students=({"inputs": {"other": {"stem": 4}}},))


def test_they_are_tried_last_and_are_not_taken_for_pruning_of_the_original() -> None:
    student = {"inputs": {"video": {"widths": [16], "stem": 4}}}
    made = sequences(trains=True, epochs=2, int8={}, students=[student], student_epochs=9)
    own = [n for n, steps in enumerate(made) if any(s.get("student") for s in steps)]
    assert own == list(range(len(made) - 4, len(made)))
    assert [said(s) for s in made[-4:]] == [
        "distil into widths [16] stem 4, graph",
        "distil into widths [16] stem 4, int8",
        "distil into widths [16] stem 4, prune 0.5, distil, graph",
        "distil into widths [16] stem 4, prune 0.5, distil, int8",
    ]
    assert {pruned_by(s) for s in made[-4:]} == {None}
    assert {pruned_by(s) for s in made} == {None, *RATIOS}
    assert all(s[0]["epochs"] == 9 for s in made[-4:])
    assert not any(s.get("student") for steps in sequences(trains=True, epochs=2, int8={}) for s in steps)


def test_settings_that_cannot_be_are_told_before_anything_is_tried(tiny_subject, tmp_path: Path, capsys) -> None:
    subject, dataset = tiny_subject
    given = ("compress", subject.run, "--data", dataset.folder, "--out", tmp_path / "out")
    for text, expected in {
        "widths": "--student: expected NAME=VALUE, got 'widths'",
        "training.epochs=3": "--student training: expected settings of inputs or fusion alone",
        "inputs.no_such.widths=[4]": "--student: student.inputs.no_such: the original has",
        "inputs.picture.widths=[": "--student inputs.picture.widths: not YAML",
    }.items():
        assert run(*given, "--student", text) == 1
        assert expected in capsys.readouterr().err
        assert not list(tmp_path.rglob("*.json")), "nothing is left in the way of the right command"
    shutil.copytree(subject.bundle, tmp_path / "alone")
    alone = ("compress", tmp_path / "alone", "--data", dataset.folder, "--out", tmp_path / "out")
    assert run(*alone, "--student", "inputs.picture.stem=4") == 1
    assert "--student: only the bundle is known, not the run" in capsys.readouterr().err


def test_what_was_made_by_other_teachers_or_chances_is_not_taken_again(tiny_subject, tmp_path: Path) -> None:
    subject, dataset = tiny_subject

    def search(**more) -> Search:
        return Search(Request(str(subject.run), dataset.folder, Contract(), tmp_path / "out", threads=1, **more))

    search()
    search()
    with pytest.raises(UsageError, match="out was begun with other teachers"):
        search(teachers=(subject.run,))
    with pytest.raises(UsageError, match="out was begun with another seed"):
        search(seed=1)
    samples = dataset.folder / "samples.jsonl"
    before = samples.read_text()
    try:
        samples.write_text("\n".join(before.splitlines()[1:]) + "\n")
        with pytest.raises(UsageError, match="out was begun with another dataset"):
            search()
    finally:
        samples.write_text(before)
