"""A false alarm of a model that takes measurements beside the video is learned away."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
import yaml

from analyzers.conftest import write_clip
from learning.improve._material import labelled, onlooker, told
from onlooker.bundles.series import sidecar_of
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Media, Sample, Task
from onlooker.learning.datasets.media import look_at

RECIPE = {
    "name": "paces",
    "prepare": {"series": {"rate": 20, "seconds": 2}},
    "inputs": {"sensor": {"network": "series", "width": 12, "levels": 2}},
    "tasks": {"pace": {"head": "classification"}},
    "optimiser": {"rate": 0.02},
    "training": {"epochs": 15, "batch": 8, "threads": 1, "workers": 0, "ema": 0.8},
}
RATES = {"slow": 1.0, "middle": 2.2, "quick": 4.0}


def walk(path, pictures, *paces, seconds=2.0, seed=0):
    """A clip, and beside it a swing at 25 rows a second, of one pace after the other."""
    random, phase = np.random.default_rng(seed), 0.0
    first = int(random.integers(0, 100))
    write_clip([pictures[(first + n) % len(pictures)] for n in range(round(len(paces) * seconds * 5))], path, rate=5)
    with sidecar_of(path).open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["time", "swing"])
        for number in range(round(len(paces) * seconds * 25)):
            phase += 2 * np.pi * RATES[paces[int(number / seconds / 25)]] * random.uniform(0.95, 1.05) / 25
            table.writerow([f"{number / 25:g}", f"{np.sin(phase + 0.4 * seed) + random.normal(0, 0.05):.4f}"])
    return path


def dataset_of(folder, pictures, **labels):
    """Clips of one pace each."""
    folder.mkdir()
    samples = []
    for at, (pace, label) in enumerate(labels.items()):
        for n in range(20):
            path = walk(folder / f"{pace}{n}.mp4", pictures, pace, seed=10 * at + n)
            both = Media(path=path.name, kind="video"), Media(path=sidecar_of(path).name, kind="series")
            media = tuple(look_at(folder, m) for m in both)
            split = ("train", "train", "train", "val", "test")[n % 5]
            samples.append(Sample(id=path.stem, media=media, labels={"pace": label}, split=split))
    dataset = Dataset.create(folder, name="paces", tasks={"pace": Task(kind="class", classes=("quick", "slow"))})
    dataset.put(samples)
    dataset.save()
    return folder


def test_a_pace_that_was_told_wrong_is_learned(shown, tmp_path):
    torch.set_num_threads(1)
    taught = dataset_of(tmp_path / "taught", shown, slow="slow", middle="quick", quick="quick")
    clean = dataset_of(tmp_path / "clean", shown, slow="slow", quick="quick")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({**RECIPE, "dataset": str(taught)}))
    told("train", recipe, "--out", tmp_path / "run")
    onlooker("models", "add", tmp_path / "run" / "bundle")
    clip = walk(tmp_path / "yard.mp4", shown, "slow", "middle", "quick", "slow", seconds=8, seed=50)
    library = ("--library", tmp_path / "lib")
    onlooker("analyze", clip, *library, "--only", "paces", "--workers", "1")
    before = labelled(tmp_path / "lib")
    assert [label for *_, label in before] == ["slow", "quick", "slow"]
    assert before[1][0] == pytest.approx(8, abs=1.5)
    wrong = next(h["id"] for h in told("search", "--label", "quick", *library)["hits"])
    onlooker("feedback", "wrong", wrong, "--from", "8", "--to", "16", *library)
    made = told(
        "improve", "paces", *library, "--run", tmp_path / "run", "--data", clean, "--threads", "1", "--workers", "1",
        "--yes",
    )  # fmt: skip
    verdicts = made["verdicts"]
    assert (made["decision"], verdicts["fixed"], verdicts["broken"]) == ("promoted", 1, 0)
    lessons = Dataset.load(tmp_path / "lib" / "improve" / "paces" / made["used"][:16] / "labels")
    assert {m.kind for s in lessons.samples for m in s.media} == {"video", "series"}
    onlooker("analyze", clip, *library, "--only", "paces", "--workers", "1")
    now = labelled(tmp_path / "lib")
    assert [label for *_, label in now] == ["slow", "quick", "slow"]
    assert now[1][0] == pytest.approx(16, abs=1.5)
