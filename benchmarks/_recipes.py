"""Training the shipped recipes for benchmarks: their datasets, runs by seed, and what they answer."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _harness import DATA
from numpy.typing import NDArray
from torch import Tensor

from onlooker.learning.datasets.clip_cache import ClipCache
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.loader import Loader
from onlooker.learning.export import export_run
from onlooker.learning.facts import find_facts, preparation_of
from onlooker.learning.model import build_model
from onlooker.learning.recipe import load_recipe
from onlooker.learning.run_folder import RunFolder, load_model
from onlooker.learning.training.batches import Data
from onlooker.learning.training.score import measured, predict
from onlooker.learning.training.train import Quiet, train
from onlooker.learning.views import View

__all__ = ["ROOT", "Told", "accuracy", "dataset_of", "right", "run_of", "spread", "trained", "untrained", "with_bundle"]

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "runs" / "benchmarks"


class Told(Quiet):
    """A line for each epoch."""

    def __init__(self, name: str) -> None:
        self._name = name

    def epoch(self, line: Any) -> None:
        """Print it."""
        score = line.get("score")
        print(f"  {self._name} epoch {line['epoch'] + 1}: {score if score is None else round(score, 4)}", flush=True)


def dataset_of(name: str) -> Path:
    """The folder of a recipe's dataset, made where it is not there."""
    folder = ROOT / "datasets" / name
    if not (folder / "dataset.yaml").exists():
        script = [sys.executable, str(ROOT / "scripts" / "recipe_datasets.py"), name]
        subprocess.run([*script, "--into", str(ROOT / "datasets"), "--data", str(DATA)], check=True)
    return folder


def trained(
    recipe: str, run: str, *, seed: int = 0, settings: Sequence[str] = (), bundle: bool = False
) -> tuple[Path, float]:
    """The folder of a finished run and its seconds of training; a run that is there is not made again."""
    folder = RUNS / run / str(seed)
    if not (folder / "metrics.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        began = time.time()
        own = [f"training.seed={seed}", *settings]
        print(f"{run} seed {seed}", flush=True)
        train(ROOT / "recipes" / recipe, overrides=own, out=folder, progress=Told(run), bundle=bundle)
        RunFolder(folder).write("seconds.json", time.time() - began)
    return folder, RunFolder(folder).read("seconds.json")


def with_bundle(run: Path) -> Path:
    """The run, whose bundle is made where it is not there."""
    if not (run / "bundle").exists():
        export_run(run, run / "bundle")
    return run


def untrained(recipe: str, settings: Sequence[str] = ()) -> tuple[Any, Any]:
    """The model of a recipe with the weights that it begins with, and its facts: enough to tell what it costs."""
    read = load_recipe(ROOT / "recipes" / recipe, settings)
    dataset = Dataset.load((ROOT / "recipes" / read.dataset).resolve())
    samples, how = dataset.of_split(read.splits.train), preparation_of(read, dataset)
    with Loader(dataset, how, samples=samples[:8], shuffle=False) as loader:
        facts = find_facts(read, dataset, samples, how, loader.epoch())
    return build_model(read, facts), facts


def run_of(folder: Path, part: str = "test") -> tuple[Any, Any, Any, Data]:
    """Model, recipe, facts and the data of a part."""
    model, recipe, facts = load_model(folder)
    dataset = Dataset.load(Path(recipe.dataset))
    with ClipCache(dataset.folder / "cache", recipe.training.cache) as cache:
        data = Data(
            dataset, dataset.of_split(part), preparation_of(recipe, dataset), facts, recipe.tasks, tasks=model.tasks,
            batch=256, cache=cache,
        )  # fmt: skip
    return model, recipe, facts, data


def accuracy(
    run: tuple[Any, Any, Any, Data],
    task: str,
    *,
    views: Sequence[View] = (),
    without: frozenset[str] = frozenset(),
    change: Callable[[dict[str, Tensor]], dict[str, Tensor]] | None = None,
) -> float:
    """Of a run's model on its data, over views of its pictures, with senses missing or spoilt."""
    model, recipe, _, data = run
    torch.manual_seed(0)
    found = predict(model, data, views=views, without=without, change=change)
    return measured(found, recipe, model.tasks)[task]["accuracy"]


def right(run: tuple[Any, Any, Any, Data], task: str, *, without: frozenset[str] = frozenset()) -> NDArray[np.float64]:
    """1 for each sample of a run's data whose class is told, else 0."""
    model, _, _, data = run
    found = predict(model, data, without=without)
    return (found.raw[task].argmax(1) == found.values[task]).astype(np.float64)


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Mean and deviation over seeds, in percent."""
    percent = [round(100 * v, 2) for v in values]
    deviation = statistics.stdev(percent) if len(percent) > 1 else None
    return {
        "mean": round(statistics.mean(percent), 2),
        "deviation": None if deviation is None else round(deviation, 2),
        "seeds": percent,
    }
