"""What learning several tasks together gains or loses for each, against learning it alone."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.core.errors import UsageError
from onlooker.learning.evaluate.bootstrap import Units, drawn, interval
from onlooker.learning.parts import load_part
from onlooker.learning.recipe import load_recipe
from onlooker.learning.run_folder import RunFolder, load_model
from onlooker.learning.task import Metric
from onlooker.learning.training.conflicts import suggest_splits
from onlooker.learning.training.report import write_run_report
from onlooker.learning.training.train import train

__all__ = ["compare_with_single", "gains_of"]


def compare_with_single(
    path: Path, *, overrides: Sequence[str], out: Path, progress: Callable[[str], Any], alone: Sequence[str] = ()
) -> dict[str, Any]:
    """Train each task of a run alone, with the same settings, and compare.

    Args:
        path: of the recipe.
        overrides: settings on top of it.
        out: the folder of the run of all tasks, which is over; the others are made in ``out/single``.
        progress: gives who is told of the run of a task.
        alone: further settings of the runs of one task, such as a smaller trunk.

    Returns:
        `gains_of`, which is also written to ``out/gains.json`` and shown in its report.

    Raises:
        UsageError: the recipe has one task only.
    """
    recipe = load_recipe(path, overrides)
    if len(recipe.tasks) < 2:
        raise UsageError("the recipe has one task only, there is nothing to compare")
    for name, head in recipe.tasks.items():
        task = json.dumps({name: head.model_dump(mode="json")})
        folder = out / "single" / name
        if (folder / "metrics.json").exists():
            continue
        settings = [
            *overrides,
            *alone,
            f"tasks={task}",
            "training.conflicts=0",
            "training.monitor=null",
            "balancing={kind: fixed}",
            f"training.drop_labels={json.dumps({n: v for n, v in recipe.training.drop_labels.items() if n == name})}",
        ]
        train(path, overrides=settings, out=folder, resume=True, progress=progress(name), bundle=False)
    found = gains_of(out)
    RunFolder(out).write("gains.json", found)
    write_run_report(out)
    return found


def gains_of(out: Path) -> dict[str, Any]:
    """By task its main metric together and alone, the difference with its 95 % interval over samples, and parameters.

    Args:
        out: the folder of the run of all tasks, with ``single/TASK`` beside.
    """
    model, recipe, _ = load_model(out)
    tasks: dict[str, Any] = {}
    alone_size = 0
    for name, head in recipe.tasks.items():
        folder = out / "single" / name
        alone_size += sum(p.numel() for p in load_model(folder)[0].parameters())
        part = load_part("tasks", head.head)
        sign = 1 if part.main.higher else -1
        both = [_answers(out, name), _answers(folder, name)]
        calibrations = [RunFolder(f).read("calibration.json").get(name, {}) for f in (out, folder)]
        metrics = [
            part.resampled(raw, truth, model.tasks[name], c) for (raw, truth), c in zip(both, calibrations, strict=True)
        ]
        values = [m(np.arange(len(raw)))[part.main.name] for m, (raw, _) in zip(metrics, both, strict=True)]
        tasks[name] = {
            "metric": part.main.name,
            "together": values[0],
            "alone": values[1],
            "gain": sign * (values[0] - values[1]),
            "ci95": _interval(metrics, part.main, len(both[0][0])) if len(both[0][0]) == len(both[1][0]) else None,
        }
    size = sum(p.numel() for p in model.parameters())
    conflicts = out / "conflicts.json"
    found: dict[str, Any] = {"tasks": tasks, "parameters": {"together": size, "alone": alone_size}}
    if conflicts.exists():
        points = {name: 100 * t["gain"] for name, t in tasks.items()}
        found["suggestion"] = suggest_splits(json.loads(conflicts.read_text(encoding="utf-8")), points).as_dict()
    return found


def _interval(metrics: Sequence[Callable[[Any], dict[str, float]]], main: Metric, count: int) -> list[float] | None:
    """Of the gain, the 95 % interval: both runs are judged on the same draws of samples."""
    sign = 1 if main.higher else -1

    def gain(rows: NDArray[np.intp]) -> dict[str, float]:
        together, alone = (m(rows).get(main.name) for m in metrics)
        return {} if together is None or alone is None else {"gain": sign * (together - alone)}

    single = np.arange(count)
    found = drawn(gain, single, Units(single, count, "samples"), seconds=math.inf).values.get("gain")
    held = None if found is None else interval(found)
    return None if held is None else list(held)


def _answers(folder: Path, task: str) -> tuple[Any, Any]:
    """Raw answers and labels of the test part, of the samples that have the label."""
    file = next((f for f in (folder / "predictions.npz", folder / "predictions-validation.npz") if f.exists()), None)
    if file is None:
        raise UsageError(f"{folder} has no predictions", hint="the dataset needs a test or validation part")
    with np.load(file, allow_pickle=False) as arrays:
        known = arrays[f"known.{task}"]
        return arrays[f"raw.{task}"][known], arrays[f"values.{task}"][known]
