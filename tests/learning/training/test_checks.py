"""What cannot be trained is told before training begins, with the line of the recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from learning._tiny import tiny_dataset, tiny_recipe
from onlooker.core.errors import UsageError
from onlooker.learning.datasets.manifest import Task
from onlooker.learning.training.train import train

SIDE = {"side": {"head": "classification"}}
BOTH = {**SIDE, "shade": {"head": "regression"}}
TRAINING = {"epochs": 1, "batch": 4, "threads": 1, "workers": 0}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "set"
    made = tiny_dataset(folder, count=24)
    tasks = {**made.info.tasks, "who": Task(kind="identity"), "when": Task(kind="spans", classes=("hit",))}
    made.info = made.info.model_copy(update={"tasks": tasks})
    hit = ({"label": "hit", "start": 0.0, "end": 0.5},)
    labels = [{**s.labels, "who": f"p{int(s.id) % 4}", "when": hit} for s in made.samples]
    made.put(
        [s.model_copy(update={"labels": held}).with_labels(tasks) for s, held in zip(made.samples, labels, strict=True)]
    )
    made.save()
    return folder


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"tasks": {"when": {"head": "events"}}, "augment": {"time_shift": 4}},
            r"recipe.yaml:\d+: augment.time_shift: it moves pictures and not the spans of tasks.when",
        ),
        (
            {"tasks": {"hits": {"head": "dense", "of": "when"}}, "augment": {"time_shift": 4}},
            r"recipe.yaml:\d+: augment.time_shift: it moves pictures and not the spans of tasks.hits",
        ),
        (
            {"start": {"rates": {"encoders.pictrue": 0.1}}},
            r"recipe.yaml:\d+: start.rates: no parameter begins with 'encoders.pictrue' .*encoders.picture",
        ),
        ({"start": {"rates": {"encoders.picture": -0.1}}}, r"start.rates: expected factors of at least 0, got -0.1"),
        ({"augment": {"shift": 16}}, r"augment.shift: 16 pixels are as much as a side of the pictures, 16 x 16"),
        (
            {"tasks": BOTH, "training": {**TRAINING, "balanced": "shade"}},
            r"training.balanced: shade is of kind regression, which has no classes",
        ),
        (
            {"tasks": {"who": {"head": "embedding"}}, "training": {**TRAINING, "balanced": "who"}},
            r"training.balanced: who is of kind identity, which has no classes",
        ),
        (
            {"tasks": BOTH, "training": {**TRAINING, "conflicts": 1}, "start": {"freeze": ["encoders"]}},
            r"training.conflicts: nothing that the tasks share is trained",
        ),
        (
            {
                "tasks": BOTH,
                "balancing": {"kind": "pcgrad"},
                "start": {"freeze": ["encoders", "heads.shade"]},
            },
            r"balancing.kind: it takes the gradient of each task, and nothing of shade is trained",
        ),
        (
            {"tasks": BOTH, "balancing": {"kind": "uncertainty"}, "start": {"freeze": ["encoders", "heads"]}},
            r"start.freeze: nothing is left to train",
        ),
        (
            {
                "inputs": {"picture": {"network": "frame_cnn", "widths": [4, 4, 4, 8], "stem": 2}},
                "training": {**TRAINING, "batch": 1},
            },
            r"training.batch: a norm over the batch gets one value of each channel",
        ),
    ],
)
def test_what_cannot_be_trained_is_told(tmp_path: Path, dataset: Path, changes: dict, said: str) -> None:
    recipe = tiny_recipe(tmp_path, dataset, **{"tasks": SIDE, "training": TRAINING, **changes})
    with pytest.raises(UsageError, match=said):
        train(recipe, out=tmp_path / "run", bundle=False)
    assert not (tmp_path / "run").exists()


def test_batches_with_labels_of_frozen_tasks_alone_are_passed_over(tmp_path: Path, dataset: Path) -> None:
    recipe = tiny_recipe(
        tmp_path, dataset, tasks=BOTH, start={"freeze": ["encoders", "heads.shade"]},
        training={**TRAINING, "batch": 2, "drop_labels": {"side": 0.7}},
    )  # fmt: skip
    assert len(train(recipe, out=tmp_path / "run", bundle=False).history()) == 1


def test_parts_that_do_not_learn_are_no_fault_of_any_optimiser(tmp_path: Path, dataset: Path) -> None:
    recipe = tiny_recipe(
        tmp_path, dataset, tasks=SIDE, training=TRAINING, start={"rates": {"encoders.picture": 0}},
        optimiser={"kind": "muon", "rate": 0.01, "rest_decay": 0.1},
    )  # fmt: skip
    assert len(train(recipe, out=tmp_path / "run", bundle=False).history()) == 1
