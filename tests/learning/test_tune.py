"""Searching as a user does it: trials, a front, going on, several processes."""

from __future__ import annotations

import json
from pathlib import Path

import optuna
import pytest

from learning._tiny import tiny_dataset, tiny_recipe
from onlooker.cli.main import main
from onlooker.core.errors import ConfigError, UsageError
from onlooker.learning.recipe import load_recipe
from onlooker.learning.tune import tune
from onlooker.learning.tune_study import open_study
from onlooker.learning.tune_trials import Watched

SPACE = {
    "optimiser.rate": {"low": 1e-6, "high": 0.05, "log": True},
    "inputs.picture.widths": {"choices": [[4], [8, 16]]},
}
FEW = {"epochs": 2, "batch": 8, "threads": 1, "workers": 0}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "set"
    tiny_dataset(folder)
    return folder


def test_a_search_finds_the_better_setting_and_goes_on(tmp_path: Path, dataset: Path) -> None:
    recipe = tiny_recipe(
        tmp_path, dataset, training=FEW, search={"space": SPACE}, tasks={"side": {"head": "classification"}}
    )
    first = tune(recipe, out=tmp_path / "search", trials=4)
    assert [t["trial"] for t in first["trials"]] == [0, 1, 2, 3]
    assert first["trials"][0]["settings"]["optimiser.rate"] == 0.01, "the recipe as it is comes first"
    again = tune(recipe, out=tmp_path / "search", trials=6)
    assert again["trials"][:4] == first["trials"]
    assert len(again["trials"]) == 6
    done = [t for t in again["trials"] if t["state"] == "complete"]
    best = max(done, key=lambda t: t["values"]["score"])
    assert best["trial"] == again["best"]
    made = load_recipe(tmp_path / "search" / "best.yaml")
    assert made.optimiser.rate == pytest.approx(best["settings"]["optimiser.rate"])
    page = (tmp_path / "search" / "report.html").read_text()
    assert "optimiser.rate" in page
    assert "<svg" in page


def test_another_search_is_not_mixed_in(tmp_path: Path, dataset: Path) -> None:
    recipe = tiny_recipe(tmp_path, dataset, training=FEW, search={"space": SPACE})
    tune(recipe, out=tmp_path / "search", trials=1)
    with pytest.raises(UsageError, match="holds a search for something else"):
        tune(recipe, overrides=["search.objectives=[score, size]"], out=tmp_path / "search", trials=1)


def test_several_objectives_make_a_front(tmp_path: Path, dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search = {"objectives": ["score", "latency", "size"], "space": SPACE}
    recipe = tiny_recipe(tmp_path, dataset, training=FEW, search=search, tasks={"side": {"head": "classification"}})
    with pytest.raises(SystemExit, match="0"):
        main(["tune", str(recipe), "--trials", "4", "--out", str(tmp_path / "search"), "--json"])
    found = json.loads(capsys.readouterr().out)
    done = {t["trial"]: t["values"] for t in found["trials"] if t["state"] == "complete"}
    assert done
    assert all(v["latency"] > 0 and v["size"] > 0 for v in done.values())

    def beats(a: dict, b: dict) -> bool:
        better = [a["score"] >= b["score"], a["latency"] <= b["latency"], a["size"] <= b["size"]]
        return all(better) and a != b

    assert set(found["front"]) == {n for n, v in done.items() if not any(beats(o, v) for o in done.values())}


@pytest.mark.parametrize(
    ("objectives", "stopped"),
    [(["score"], [0.1]), (["latency"], []), (["size"], []), (["latency", "size"], []), (["score", "size"], [0.1])],
)
def test_trials_are_stopped_by_their_score_where_it_counts(
    tmp_path: Path, dataset: Path, objectives: list[str], stopped: list[float]
) -> None:
    """With latency alone those of the best score were stopped: less was taken to be better."""
    recipe = load_recipe(tiny_recipe(tmp_path, dataset, search={"objectives": objectives}))
    study = open_study(tmp_path, recipe)
    found = []
    for score in (0.5, 0.55, 0.6, 0.65, 0.9, 0.1):
        trial = study.ask()
        watched = Watched(trial, recipe.search.objectives, [])
        try:
            for epoch in range(4):
                watched.epoch({"epoch": epoch, "score": score})
        except optuna.TrialPruned:
            found.append(score)
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, [1.0] * len(objectives))
    assert found == stopped


