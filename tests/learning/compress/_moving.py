"""Clips of a square that moves, with a tone that tells where to, and runs that learned a little from them."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from analyzers.conftest import write_clip
from onlooker.bundles import load_bundle
from onlooker.learning.compress.step import Subject, Work
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Media, Sample, Task
from onlooker.learning.training.train import train

WAYS = ("left", "right")
PREPARED = {
    "pictures": {"frames": 8, "width": 20, "height": 16, "crop": "none"},
    "sound": {"rate": 8000, "seconds": 0.5},
}
PICTURES: dict[str, dict[str, Any]] = {
    "frame_cnn": {"network": "frame_cnn", "widths": [8, 16], "separable": True, "difference": True},
    "plain": {"network": "frame_cnn", "widths": [8, 32], "form": "plain", "norm": "group"},
    "gru": {"network": "cnn_rnn", "widths": [8, 16], "hidden": 12},
    "lstm": {"network": "cnn_rnn", "widths": [8, 16], "size": 12, "hidden": 12, "cell": "lstm", "layers": 2},
    "both_ways": {"network": "cnn_rnn", "widths": [8, 16], "hidden": 12, "both_ways": True},
    "conv_gru": {"network": "crnn", "widths": [8, 16], "hidden": 12},
    "conv_lstm": {"network": "crnn", "widths": [8, 16], "hidden": 12, "cell": "lstm", "size": 12},
    "3d": {"network": "tconv", "widths": [8, 16], "form": "3d", "time_strides": [1, 2]},
    "2plus1d": {"network": "tconv", "widths": [8, 16], "size": 12},
    "shift": {"network": "tconv", "widths": [16, 16], "form": "shift"},
    "shift_both_ways": {"network": "tconv", "widths": [16, 16], "form": "shift", "causal": False},
    "temporal_convolution": {"network": "temporal_convolution", "widths": [8, 16], "head": {"width": 12, "levels": 2}},
    "video_transformer": {"network": "video_transformer", "size": 16, "heads": 2, "patch": 4, "space_layers": 1,
                          "time_layers": 2, "window": 3},
    "whitened_cnn": {"network": "whitened_cnn", "widths": [12, 16], "depth": 3, "scale": 1.0},
    "members": {"network": "whitened_cnn", "widths": [8, 16], "members": 2, "scale": 1.0},
}  # fmt: skip
EAR: dict[str, Any] = {"network": "audio_cnn", "widths": [8, 16], "size": 12}


def moving_dataset(folder: Path, *, count: int = 24) -> Dataset:
    """Clips of 16 frames; ``way`` is where the square goes, ``speed`` how fast, which a third of them does not tell."""
    random = np.random.default_rng(0)
    tasks = {"way": Task(kind="class", classes=WAYS), "speed": Task(kind="regression")}
    dataset = Dataset.create(folder, name="moving", tasks=tasks)
    samples = []
    for number in range(count):
        right, speed = number % 2, int(random.integers(1, 3))
        shown = random.integers(0, 60, (16, 48, 64, 3), np.uint8)
        begin = int(random.integers(0, 16))
        for place, frame in enumerate(shown):
            at = begin + place * speed if right else 48 - begin - place * speed
            frame[16:32, max(0, at) : at + 16] = 220
        write_clip(list(shown), folder / f"{number}.mp4", rate=8)
        _tone(folder / f"{number}.wav", 1600 if right else 500, random)
        labels: dict[str, object] = {"way": WAYS[right]}
        if number % 3:
            labels["speed"] = float(speed)
        media = (
            Media(path=f"{number}.mp4", kind="video", seconds=2.0, rate="8"),
            Media(path=f"{number}.wav", kind="audio", seconds=2.0),
        )
        split = "train" if number < count * 2 // 3 else "val" if number < count * 5 // 6 else "test"
        samples.append(Sample(id=str(number), media=media, labels=labels, split=split))
    dataset.put(samples)
    dataset.save()
    return dataset


def _tone(path: Path, hertz: int, random: np.random.Generator) -> None:
    times = np.arange(16_000) / 8000
    sound = 0.3 * np.sin(2 * np.pi * hertz * times) + 0.05 * random.standard_normal(16_000)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes((sound * 32767).astype("<i2").tobytes())


def trained_run(folder: Path, dataset: Dataset, inputs: dict[str, Any], *, bundle: bool = False, **more: Any) -> Path:
    """The folder of a run of one epoch over both tasks."""
    prepare = {k: v for k, v in PREPARED.items() if k == "pictures" or "sound" in inputs}
    values: dict[str, Any] = {
        "name": "moving", "dataset": str(dataset.folder), "prepare": prepare, "inputs": inputs,
        "tasks": {"way": {"head": "classification"}, "speed": {"head": "regression", "weight": 0.3, "hidden": 8}},
        "spectrum": {"bands": 16}, "optimiser": {"rate": 0.01},
        "training": {"epochs": 1, "batch": 8, "threads": 1, "workers": 0, "cache": 0, "precision": "float32"},
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    recipe = folder / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({**values, **more}, sort_keys=False))
    train(recipe, out=folder / "run", bundle=bundle)
    return folder / "run"


def work_for(folder: Path, dataset: Dataset, original: Subject, **more: Any) -> Work:
    """A step's work in a folder of its own."""
    folder.mkdir(parents=True)
    return Work(folder, dataset, "train", "val", original, **more)


def done(subject: Subject) -> list[str]:
    """Names of the steps that a subject's bundle tells of."""
    return [step.name for step in load_bundle(subject.bundle).manifest.provenance.steps]
