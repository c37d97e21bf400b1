"""What an early exit saves and costs, at several thresholds, on the part of a dataset that nothing was chosen by.

    python benchmarks/early_exit.py RUN [--epochs 5] [--samples 400]

The exit learns from the run's training part and its threshold is chosen on its validation part (`max_drop` 0.5 points).
Bundle and original answer the same test samples in turns, in each engine, one thread; a look is preprocessing and
network, and its mean time is given. Writes results/early_exit_NAME.json.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _harness import save

from onlooker.bundles import load_bundle
from onlooker.bundles.running import Engine, NetworkRun, engines
from onlooker.learning.compress.step import Subject, Work
from onlooker.learning.compress.steps.early_exit import Config, EarlyExit
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.evaluate.material import diet_of, material_of
from onlooker.learning.evaluate.player import Player
from onlooker.learning.facts import preparation_of
from onlooker.learning.run_folder import load_model

_NEVER = 2.0


def answered(
    bundle: Any, materials: list[Any], diet: Any, engine: str, threshold: float | None
) -> tuple[Any, Any, Any]:
    """Logits, milliseconds and whether it was early, of each sample; the least of two times."""
    player = Player(bundle, diet, engine=engine)
    network = bundle.manifest.networks[0]
    if threshold is not None:
        player._runs[network.name].close()
        player._runs[network.name] = NetworkRun(Engine(bundle, name=engine), network, exit=threshold)
    raw, spent, early = [], [], []
    for material in materials:
        times = []
        for _ in range(2):
            began = time.perf_counter()
            answer = player.answer(material)
            times.append(1e3 * (time.perf_counter() - began))
        raw.append(next(iter(answer.raw.values()))[0])
        spent.append(min(times))
        early.append(player._runs[network.name].early)
    player.close()
    return np.stack(raw), spent, early


def measured(subject: Subject, made: Subject, dataset: Dataset, samples: int) -> list[dict[str, Any]]:
    """A row for the original and for each threshold, by engine."""
    original, bundle = load_bundle(subject.bundle), load_bundle(made.bundle)
    assert subject.run is not None
    _, recipe, facts = load_model(subject.run)
    task = next(iter(recipe.tasks))
    of, classes = recipe.tasks[task].of or task, facts.tasks[task].classes
    known = [s for s in dataset.of_split(recipe.splits.test) if of in s.labels]
    known = [known[n * len(known) // min(len(known), samples)] for n in range(min(len(known), samples))]
    diet = diet_of(bundle.manifest, looks=1, cut=preparation_of(recipe, dataset).pictures)
    materials = [material_of(s, dataset.root, diet) for s in known]
    true = np.array([classes.index(str(s.labels[of])) for s in known])
    chosen = float(bundle.manifest.networks[0].exit.default)  # type: ignore[union-attr]
    rows: list[dict[str, Any]] = []
    for engine in engines(bundle):
        whole = 0.0
        for name, one, threshold in (
            ("without exit", original, None), ("chosen", bundle, chosen), ("never", bundle, _NEVER),
            *((f"{t:g}", bundle, t) for t in (0.0, 0.5, 0.7, 0.9, 0.95, 0.99)),
        ):  # fmt: skip
            raw, spent, early = answered(one, materials, diet, engine, threshold)
            ms = statistics.fmean(sorted(spent)[: -max(1, len(spent) // 50)])
            whole = whole or ms
            rows.append(
                {
                    "engine": engine, "exit": name, "threshold": threshold, "samples": len(true),
                    "accuracy": round(100 * float((raw.argmax(1) == true).mean()), 2),
                    "share_early": round(float(np.mean(early)), 4), "mean_ms": round(ms, 4),
                    "speed_up": round(whole / ms, 3),
                }
            )  # fmt: skip
            print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--samples", type=int, default=400)
    parser.add_argument("--place", type=int)
    parser.add_argument("--made", type=Path, help="a bundle that was made so before")
    given = parser.parse_args()
    torch.set_num_threads(1)
    recipe = load_model(given.run)[1]
    dataset = Dataset.load(Path(recipe.dataset))
    subject = Subject(given.run / "bundle", given.run)
    with tempfile.TemporaryDirectory(prefix="onlooker-") as folder:
        made = Subject(given.made) if given.made else None
        if made is None:
            config = Config(epochs=given.epochs, place=given.place, least_gain=0)
            work = Work(Path(folder), dataset, recipe.splits.train, recipe.splits.validation, subject)
            made = EarlyExit.apply(subject, config, work)
        step = load_bundle(made.bundle).manifest.provenance.steps[-1]
        rows = measured(subject, made, dataset, given.samples)
    note = "on a machine that other work shared; times are the less of two looks, without the slowest 2 %"
    name = f"early_exit_{recipe.name.removesuffix('_small')}"
    save(name, {"recipe": recipe.name, "step": dict(step.settings), "rows": rows, "note": note})


if __name__ == "__main__":
    main()
