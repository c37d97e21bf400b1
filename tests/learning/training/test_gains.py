"""What learning together gains, told from runs of one task each."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from learning._tiny import tiny_dataset, tiny_recipe
from onlooker.core.errors import UsageError
from onlooker.learning.datasets.manifest import Task
from onlooker.learning.parts import load_part
from onlooker.learning.recipe import load_recipe
from onlooker.learning.run_folder import RunFolder
from onlooker.learning.task import TaskFacts
from onlooker.learning.training.gains import compare_with_single
from onlooker.learning.training.train import Quiet, train


def test_each_task_is_learned_alone_from_the_labels_that_it_had_together(tmp_path: Path) -> None:
    tiny_dataset(tmp_path / "set")
    path = tiny_recipe(
        tmp_path, tmp_path / "set", training={"epochs": 2, "batch": 8, "threads": 1, "drop_labels": {"side": 0.5}}
    )
    out = tmp_path / "run"
    train(path, out=out, bundle=False)
    found = compare_with_single(path, overrides=[], out=out, progress=lambda _: Quiet())
    assert found["tasks"].keys() == {"side", "shade"}
    assert found["parameters"]["together"] < found["parameters"]["alone"]
    counts = {place: RunFolder(place).facts().tasks["side"].counts for place in (out, out / "single" / "side")}
    assert sum(counts[out]) < 32
    assert counts[out] == counts[out / "single" / "side"]
    assert not load_recipe(out / "single" / "shade" / "recipe.yaml").training.drop_labels


def test_one_task_has_nothing_to_be_compared_with(tmp_path: Path) -> None:
    tiny_dataset(tmp_path / "set")
    path = tiny_recipe(tmp_path, tmp_path / "set", tasks={"side": {"head": "classification"}})
    with pytest.raises(UsageError, match="one task only"):
        compare_with_single(path, overrides=[], out=tmp_path / "run", progress=lambda _: Quiet())


def test_a_class_that_is_there_once_does_not_rule_the_loss() -> None:
    """A weight of a hundred shook the shared network so that no task learned."""
    part = load_part("tasks", "classification")
    classes = ("calm", "happy", "afraid")
    facts = TaskFacts("mood", Task(kind="class", classes=classes), classes=classes, counts=(400, 200, 1))
    head = part(part.Config(class_weights="balanced"), facts, 4)
    weights = head.weights
    assert float(weights[1] / weights[0]) == pytest.approx(2.0)
    assert float(weights[2] / weights[0]) == pytest.approx(10.0)
    assert float(weights @ torch.tensor([400.0, 200.0, 1.0])) == pytest.approx(601.0, rel=1e-5)
