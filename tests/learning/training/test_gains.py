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
from onlooker.learning.training.gains import check_comparable, compare_with_single
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
    page = (out / "report.html").read_text()
    assert "Learned together against alone" in page
    assert f"{found['parameters']['alone']:,} alone" in page
    assert not load_recipe(out / "single" / "shade" / "recipe.yaml").training.drop_labels


def test_one_task_has_nothing_to_be_compared_with(tmp_path: Path) -> None:
    tiny_dataset(tmp_path / "set")
    path = tiny_recipe(tmp_path, tmp_path / "set", tasks={"side": {"head": "classification"}})
    with pytest.raises(UsageError, match="one task only"):
        compare_with_single(path, overrides=[], out=tmp_path / "run", progress=lambda _: Quiet())


def test_settings_of_other_tasks_are_left_out_of_a_tasks_own_run(tmp_path: Path) -> None:
    tiny_dataset(tmp_path / "set")
    path = tiny_recipe(
        tmp_path,
        tmp_path / "set",
        training={"epochs": 1, "batch": 8, "threads": 1, "workers": 0, "balanced": "side"},
        start={"freeze": ["encoders", "heads.side"], "rates": {"heads.shade": 0.5}},
    )
    out = tmp_path / "run"
    train(path, out=out, bundle=False)
    found = compare_with_single(path, overrides=[], out=out, progress=lambda _: Quiet())
    own = load_recipe(out / "single" / "shade" / "recipe.yaml")
    assert own.start.freeze == ("encoders",)
    assert own.start.rates == {"heads.shade": 0.5}
    assert own.training.balanced is None
    assert found["tasks"].keys() == {"shade"}
    assert found["left_out"] == {"side": "nothing of it is trained when it is learned alone"}
    assert "not compared: nothing of it is trained" in (out / "report.html").read_text()


def test_what_cannot_be_compared_is_left_out_and_told(tmp_path: Path) -> None:
    dataset = tiny_dataset(tmp_path / "set")
    dataset.put([s.model_copy(update={"labels": {"side": s.labels["side"]}}) for s in dataset.of_split("test")])
    dataset.save()
    training = {"epochs": 1, "batch": 8, "threads": 1, "workers": 0}
    path = tiny_recipe(tmp_path, tmp_path / "set", training=training)
    out = tmp_path / "run"
    train(path, out=out, bundle=False)
    found = compare_with_single(path, overrides=[], out=out, progress=lambda _: Quiet())
    assert found["tasks"].keys() == {"side"}
    assert found["left_out"] == {"shade": "no sample of the part that it is compared on has its label"}


def test_an_error_is_compared_by_its_share_and_not_in_its_unit(tmp_path: Path) -> None:
    dataset = tiny_dataset(tmp_path / "set")
    thousands = [
        s.model_copy(update={"labels": {**s.labels, "shade": 10_000 * s.labels["shade"]}})
        for s in dataset.samples
        if "shade" in s.labels
    ]
    dataset.put(thousands)
    dataset.save()
    training = {"epochs": 2, "batch": 8, "threads": 1, "workers": 0, "conflicts": 1}
    path = tiny_recipe(tmp_path, tmp_path / "set", training=training)
    out = tmp_path / "run"
    train(path, out=out, bundle=False)
    found = compare_with_single(path, overrides=[], out=out, progress=lambda _: Quiet())
    shade = found["tasks"]["shade"]
    assert abs(shade["gain"]) > 1.0
    assert shade["relative_gain"] == pytest.approx(1 - shade["together"] / shade["alone"])
    assert "relative_gain" not in found["tasks"]["side"]
    told = " ".join(found["suggestion"]["words"])
    lost = f"the mae of shade is {-100 * shade['relative_gain']:.1f} % higher than alone"
    assert (lost in told) == (shade["relative_gain"] < -0.01)
    assert "shade lost" not in told


def test_that_nothing_can_be_compared_is_told_before_anything_is_trained(tmp_path: Path) -> None:
    dataset = tiny_dataset(tmp_path / "set")
    dataset.put([s.model_copy(update={"split": "train"}) for s in dataset.samples])
    dataset.save()
    with pytest.raises(UsageError, match="has no test or validation part on which tasks could be compared"):
        check_comparable(tiny_recipe(tmp_path, tmp_path / "set"))


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
