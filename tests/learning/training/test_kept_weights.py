"""Which weights a run begins with, which epoch it keeps, when it stops, and what holds the faster sense back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from learning._tiny import tiny_dataset, tiny_recipe
from onlooker.cli.main import main
from onlooker.core.errors import UsageError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Task
from onlooker.learning.model import build_model
from onlooker.learning.run_folder import load_model, read_tensors
from onlooker.learning.training.train import train

SIDE = {"side": {"head": "classification"}}
PLAIN = {"batch": 4, "threads": 1, "workers": 0, "precision": "float32"}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "set"
    tiny_dataset(folder, count=24)
    return folder


def relabelled(folder: Path, *, task: str, kind: Task, labels: dict[str, object]) -> Dataset:
    """The tiny dataset with one task more, which the samples of these ids have labels of."""
    made = tiny_dataset(folder, count=24)
    made.info = made.info.model_copy(update={"tasks": {**made.info.tasks, task: kind}})
    more = [s for s in made.samples if s.id in labels]
    made.put([s.model_copy(update={"labels": {**s.labels, task: labels[s.id]}}) for s in more])
    made.save()
    return made


def alone(folder: Path) -> Dataset:
    """``who`` is one of two in the training part, and each one once in the others: nothing to compare them by."""
    labels: dict[str, object] = {str(n): f"p{n % 2}" if n < 16 else f"only{n}" for n in range(24)}
    return relabelled(folder, task="who", kind=Task(kind="identity"), labels=labels)


def test_a_first_layer_that_was_learned_is_not_set_anew_from_the_data(tmp_path: Path, dataset: Path) -> None:
    network = {"network": "whitened_cnn", "widths": [6, 8]}
    recipe = tiny_recipe(
        tmp_path, dataset, inputs={"picture": network}, tasks=SIDE, training={**PLAIN, "epochs": 1}, augment={}
    )
    train(recipe, out=tmp_path / "first", bundle=False)
    tiny_dataset(tmp_path / "other", count=24, seed=5)
    settings = [f"start.weights={tmp_path / 'first'}", "start.freeze=[encoders]", f"dataset={tmp_path / 'other'}"]
    train(recipe, overrides=settings, out=tmp_path / "second", bundle=False)
    first, second = (read_tensors(tmp_path / n / "model.safetensors")[0] for n in ("first", "second"))
    encoder = [k for k in first if k.startswith("encoders.")]
    assert encoder
    assert all(torch.equal(first[k], second[k]) for k in encoder)


def test_without_anything_to_choose_by_the_last_epoch_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone(tmp_path / "data")
    recipe = tiny_recipe(
        tmp_path, tmp_path / "data", tasks={"who": {"head": "embedding", "size": 4}}, augment={},
        training={**PLAIN, "epochs": 4, "patience": 1},
    )  # fmt: skip
    with pytest.raises(SystemExit, match="0"):
        main(["train", str(recipe), "--out", str(tmp_path / "run"), "--no-bundle"])
    said = "No metric can be told of the part 'val': the last epoch is kept, and patience does not count"
    assert capsys.readouterr().err.count(said) == 1
    assert "No metric can be told of the part" in (tmp_path / "run" / "report.html").read_text()
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 4
    kept, last = (read_tensors(tmp_path / "run" / f"{n}.safetensors")[0] for n in ("model", "state"))
    assert all(torch.equal(kept[k], last[f"model.{k}"]) for k in kept)


def test_what_is_monitored_must_have_a_value(tmp_path: Path) -> None:
    alone(tmp_path / "data")
    tasks = {**SIDE, "who": {"head": "embedding", "size": 4}}
    recipe = tiny_recipe(tmp_path, tmp_path / "data", tasks=tasks, training={**PLAIN, "epochs": 2, "monitor": "who"})
    with pytest.raises(UsageError, match=r"recipe.yaml:\d+: training.monitor: the part 'val' gives no value of .* who"):
        train(recipe, out=tmp_path / "run", bundle=False)
    run = train(recipe, overrides=["training.keep=last"], out=tmp_path / "last", bundle=False)
    assert len(run.history()) == 2, "nothing hangs on it"


def test_a_run_that_lost_patience_is_over(tmp_path: Path, dataset: Path) -> None:
    training = {**PLAIN, "epochs": 30, "patience": 2, "ema": 0.5}
    recipe = tiny_recipe(tmp_path, dataset, tasks=SIDE, training=training, optimiser={"rate": 1e-7})
    before = train(recipe, out=tmp_path / "run", bundle=False).history()
    weights = (tmp_path / "run" / "model.safetensors").read_bytes()
    assert len(before) < 30
    assert train(recipe, out=tmp_path / "run", resume=True, bundle=False).history() == before
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == weights


class Stopped:
    """Ctrl-C at a step."""

    def __init__(self, epoch: int, step: int) -> None:
        self.at = epoch, step

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        if (epoch, step) == self.at:
            raise KeyboardInterrupt


def test_a_run_that_is_stopped_between_batches_of_one_step_loses_none(tmp_path: Path, dataset: Path) -> None:
    training = {**PLAIN, "epochs": 2, "accumulate": 2, "checkpoint_seconds": 0, "keep": "last"}
    recipe = tiny_recipe(tmp_path, dataset, tasks=SIDE, training=training)
    train(recipe, out=tmp_path / "whole", bundle=False)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, out=tmp_path / "stopped", bundle=False, progress=Stopped(1, 2))
    train(recipe, out=tmp_path / "stopped", resume=True, bundle=False)
    whole, stopped = (read_tensors(tmp_path / n / "model.safetensors")[0] for n in ("whole", "stopped"))
    assert all(torch.equal(whole[k], stopped[k]) for k in whole)


TWO = {
    "wide": {"network": "frame_cnn", "widths": [8, 16], "stem": 1},
    "narrow": {"network": "frame_cnn", "widths": [2, 4], "stem": 1},
}


def test_senses_are_held_back_by_heads_that_have_learned(tmp_path: Path, dataset: Path) -> None:
    fusion = {"kind": "gated", "size": 8, "balance": 0.5}
    recipe = tiny_recipe(
        tmp_path, dataset, inputs=TWO, fusion=fusion, tasks=SIDE, augment={}, training={**PLAIN, "epochs": 6}
    )
    train(recipe, out=tmp_path / "run", bundle=False)
    model, made, facts = load_model(tmp_path / "run")
    begun = build_model(made, facts).state_dict()
    sides = {n: w for n, w in model.state_dict().items() if n.startswith("sides.")}
    assert sides
    assert all(float((w - begun[n]).abs().max()) > 0.01 for n, w in sides.items())


def test_what_several_batches_add_up_to_is_held_back_once(tmp_path: Path, dataset: Path) -> None:
    training = {**PLAIN, "epochs": 1, "accumulate": 4, "keep": "last"}
    recipe = tiny_recipe(
        tmp_path, dataset, inputs=TWO, fusion={"kind": "late", "size": 8}, tasks=SIDE, augment={}, training=training,
        optimiser={"kind": "sgd", "rate": 0.1, "momentum": 0, "weight_decay": 0}, schedule={"kind": "constant"},
    )  # fmt: skip
    moved = {}
    for balance in (0.0, 0.5):
        out = tmp_path / f"run{balance}"
        train(recipe, overrides=[f"fusion.balance={balance}"], out=out, bundle=False)
        model, made, facts = load_model(out)
        begun = dict(build_model(made, facts).named_parameters())
        # the noise that is added is on weights alone
        changes = {n: (p - begun[n]).detach() for n, p in model.named_parameters() if p.ndim == 1}
        moved[balance] = {
            side: torch.cat([c for n, c in changes.items() if n.startswith(f"encoders.{side}.")]) for side in TWO
        }
    shares = {side: moved[0.5][side] / moved[0.0][side] for side in TWO}
    told = {side: share[moved[0.0][side].abs() > 1e-4] for side, share in shares.items()}
    assert all(len(share) > 4 for share in told.values())
    assert all(float(share.std()) < 1e-2 for share in told.values()), "the whole gradient by one factor"
    low, high = sorted(float(share.mean()) for share in told.values())
    assert high == pytest.approx(1, abs=1e-2)
    assert 0.3 < low < 0.54
