"""Trained runs that the steps of compression begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torch_pruning")


@pytest.fixture(scope="session")
def moving(tmp_path_factory: pytest.TempPathFactory):
    """The dataset of moving squares."""
    from learning.compress._moving import moving_dataset

    return moving_dataset(tmp_path_factory.mktemp("moving"))


@pytest.fixture(scope="session")
def tiny_subject(tmp_path_factory: pytest.TempPathFactory):
    """A run of pictures with two tasks and its bundle, and its dataset."""
    from learning._tiny import tiny_dataset, tiny_recipe
    from onlooker.learning.compress.step import Subject
    from onlooker.learning.training.train import train

    torch.set_num_threads(1)
    folder: Path = tmp_path_factory.mktemp("tiny")
    dataset = tiny_dataset(folder / "data")
    run = folder / "run"
    train(tiny_recipe(folder, folder / "data"), out=run)
    return Subject(run / "bundle", run), dataset
