"""Searches that are stopped, as users stop them: Ctrl-C, a kill, a budget, a power cut; the next sitting goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from learning._tiny import tiny_dataset, tiny_recipe
from onlooker.cli.main import main
from onlooker.core.errors import UsageError
from onlooker.learning.tune import tune

SPACE = {"optimiser.rate": {"low": 1e-4, "high": 0.02, "log": True}}
LONG = {"epochs": 40, "batch": 8, "threads": 1, "workers": 0}
ENDLESS = "5000"
"""Trials, more than any machine makes before it is stopped."""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "set"
    tiny_dataset(folder)
    return folder


def made(folder: Path, dataset: Path, **changes: object) -> Path:
    tasks = {"side": {"head": "classification"}}
    inputs = {"picture": {"network": "frame_cnn", "widths": [4]}}
    return tiny_recipe(
        folder, dataset, **{"training": LONG, "search": {"space": SPACE}, "tasks": tasks, "inputs": inputs, **changes}
    )


def begun(recipe: Path, out: Path, *options: str, until: Path, deaf: bool = False) -> subprocess.Popen[str]:
    """The command in a session of its own, once a file is there; ``deaf`` to Ctrl-C, as by nohup, or not."""
    command = [sys.executable, "-m", "onlooker", "tune", str(recipe), "--out", str(out), *options]
    # a process begins with what its parent ignores
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if deaf else signal.SIG_DFL)
    try:
        process = subprocess.Popen(command, start_new_session=True, text=True, stderr=subprocess.PIPE)
    finally:
        signal.signal(signal.SIGINT, before)
    end = time.monotonic() + 300
    while not until.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    assert until.exists()
    return process


def test_a_killed_search_goes_on_with_the_trial_it_was_at(tmp_path: Path, dataset: Path) -> None:
    out = tmp_path / "search"
    recipe = made(tmp_path, dataset)
    process = begun(recipe, out, "--trials", "3", until=out / "trial-0001" / "state.safetensors")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    first = (out / "trial-0001" / "environment.json").stat().st_mtime_ns
    found = tune(recipe, out=out, trials=3)
    assert [t["state"] for t in found["trials"]] == ["complete"] * 3, "none is lost"
    assert found["finished"] == 2
    assert (out / "trial-0001" / "environment.json").stat().st_mtime_ns == first, "it was not begun anew"
    assert len((out / "trial-0001" / "log.jsonl").read_text().splitlines()) == 40
    assert len(found["trials"][1]["scores"]) == 40


def test_ctrl_c_ends_all_processes_with_one_line_and_shows_what_there_is(tmp_path: Path, dataset: Path) -> None:
    out = tmp_path / "search"
    recipe = made(tmp_path, dataset)
    process = begun(recipe, out, "--trials", ENDLESS, "--jobs", "2", until=out / "trial-0002" / "state.safetensors")
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert said.splitlines()[-1] == "onlooker: stopped"
    assert "Traceback" not in said
    held = json.loads((out / "search.json").read_text())
    assert {"complete", "stopped"} <= {t["state"] for t in held["trials"]} <= {"complete", "pruned", "stopped"}
    assert (out / "report.html").is_file()
    assert (out / "best.yaml").is_file()


def test_one_command_at_a_time_searches_and_its_processes_end_with_it(tmp_path: Path, dataset: Path) -> None:
    out = tmp_path / "search"
    recipe = made(tmp_path, dataset)
    process = begun(
        recipe, out, "--trials", ENDLESS, "--jobs", "2", until=out / "trial-0001" / "state.safetensors", deaf=True
    )
    try:
        with pytest.raises(UsageError, match="another onlooker tune is at work"):
            tune(recipe, out=out, trials=int(ENDLESS))
    finally:
        os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=120)
    before = len(list(out.glob("trial-*")))
    found = tune(recipe, out=out, trials=before)
    assert len(found["trials"]) >= before
    assert {t["state"] for t in found["trials"]} <= {"complete", "pruned"}, "none is at work still"


def test_a_budget_that_is_over_before_a_trial_is_told(
    tmp_path: Path, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = made(tmp_path, dataset, training={**LONG, "epochs": 2})
    options = ["tune", str(recipe), "--out", str(tmp_path / "search"), "--budget", "0.0001s"]
    with pytest.raises(SystemExit, match="1"):
        main(options)
    assert "the budget of 0.0001 s was over before a trial was completed" in capsys.readouterr().err
    assert tune(recipe, out=tmp_path / "search", trials=1)["finished"] == 1
    with pytest.raises(SystemExit, match="0"):
        main([*options, "--json"])
    out, err = capsys.readouterr()
    assert json.loads(out)["finished"] == 0
    assert "the budget of 0.0001s was over before a trial was finished" in err


def test_a_further_sitting_tries_other_settings(tmp_path: Path, dataset: Path) -> None:
    recipe = made(tmp_path, dataset, training={**LONG, "epochs": 1})
    for trials in (2, 3, 4, 5):
        found = tune(recipe, out=tmp_path / "search", trials=trials)
    assert len({t["settings"]["optimiser.rate"] for t in found["trials"]}) == 5


def test_a_torn_last_line_of_the_journal_costs_itself_alone(tmp_path: Path, dataset: Path) -> None:
    recipe = made(tmp_path, dataset, training={**LONG, "epochs": 1})
    tune(recipe, out=tmp_path / "search", trials=2)
    with (tmp_path / "search" / "trials.log").open("a") as journal:
        journal.write('{"op_code":4,"worker')
    for trials in (3, 4):
        assert len(tune(recipe, out=tmp_path / "search", trials=trials)["trials"]) == trials


def test_another_recipe_or_dataset_is_not_mixed_in(tmp_path: Path) -> None:
    dataset = tmp_path / "set"
    tiny_dataset(dataset)
    recipe = made(tmp_path, dataset, training={**LONG, "epochs": 1})
    tune(recipe, out=tmp_path / "search", trials=1)
    with pytest.raises(UsageError, match=r"training\.epochs was 1 and is 3"):
        tune(recipe, overrides=["training.epochs=3"], out=tmp_path / "search", trials=2)
    tune(recipe, overrides=["training.threads=2"], out=tmp_path / "search", trials=1)
    lines = (dataset / "samples.jsonl").read_text().splitlines()
    (dataset / "samples.jsonl").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(UsageError, match="is not what it was"):
        tune(recipe, out=tmp_path / "search", trials=2)


def test_settings_that_end_the_process_do_not_hold_up_the_search(tmp_path: Path, dataset: Path) -> None:
    """The system kills what takes too much memory: such a trial is given up at its third end in the same epoch."""
    out = tmp_path / "search"
    recipe = made(tmp_path, dataset, training={**LONG, "epochs": 200})
    options = ("--trials", "1")
    for _ in range(3):
        process = begun(recipe, out, *options, until=out / "trial-0000" / "recipe.yaml")
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        (out / "trial-0000" / "recipe.yaml").unlink(missing_ok=True)
        (out / "trial-0000" / "state.safetensors").unlink(missing_ok=True)
        (out / "trial-0000" / "log.jsonl").unlink(missing_ok=True)
    with pytest.raises(UsageError, match="stopped three times in epoch 1"):
        tune(recipe, out=out, trials=1)


def test_whole_numbers_need_a_step(tmp_path: Path, dataset: Path) -> None:
    search = {"space": {"training.batch": {"low": 4, "high": 12}}}
    recipe = made(tmp_path, dataset, training={**LONG, "epochs": 1}, search=search)
    with pytest.raises(UsageError, match=r"search.space.training.batch: between 4 and 12 .* such as 6.16 .*step: 1"):
        tune(recipe, out=tmp_path / "search", trials=2)
