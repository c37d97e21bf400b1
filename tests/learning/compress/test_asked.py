"""Settings that could change nothing are refused before the search, with what to do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from analyzers.bundle.making import motion_bundle
from cli.sample_library import run
from learning._tiny import tiny_dataset
from onlooker.core.errors import UsageError
from onlooker.learning.compress.contract import Contract
from onlooker.learning.compress.plan import said, sequences


def test_each_step_that_is_asked_for_is_tried_or_refused() -> None:
    def tried(*only: str, trains: bool = True) -> list[str]:
        return [said(steps) for steps in sequences(trains=trains, epochs=1, int8={}, only=only, ratios=(0.5,))]

    assert tried("low_rank") == ["low_rank"]
    assert tried("low_rank", "graph") == ["graph", "low_rank, graph"]
    assert "low_rank, int8" in tried("low_rank", "int8")
    assert tried("qat") == ["qat"]
    assert tried("prune", "distil") == ["prune 0.5, distil", "prune 0.5"]
    for only in (("distil",), ("distil", "int8")):
        with pytest.raises(UsageError, match="--steps distil: nothing is there to learn") as told:
            tried(*only)
        assert "prune" in str(told.value.hint)
        assert "--student" in str(told.value.hint)
    for name in ("prune", "distil", "qat", "low_rank", "early_exit"):
        with pytest.raises(UsageError, match=f"--steps {name}: only the bundle is known") as told:
            tried(name, "int8", trains=False)
        assert "the folder of the run" in str(told.value.hint)
        assert "weight_only" in str(told.value.hint)


@pytest.mark.parametrize("name", ["max_drop", "max_latency_ms", "speed_up", "max_size_mb"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_limit_is_a_number(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=name):
        Contract(**{name: value})


def test_nothing_is_begun_with_what_would_be_ignored(tiny_subject, tmp_path: Path, capsys) -> None:
    subject, dataset = tiny_subject
    shutil.copytree(subject.bundle, tmp_path / "alone")
    given = ("--data", dataset.folder, "--out", tmp_path / "out")
    for bundle, more, expected in (
        (subject.run, ("--steps", "distil", "--student-epochs", 0), "--steps distil: nothing is there to learn"),
        (tmp_path / "alone", ("--steps", "prune,int8"), "--steps prune: only the bundle is known"),
        (subject.run, ("--teacher", "/nosuch"), "--teacher: /nosuch is not the folder of a run"),
        (subject.run, ("--teacher", subject.run, "--steps", "int8"), "--teacher: it is for distil"),
        (tmp_path / "alone", ("--teacher", subject.run), "--teacher: only the bundle is known"),
        (tmp_path / "alone", ("--epochs", 4), "--epochs: only the bundle is known"),
        (tmp_path / "alone", ("--student-epochs", 4), "--student-epochs: only the bundle is known"),
        (subject.run, ("--epochs", 4, "--steps", "qat,int8"), "--epochs: it is for prune, distil, low_rank or early"),
        (subject.run, ("--student-epochs", 4, "--steps", "int8"), "--student-epochs: it is for distil, which --steps"),
        (
            subject.run,
            ("--student", "inputs.picture.stem=1", "--steps", "int8"),
            "--student: it is for distil",
        ),
        (subject.run, ("--student", "inputs.picture.stem=1", "--student-epochs", 0), "it would not be tried"),
        (subject.run, ("--max-drop", "nan"), "max_drop: expected 0 or more points, got nan"),
    ):
        assert run("compress", bundle, *given, *more) == 1, more
        assert expected in capsys.readouterr().err
        assert not list(tmp_path.glob("out/**/*.json")), "nothing is left in the way of the right command"


def test_a_bundle_that_scores_the_unusual_is_timed_and_not_compressed(tmp_path: Path, capsys) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    motion_bundle(folder)
    (folder / "recipe.yaml").write_text("kind: anomaly\nname: moving\ndataset: .\n")
    tiny_dataset(tmp_path / "data")
    given = ("--data", tmp_path / "data", "--out", tmp_path / "out")
    for subject in (folder, folder / "bundle"):
        assert run("compress", subject, *given) == 1
        assert "moving scores how unusual moments are and cannot be compressed" in capsys.readouterr().err
        assert not list((tmp_path / "out").rglob("*"))
    assert run("bench", folder, "--rounds", 10, "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)["bundles"]
    assert row["latency_ms"] > 0
    assert row["eager_ms"] is None


def test_bundles_that_a_dataset_cannot_judge_are_named_before_anything_is_timed(tiny_subject, tmp_path, capsys) -> None:
    subject, _ = tiny_subject
    other = tiny_dataset(tmp_path / "data")
    other.info = other.info.model_copy(update={"tasks": {"half": other.info.tasks["side"]}})
    other.put([s.model_copy(update={"labels": {"half": s.labels["side"]}}) for s in other.samples])
    other.save()
    for words in (("bench", subject.run), ("compress", subject.run, "--out", tmp_path / "out")):
        assert run(*words, "--data", other.folder) == 1
        said = capsys.readouterr().err
        assert f"{subject.run}: no output of the bundle (side, shade) is a task of the dataset (half)" in said
        assert "--task" not in said, "neither has such an option"
    assert not list((tmp_path / "out").rglob("*"))
    assert run("bench", motion_bundle(tmp_path).folder, "--data", other.folder) == 1
    assert "scores how unusual moments are, which has measures of its own" in capsys.readouterr().err


def test_a_folder_that_holds_something_else_is_no_search_to_go_on_with(tiny_subject, tmp_path, capsys) -> None:
    subject, dataset = tiny_subject
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    given = ("compress", subject.run, "--data", dataset.folder, "--out", tmp_path / "out", "--resume")
    assert run(*given) == 1
    assert "holds no search to go on with" in capsys.readouterr().err
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine.txt"]
