"""Training as a user does it: from a recipe to a run folder, stopped and gone on with, in several processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from learning._tiny import tiny_dataset, tiny_recipe
from onlooker.bundles.folder import load_bundle
from onlooker.cli.main import main
from onlooker.core.errors import ConfigError, UsageError
from onlooker.learning.datasets.manifest import Task
from onlooker.learning.recipe import load_recipe
from onlooker.learning.run_folder import load_model, read_tensors, write_tensors
from onlooker.learning.training.train import train


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "set"
    tiny_dataset(folder)
    return folder


def weights(run: Path) -> dict[str, torch.Tensor]:
    return read_tensors(run / "model.safetensors")[0]


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_a_recipe_becomes_a_run_that_has_learned(tmp_path: Path, dataset: Path) -> None:
    run = train(tiny_recipe(tmp_path, dataset, training={"epochs": 8, "batch": 8, "threads": 1}), out=tmp_path / "run")
    metrics = run.read("metrics.json")
    assert metrics["test"]["side"]["accuracy"] == 1.0
    lines = run.history()
    assert [line["epoch"] for line in lines] == list(range(8))
    # 0.53 to 0.74 by the chances that it begins with
    assert lines[-1]["loss"]["side"] < 0.85 * lines[0]["loss"]["side"]
    model, recipe, facts = load_model(run.path)
    assert list(model.tasks) == ["side", "shade"]
    assert recipe.training.epochs == 8
    assert facts.tasks["side"].classes == ("left", "right")
    for name in ("report.html", "environment.json", "bundle/bundle.json"):
        assert (run.path / name).is_file(), name
    told = [m for m in load_bundle(run.path / "bundle").manifest.metrics if (m.output, m.split) == ("shade", "test")]
    error = next(m for m in told if m.name == "mae")
    assert error.count == 4
    assert error.ci95 is not None
    assert error.ci95[0] < error.value < error.ci95[1]


def test_the_same_seed_gives_the_same_weights_and_another_does_not(tmp_path: Path, dataset: Path) -> None:
    recipe = tiny_recipe(tmp_path, dataset)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(recipe, overrides=["training.epochs=1", f"training.seed={seed}"], out=tmp_path / name, bundle=False)
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not same(weights(tmp_path / "a"), weights(tmp_path / "c"))


def test_the_last_weights_are_the_same_without_a_validation_part(tmp_path: Path, dataset: Path) -> None:
    """The norms of the running mean are measured whether it is tried or not."""
    recipe = tiny_recipe(tmp_path, dataset)
    settings = ["training.epochs=2", "training.ema=0.5", "training.recalibrate=2", "training.keep=last"]
    train(recipe, overrides=settings, out=tmp_path / "tried", bundle=False)
    train(recipe, overrides=[*settings, "splits.validation=null"], out=tmp_path / "not_tried", bundle=False)
    assert same(weights(tmp_path / "tried"), weights(tmp_path / "not_tried"))


BALANCING = ["fixed", "uncertainty", "famo"]


@pytest.mark.parametrize("balancing", BALANCING)
@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_a_killed_run_goes_on_with_the_same_numbers(
    tmp_path: Path, dataset: Path, balancing: str, optimiser: str
) -> None:
    changes = {
        "balancing": {"kind": balancing},
        "optimiser": {"kind": optimiser, "rate": 0.01},
        "inputs": {"picture": {"network": "frame_cnn", "widths": [8, 16], "dropout": 0.2}},
    }
    recipe = tiny_recipe(tmp_path, dataset, **changes)
    train(recipe, out=tmp_path / "whole", bundle=False)
    program = (
        "import sys, time, torch; torch.set_num_threads(1)\n"
        "from pathlib import Path\n"
        "from onlooker.learning.training import loop\n"
        "from onlooker.learning.training.train import train\n"
        "step, begun = loop.one_step, []\n"
        "def slow(run, batch):\n"
        "    begun.append(batch)\n"
        "    time.sleep(0.05 if len(begun) < 14 else 600)\n"  # it is not over before it is killed
        "    return step(run, batch)\n"
        "loop.one_step = slow\n"
        "train(Path(sys.argv[1]), out=Path(sys.argv[2]), bundle=False)\n"
    )
    killed = subprocess.Popen([sys.executable, "-c", program, str(recipe), str(tmp_path / "killed")])
    state = tmp_path / "killed" / "state.safetensors"
    done = 0
    while done < 6 and killed.poll() is None:
        if state.exists():
            with suppress(UsageError):  # it is replaced while it is read
                facts = read_tensors(state)[1]
                done = facts["epoch"] * 4 + facts["step"]
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert 6 <= done < 16, "it was killed in its midst"
    train(recipe, out=tmp_path / "killed", resume=True, bundle=False)
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "killed"))
    logs = [(tmp_path / name / "log.jsonl").read_text() for name in ("whole", "killed")]
    assert logs[0] == logs[1]


def test_two_processes_train_the_model_that_one_trains(tmp_path: Path, dataset: Path) -> None:
    # without norms over the batch and without chances, two halves of a batch are the batch
    network = {"network": "frame_cnn", "widths": [8, 16], "norm": "group"}
    recipe = tiny_recipe(
        tmp_path, dataset, inputs={"picture": network}, tasks={"side": {"head": "classification"}}, augment={},
        training={"epochs": 6, "batch": 4, "threads": 1, "workers": 0, "precision": "float32"},
    )  # fmt: skip
    launched = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    launched += ["-m", "onlooker", "train", str(recipe), "--out", str(tmp_path / "two"), "--no-bundle", "--json"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(launched, capture_output=True, text=True, env=env, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    assert "test" in json.loads(done.stdout)["metrics"]
    train(recipe, overrides=["training.batch=8"], out=tmp_path / "one", bundle=False)
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert max(float((one[k] - two[k]).abs().max()) for k in one) < 1e-4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"optimiser": {"rate": -1}}, r"recipe.yaml:\d+: optimiser.rate: Input should be greater than 0"),
        ({"trainings": {}}, "trainings: there is no such setting here"),
        ({"tasks": {"side": {"head": "clasification"}}}, "tasks.side: .*clasification"),
        ({"inputs": {"picture": {"network": "frame_cnn", "widths": "wide"}}}, "widths"),
        ({"training": {"monitor": "smell"}}, "monitor: there is no task 'smell'"),
    ],
)
def test_a_wrong_recipe_is_told_with_its_line(tmp_path: Path, dataset: Path, change: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_recipe(tiny_recipe(tmp_path, dataset, **change))


def test_a_setting_is_told_by_its_name(tmp_path: Path, dataset: Path) -> None:
    recipe = tiny_recipe(tmp_path, dataset)
    assert load_recipe(recipe, ["training.epochs=7", "inputs.picture.widths=[4, 4]"]).training.epochs == 7
    with pytest.raises(UsageError, match=r"--set training.epochs: Input should be greater"):
        load_recipe(recipe, ["training.epochs=0"])


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("a.b=3", r"^--set a.b=3: a: there is no such setting here"),
        ("inputs.picture.network=", r"^--set inputs.picture.network=: inputs.picture: Input tag 'None'"),
        ("training.monitor=smell", r"^--set training.monitor=smell: training.monitor: there is no task 'smell'"),
        ("training.epochs=[1", r"^--set training.epochs: not YAML: expected .*, in '\[1'"),
        ("training.epochs=2020-13-45", r"^--set training.epochs: not YAML: month must be in 1..12"),
    ],
)
def test_what_a_setting_breaks_is_no_fault_of_the_file(tmp_path: Path, dataset: Path, setting: str, said: str) -> None:
    recipe = tiny_recipe(tmp_path, dataset)
    with pytest.raises(UsageError, match=said) as raised:
        load_recipe(recipe, [setting])
    assert "\n" not in str(raised.value)


def test_a_wrong_file_is_told_with_its_line_under_settings_too(tmp_path: Path, dataset: Path) -> None:
    recipe = tiny_recipe(tmp_path, dataset, tasks={"side": {"head": "clasification"}})
    with pytest.raises(ConfigError, match=r"recipe.yaml:\d+: tasks.side: .*clasification"):
        load_recipe(recipe, ["training.epochs=3"])


def test_what_does_not_fit_the_dataset_is_said(tmp_path: Path, dataset: Path) -> None:
    recipe = tiny_recipe(tmp_path, dataset, tasks={"smell": {"head": "classification"}})
    with pytest.raises(UsageError, match="the dataset has no task 'smell'; it has side, shade"):
        train(recipe, out=tmp_path / "run")
    recipe = tiny_recipe(tmp_path, dataset, tasks={"shade": {"head": "classification"}})
    with pytest.raises(UsageError, match="shade is of kind regression"):
        train(recipe, out=tmp_path / "run")


def test_what_does_not_fit_the_dataset_is_told_with_its_line_or_setting(tmp_path: Path, dataset: Path) -> None:
    recipe = tiny_recipe(tmp_path, dataset, tasks={"shade": {"head": "classification"}})
    (line,) = [n for n, text in enumerate(recipe.read_text().splitlines(), 1) if text.strip() == "shade:"]
    with pytest.raises(UsageError, match=rf"recipe.yaml:{line}: tasks.shade: .* is of kind regression"):
        train(recipe, out=tmp_path / "run")
    setting = "tasks.shade.head=multi_label"
    with pytest.raises(UsageError, match=rf"^--set {setting}: tasks.shade: .* is of kind regression"):
        train(recipe, overrides=[setting], out=tmp_path / "run")


def test_pictures_that_cannot_be_read_are_not_told_as_missing(tmp_path: Path) -> None:
    for picture in tiny_dataset(tmp_path / "set").folder.glob("*.png"):
        picture.write_bytes(b"no picture")
    said = r"no sample .* has pictures; 32 of 32 samples could not be decoded, such as 0: "
    with pytest.raises(UsageError, match=said):
        train(tiny_recipe(tmp_path, tmp_path / "set"), out=tmp_path / "run")


@pytest.mark.parametrize("field", ["train", "validation", "test"])
def test_a_part_that_the_dataset_lacks_is_said(tmp_path: Path, dataset: Path, field: str) -> None:
    recipe = tiny_recipe(tmp_path, dataset)
    with pytest.raises(UsageError, match=rf"splits.{field}: .* has no split 'vla' \(there are train, val, test\)"):
        train(recipe, overrides=[f"splits.{field}=vla"], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_parts_may_be_joined_and_usual_ones_missing(tmp_path: Path) -> None:
    made = tiny_dataset(tmp_path / "data", count=12)
    made.info = made.info.model_copy(update={"splits": ("train", "val")})
    made.put([s.model_copy(update={"split": "val" if s.split == "test" else s.split}) for s in made.samples])
    made.save()
    recipe = tiny_recipe(tmp_path, tmp_path / "data")
    run = train(
        recipe, overrides=["training.epochs=1", "splits.validation=train+val"], out=tmp_path / "run", bundle=False
    )
    metrics = run.read("metrics.json")
    assert list(metrics) == ["validation"]
    assert len(np.load(run.path / "predictions-validation.npz")["ids"]) == 12


def test_tensorboard_reads_what_a_run_wrote(tmp_path: Path, dataset: Path) -> None:
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    recipe = tiny_recipe(tmp_path, dataset)
    run = train(
        recipe, overrides=["training.epochs=3", "training.tensorboard=true"], out=tmp_path / "run", bundle=False
    )
    read = reading.EventAccumulator(str(run.path / "tensorboard"))
    read.Reload()
    told = [(e.step, e.value) for e in read.Scalars("loss/side")]
    assert told == [(line["epoch"], pytest.approx(line["loss"]["side"], rel=1e-5)) for line in run.history()]


def test_a_run_goes_on_with_its_own_recipe_and_dataset_alone(tmp_path: Path) -> None:
    made = tiny_dataset(tmp_path / "data", count=24)
    recipe = tiny_recipe(tmp_path, tmp_path / "data")
    train(recipe, overrides=["training.epochs=2"], out=tmp_path / "run", bundle=False)
    before = weights(tmp_path / "run")
    with pytest.raises(UsageError, match=r"another recipe: optimiser.rate was 0.01 and is 0.3, training.epochs was 2 "):
        train(recipe, overrides=["optimiser.rate=0.3"], out=tmp_path / "run", resume=True)
    other = ["training.epochs=2", "inputs.picture.widths=[4, 4]"]
    with pytest.raises(UsageError, match=r"inputs.picture.widths was \[8, 16\] and is \[4, 4\]"):
        train(recipe, overrides=other, out=tmp_path / "run", resume=True)
    free = ["training.epochs=2", "training.workers=1", "training.checkpoint_seconds=9"]
    train(recipe, overrides=free, out=tmp_path / "run", resume=True, bundle=False)
    assert same(weights(tmp_path / "run"), before)
    made.put([made.samples[0].model_copy(update={"labels": {"side": "right"}})])
    made.save()
    with pytest.raises(UsageError, match=r"data is not what it was when .*run was begun"):
        train(recipe, overrides=["training.epochs=2"], out=tmp_path / "run", resume=True)
    assert same(weights(tmp_path / "run"), before)


def test_going_on_in_a_folder_of_something_else_leaves_it_alone(tmp_path: Path, dataset: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "log.jsonl").write_text("mine")
    with pytest.raises(UsageError, match="home holds no run to go on with"):
        train(tiny_recipe(tmp_path, dataset), out=tmp_path / "home", resume=True)
    assert [(f.name, f.read_text()) for f in (tmp_path / "home").iterdir()] == [("log.jsonl", "mine")]


def test_what_a_run_says_has_a_line_for_each_epoch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = tiny_dataset(tmp_path / "data", count=24)
    # one individual alone in each part but the first: there is no pair to compare
    tasks = {**made.info.tasks, "who": Task(kind="identity")}
    made.info = made.info.model_copy(update={"tasks": tasks})
    who = {s.id: "ann" if int(s.id) % 2 else "bob" for s in made.samples if s.split == "train" or int(s.id) in (16, 20)}
    made.put([s.model_copy(update={"labels": {**s.labels, "who": who[s.id]}}) for s in made.samples if s.id in who])
    made.save()
    tasks = {"side": {"head": "classification"}, "shade": {"head": "regression"}, "who": {"head": "embedding"}}
    recipe = tiny_recipe(tmp_path, tmp_path / "data", tasks=tasks)
    words = ["train", str(recipe), "--out", str(tmp_path / "run"), "--set", "training.epochs=2", "--no-bundle"]
    with pytest.raises(SystemExit, match="0"):
        main(words)
    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert [line.split("loss")[0].split() for line in lines[-2:]] == [["epoch", "1"], ["epoch", "2"]]
    assert all("who" in line and "shade" in line.split("side")[-1] for line in lines[-2:])
    assert "validation   who: its labels are too few to measure anything" in said.out
    scores = [json.loads(line)["score"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    page = (tmp_path / "run" / "report.html").read_text()
    assert f"The best epoch on the validation part is {scores.index(max(scores)) + 1}," in page


def test_results_that_cannot_be_written_are_told(tmp_path: Path, dataset: Path) -> None:
    (tmp_path / "file").write_text("mine")
    recipe = tiny_recipe(tmp_path, dataset)
    with pytest.raises(UsageError, match=r"file is a file, no folder"):
        train(recipe, out=tmp_path / "file")
    with pytest.raises(UsageError, match=r"cannot make the folder .*file/run"):
        train(recipe, out=tmp_path / "file" / "run")
    with pytest.raises(UsageError, match=r"cannot write .*file/model.safetensors"):
        write_tensors(tmp_path / "file" / "model.safetensors", {"a": torch.zeros(2)})
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("settings", [[], ["training.batch=64", "training.epochs=1"]])
def test_a_run_that_diverges_says_so(tmp_path: Path, dataset: Path, settings: list[str]) -> None:
    recipe = tiny_recipe(tmp_path, dataset)
    more = [*settings, "optimiser.rate=1.0e+38", "optimiser.kind=sgd"]
    with pytest.raises(UsageError, match=r"training diverged: .* no finite number any more at epoch 1, step \d+"):
        train(recipe, overrides=more, out=tmp_path / "run")


def test_a_folder_that_is_not_empty_is_kept(tmp_path: Path, dataset: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not empty"):
        train(tiny_recipe(tmp_path, dataset), out=tmp_path / "run")
    assert (tmp_path / "run" / "thesis.txt").read_text() == "mine"


def test_frozen_layers_stay_and_given_weights_are_taken(tmp_path: Path, dataset: Path) -> None:
    recipe = tiny_recipe(tmp_path, dataset)
    train(recipe, out=tmp_path / "first", bundle=False)
    more = [f"start.weights={tmp_path / 'first'}", "start.freeze=[encoders.picture]", "training.seed=5"]
    train(recipe, overrides=more, out=tmp_path / "second", bundle=False)
    first, second = weights(tmp_path / "first"), weights(tmp_path / "second")
    encoder = [k for k in first if k.startswith("encoders.")]
    assert encoder
    assert all(torch.equal(first[k], second[k]) for k in encoder), "norms' running means too"
    assert any(not torch.equal(first[k], second[k]) for k in first if k.startswith("heads."))
    with pytest.raises(UsageError, match=r"no parameter begins with 'encoders.sound'"):
        train(recipe, overrides=["start.freeze=[encoders.sound]"], out=tmp_path / "third")