def test_a_trial_that_breaks_does_not_end_the_search(tmp_path: Path, dataset: Path) -> None:
    recipe = tiny_recipe(tmp_path, dataset, training={**FEW, "epochs": 1}, search={"space": SPACE})
    out = tmp_path / "search"
    tune(recipe, out=out, trials=1)
    (out / "trial-0001").mkdir()
    (out / "trial-0001" / "state.safetensors").write_bytes(b"")
    (out / "trial-0001" / "log.jsonl").write_text("{half a line")
    found = tune(recipe, out=out, trials=3)
    assert [t["state"] for t in found["trials"]] == ["complete", "fail", "complete"]
    assert "JSONDecodeError: Expecting property name" in found["trials"][1]["error"]


def test_two_processes_share_a_search(tmp_path: Path, dataset: Path) -> None:
    recipe = tiny_recipe(tmp_path, dataset, training={**FEW, "epochs": 1}, search={"space": SPACE})
    found = tune(recipe, out=tmp_path / "search", trials=4, jobs=2)
    assert 4 <= len(found["trials"]) <= 5
    assert all(t["state"] in ("complete", "pruned") for t in found["trials"])


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"optimiser.rate": {"low": 1, "high": 0.5}}, "expected low < high"),
        ({"optimiser.rate": {}}, "expected low and high, or choices"),
        ({"optimiser.rate": {"low": 0, "high": 1, "log": True}}, "expected low above 0"),
    ],
)
def test_a_space_that_makes_no_sense_is_told(tmp_path: Path, dataset: Path, space: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_recipe(tiny_recipe(tmp_path, dataset, search={"space": space}))


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (
            {"optimiser.rat": {"low": 1e-3, "high": 1e-2}},
            "search.space.optimiser.rat: 0.001 .*there is no such setting",
        ),
        ({"training.batch": {"choices": [8, 0]}}, "search.space.training.batch: 0 cannot be tried: .*greater than or"),
    ],
)
def test_what_cannot_be_tried_is_told_before_anything_is(tmp_path: Path, dataset: Path, space: dict, said: str) -> None:
    recipe = tiny_recipe(tmp_path, dataset, training=FEW, search={"space": space})
    with pytest.raises(UsageError, match=said):
        tune(recipe, out=tmp_path / "search", trials=2)
    with pytest.raises(UsageError, match="a search needs a validation part"):
        tune(tiny_recipe(tmp_path, dataset), overrides=["splits.validation=null"], out=tmp_path / "search", trials=2)
    assert not (tmp_path / "search").exists()


def test_a_search_of_which_nothing_succeeds_is_an_error(
    tmp_path: Path, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search = {"space": {"optimiser.rate": {"low": 1e37, "high": 1e38}}}
    recipe = tiny_recipe(tmp_path, dataset, training=FEW, search=search, optimiser={"kind": "sgd", "rate": 1.0})
    with pytest.raises(SystemExit, match="1"):
        main(["tune", str(recipe), "--trials", "2", "--out", str(tmp_path / "search")])
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[:3] for line in lines[:2]] == [["trial", "0", "fail"], ["trial", "1", "fail"]]
    assert all("training diverged" in line for line in lines)
    assert lines[-1].startswith("onlooker: none of 2 trials was completed; the last said: training diverged")
    assert "diverged" in (tmp_path / "search" / "report.html").read_text()


def test_a_search_in_the_place_of_a_file_is_told(tmp_path: Path, dataset: Path) -> None:
    (tmp_path / "search").write_text("mine")
    with pytest.raises(UsageError, match=r"cannot make the folder .*search"):
        tune(tiny_recipe(tmp_path, dataset), out=tmp_path / "search", trials=1)
