"""Folders of runs that were never trained: small models with random weights, for tests of what is made of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from onlooker.bundles.inputs import ClipInput, FrameInput, LogMelInput, SeriesInput, TextInput, WaveformInput
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import DatasetInfo, Task
from onlooker.learning.facts import Facts, InputFacts
from onlooker.learning.model import Model, build_model
from onlooker.learning.recipe import Recipe, recipe_model
from onlooker.learning.run_folder import RunFolder, write_tensors
from onlooker.learning.task import TaskFacts

PICTURE: dict[str, Any] = {
    "width": 20, "height": 16, "scale": 1 / 255, "mean": (0.4, 0.5, 0.45), "std": (0.2, 0.25, 0.3)
}  # fmt: skip
FRAME = FrameInput(kind="frame", rate=2.0, **PICTURE)
GRAY = FrameInput(kind="frame", width=20, height=16, colour="gray", scale=1 / 255, mean=(0.4,), std=(0.2,))
CLIP = ClipInput(kind="clip", rate=8.0, frames=8, stride=2, **PICTURE)
MEL = LogMelInput(
    kind="log_mel", sample_rate=8000, frames=40, hop=800, window=200, step=80, fft=256, bands=16, low=50.0,
    high=4000.0, power=2, floor=1e-8, mean=-6.0, std=2.0,
)  # fmt: skip
WAVE = WaveformInput(kind="waveform", sample_rate=8000, samples=4000, hop=2000, gain=2.0)
TEXT = TextInput(kind="text", size=512)
SERIES = SeriesInput(
    kind="series", rate=16.0, steps=16, stride=4, columns=("ax", "ay", "az", "heart rate"), mean=(0.0, 0.5, -9.8, 80.0),
    std=(2.0, 1.0, 3.0, 20.0),
)  # fmt: skip

MOODS = ("calm", "fight")
TASKS: dict[str, tuple[Task, dict[str, Any]]] = {
    "class": (Task(kind="class", classes=MOODS), {"classes": MOODS, "counts": (3, 4)}),
    "multi-label": (Task(kind="multi-label", classes=MOODS), {"classes": MOODS, "counts": (3, 4)}),
    "ordinal": (Task(kind="ordinal", classes=("low", "middle", "high")), {"classes": ("low", "middle", "high")}),
    "regression": (Task(kind="regression", unit="m"), {"width": 2, "mean": (5.0, -1.0), "deviation": (2.0, 0.5)}),
    "identity": (Task(kind="identity"), {"classes": ("Ann", "Bob", "Eve"), "counts": (4, 4, 4)}),
    "spans": (Task(kind="spans", classes=MOODS), {"classes": MOODS, "counts": (3, 4)}),
    "boxes": (Task(kind="boxes", classes=MOODS), {"classes": MOODS, "counts": (3, 4)}),
}
"""By kind, a task of a dataset and what else is known of it."""

CNN: dict[str, Any] = {"network": "frame_cnn", "widths": [4, 8], "size": 6}
TCONV: dict[str, Any] = {"network": "tconv", "widths": [4, 8], "size": 6}
EAR: dict[str, Any] = {"network": "audio_cnn", "widths": [4, 8], "size": 5}
ACTION: dict[str, dict[str, Any]] = {"action": {"head": "classification"}}


def recipe_of(inputs: dict[str, Any], tasks: dict[str, Any], **more: Any) -> Recipe:
    """A recipe of small networks."""
    return recipe_model().model_validate({"name": "tiny", "dataset": ".", "inputs": inputs, "tasks": tasks, **more})


def facts_of(inputs: dict[str, InputFacts], kinds: dict[str, str], seconds: float | None = 1.0) -> Facts:
    """Facts of inputs, and of tasks by their kinds."""
    tasks = {n: TaskFacts(n, TASKS[k][0], seconds=seconds, **TASKS[k][1]) for n, k in kinds.items()}
    return Facts(inputs, tasks, seconds)


def lively(model: Model, seed: int = 0) -> Model:
    """The model with norms that do something, as after training."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm | nn.GroupNorm | nn.LayerNorm):
                nn.init.uniform_(module.weight, 0.7, 1.3)
                nn.init.normal_(module.bias, std=0.2)
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                assert module.running_mean is not None
                assert module.running_var is not None
                nn.init.normal_(module.running_mean, std=0.2)
                nn.init.uniform_(module.running_var, 0.7, 1.3)
    return model.eval()


def make_run(
    folder: Path,
    recipe: Recipe,
    facts: Facts,
    *,
    dataset: Dataset | None = None,
    calibration: dict[str, Any] | None = None,
    metrics: dict[str, Any] | None = None,
) -> Path:
    """The folder of a run that is over, with random weights; without a dataset its own is not at hand."""
    made = dataset or Dataset(folder / "gone", DatasetInfo(name="gone"))
    run = RunFolder(folder / "run")
    run.begin(recipe, facts, made, "ab" * 32)
    write_tensors(run.path / "model.safetensors", lively(build_model(recipe, facts, seed=3)).state_dict())
    run.write("calibration.json", calibration or {})
    run.write("metrics.json", metrics or {})
    return run.path
