"""A tiny dataset of pictures and a recipe that learns it in a second or two."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Media, Sample, Task


def tiny_dataset(folder: Path, *, count: int = 48, seed: int = 0) -> Dataset:
    """Pictures 16 x 16 whose brighter half says ``side``; ``shade`` is their mean brightness, for half of them."""
    random = np.random.default_rng(seed)
    tasks = {"side": Task(kind="class", classes=("left", "right")), "shade": Task(kind="regression")}
    dataset = Dataset.create(folder, name="tiny", tasks=tasks)
    samples = []
    for number in range(count):
        picture = random.integers(0, 120, (16, 16, 3), np.uint8)
        side = number % 2
        picture[:, side * 8 : side * 8 + 8] += 90
        Image.fromarray(picture).save(folder / f"{number}.png")
        labels: dict[str, object] = {"side": ("left", "right")[side]}
        if number % 4 < 2:
            labels["shade"] = float(picture.mean() / 255)
        split = "train" if number < count * 2 // 3 else "val" if number < count * 5 // 6 else "test"
        media = (Media(path=f"{number}.png", kind="image"),)
        samples.append(Sample(id=str(number), media=media, labels=labels, split=split))
    dataset.put(samples)
    dataset.save()
    return dataset


def tiny_recipe(folder: Path, dataset: Path, **changes: object) -> Path:
    """A recipe file for `tiny_dataset`; ``changes`` replace its settings."""
    values: dict[str, object] = {
        "name": "tiny",
        "dataset": str(dataset),
        "prepare": {"pictures": {"frames": 1, "width": 16, "height": 16}},
        "inputs": {"picture": {"network": "frame_cnn", "widths": [8, 16]}},
        "tasks": {"side": {"head": "classification"}, "shade": {"head": "regression", "weight": 0.5}},
        "optimiser": {"rate": 0.01},
        "augment": {"flip": 0.0, "shift": 1, "brightness": 0.1},
        "training": {"epochs": 4, "batch": 8, "threads": 1, "ema": 0.8, "workers": 0, "checkpoint_seconds": 0},
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({**values, **changes}, sort_keys=False))
    return path
