"""A sample's weight is how much it counts in training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from learning._tiny import tiny_dataset, tiny_recipe
from onlooker.core.errors import UsageError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Sample
from onlooker.learning.run_folder import load_model
from onlooker.learning.training.train import train

FEW = {"epochs": 2, "batch": 8, "threads": 1, "workers": 0}


def learned(folder: Path, *, change: Any = None, training: dict[str, Any] | None = None) -> dict[str, torch.Tensor]:
    """The weights of a model of a dataset whose samples are changed."""
    folder.mkdir(exist_ok=True)
    dataset = tiny_dataset(folder / "set") if not (folder / "set").exists() else Dataset.load(folder / "set")
    if change is not None:
        dataset.put([change(s) for s in dataset.samples])
        dataset.save()
    more = {"augment": {"mixup": 0.2}, "training": {**FEW, **(training or {})}}
    train(tiny_recipe(folder, folder / "set", **more), out=folder / "run", bundle=False)
    return load_model(folder / "run")[0].state_dict()


def weighing(weight: Any) -> Any:
    """Gives samples a weight by their number."""
    return lambda sample: sample.model_copy(update={"weight": weight(int(sample.id))})


def test_what_counts_nothing_is_as_good_as_not_labelled_and_alike_is_alike(tmp_path: Path) -> None:
    plain = learned(tmp_path / "plain")
    twice = learned(tmp_path / "twice", change=weighing(lambda n: 2.0))
    assert all(torch.equal(plain[k], twice[k]) for k in plain), "all count alike"

    def wrong(sample: Sample) -> Sample:
        other = {"left": "right", "right": "left"}[sample.labels["side"]]
        return sample.model_copy(update={"labels": {**sample.labels, "side": other}}) if odd(sample) else sample

    def odd(sample: Sample) -> bool:
        return int(sample.id) % 3 == 0 and sample.split == "train"

    def nothing(sample: Sample) -> Sample:
        return sample.model_copy(update={"weights": {"side": 0.0}}) if odd(sample) else sample

    right = learned(tmp_path / "right", change=nothing)
    spoilt = learned(tmp_path / "spoilt", change=lambda s: wrong(nothing(s)))
    assert all(torch.equal(right[k], spoilt[k]) for k in right), "labels that count nothing change nothing"
    assert not all(torch.equal(plain[k], right[k]) for k in plain)


def test_weights_count_alike_in_memory_and_streamed(tmp_path: Path) -> None:
    made = [
        learned(tmp_path / name, change=weighing(lambda n: float(n % 4)), training={"in_memory": held})
        for name, held in (("kept", True), ("streamed", False))
    ]
    assert all(torch.equal(made[0][k], made[1][k]) for k in made[0])


def test_that_nothing_counts_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"tasks.side: all samples of the part 'train' have the weight 0"):
        learned(tmp_path, change=weighing(lambda n: 0.0))
