"""What learning several tasks together gains or loses for each, against learning it alone."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.core.errors import UsageError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.evaluate.bootstrap import Units, drawn, interval
from onlooker.learning.model import build_model
from onlooker.learning.parts import load_part
from onlooker.learning.recipe import Recipe, load_recipe
from onlooker.learning.run_folder import RunFolder, load_model
from onlooker.learning.task import Head, Metric, TaskFacts
from onlooker.learning.training.conflicts import suggest_splits
from onlooker.learning.training.report import write_run_report
from onlooker.learning.training.start import freeze, is_below
from onlooker.learning.training.train import train

__all__ = ["check_comparable", "compare_with_single", "gains_of"]


def check_comparable(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Try that the tasks of a recipe can be compared with each alone, before anything is trained.

    Args:
        path: of the recipe.
        overrides: settings on top of it.

    Returns:
        The recipe.

    Raises:
        ConfigError, UsageError: it is wrong, has one task only, or its dataset has no part to compare them on.
    """
    recipe = load_recipe(path, overrides)
    if len(recipe.tasks) < 2:
        raise UsageError("the recipe has one task only, there is nothing to compare")
    dataset = Dataset.load((path.parent / recipe.dataset).resolve())
    parts = [p for p in (recipe.splits.test, recipe.splits.validation) if p is not None]
    there = {s.split for s in dataset.samples if s.status == "labelled" and s.labels}
    if not any(there & set(part.split("+")) for part in parts):
        raise UsageError(
            f"{dataset.folder} has no test or validation part on which tasks could be compared",
            hint="onlooker dataset split makes them",
        )
    return recipe


def compare_with_single(
    path: Path, *, overrides: Sequence[str], out: Path, progress: Callable[[str], Any], alone: Sequence[str] = ()
) -> dict[str, Any]:
    """Train each task of a run alone, with the same settings, and compare.

    Settings of other tasks' heads, and of how often their classes come, are left out of a task's own run.

    Args:
        path: of the recipe.
        overrides: settings on top of it.
        out: the folder of the run of all tasks, which is over; the others are made in ``out/single``.
        progress: gives who is told of the run of a task.
        alone: further settings of the runs of one task, such as a smaller trunk.

    Returns:
        `gains_of`, which is also written to ``out/gains.json``.

    Raises:
        UsageError: see `check_comparable`.
    """
    recipe = check_comparable(path, overrides)
    for name in recipe.tasks:
        folder = out / "single" / name
        if (folder / "metrics.json").exists():
            continue
        settings = _alone(path, [*overrides, *alone], recipe, out, name)
        if settings is not None:
            train(path, overrides=settings, out=folder, resume=True, progress=progress(name), bundle=False)
    found = gains_of(out)
    RunFolder(out).write("gains.json", found)
    write_run_report(out)
    return found


def _alone(path: Path, settings: Sequence[str], recipe: Recipe, out: Path, name: str) -> list[str] | None:
    """The settings of a task's own run; None where nothing of it would be trained."""
    task = json.dumps({name: recipe.tasks[name].model_dump(mode="json")})
    made = [
        *settings,
        f"tasks={task}",
        "training.conflicts=0",
        "training.monitor=null",
        "balancing={kind: fixed}",
        f"training.drop_labels={json.dumps({n: v for n, v in recipe.training.drop_labels.items() if n == name})}",
    ]
    if recipe.training.balanced not in (None, name):
        made.append("training.balanced=null")
    own = load_recipe(path, made)
    model = build_model(own, RunFolder(out).facts())
    names = [n for n, _ in model.named_parameters()]

    def there(beginning: str) -> bool:
        return any(is_below(n, beginning) for n in names)

    frozen = [b for b in own.start.freeze if there(b)]
    freeze(model, frozen)
    if not any(p.requires_grad for p in model.parameters()):
        return None
    if len(frozen) < len(own.start.freeze):
        made.append(f"start.freeze={json.dumps(frozen)}")
    rates = {b: rate for b, rate in own.start.rates.items() if there(b)}
    if len(rates) < len(own.start.rates):
        made.append(f"start.rates={json.dumps(rates)}")
    return made


def gains_of(out: Path) -> dict[str, Any]:
    """What each task gained by being learned with the others.

    Args:
        out: the folder of the run of all tasks, with ``single/TASK`` beside.

    Returns:
        ``tasks``: by task its main metric together and alone, the gain with its 95 % interval over samples, and, where
        less is better, ``relative_gain``, the share of the value alone; ``left_out``: by task why it cannot be told;
        ``parameters``; and ``suggestion``, where conflicts were measured.
    """
    model, recipe, _ = load_model(out)
    tasks: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    alone_size = 0
    for name, head in recipe.tasks.items():
        folder = out / "single" / name
        if not (folder / "model.safetensors").is_file():
            left_out[name] = "nothing of it is trained when it is learned alone"
            continue
        alone_size += sum(p.numel() for p in load_model(folder)[0].parameters())
        found = _gain(out, folder, name, load_part("tasks", head.head), model.tasks[name])
        if isinstance(found, str):
            left_out[name] = found
        else:
            tasks[name] = found
    size = sum(p.numel() for p in model.parameters())
    told: dict[str, Any] = {"tasks": tasks, "parameters": {"together": size, "alone": alone_size}}
    if left_out:
        told["left_out"] = left_out
    conflicts = out / "conflicts.json"
    if conflicts.exists():
        points, words = _points(tasks)
        summary = json.loads(conflicts.read_text(encoding="utf-8"))
        told["suggestion"] = suggest_splits(summary, points, lost=words).as_dict()
    return told


def _gain(out: Path, folder: Path, name: str, part: type[Head], facts: TaskFacts) -> dict[str, Any] | str:
    """What is told of a task, or why nothing can be."""
    main = part.main
    sign = 1 if main.higher else -1
    both = [_answers(out, out, name), _answers(folder, out, name)]
    if not all(len(raw) for raw, _ in both):
        return "no sample of the part that it is compared on has its label"
    calibrations = [RunFolder(f).read("calibration.json").get(name, {}) for f in (out, folder)]
    metrics = [part.resampled(raw, truth, facts, c) for (raw, truth), c in zip(both, calibrations, strict=True)]
    together, alone = (m(np.arange(len(raw))).get(main.name) for m, (raw, _) in zip(metrics, both, strict=True))
    if together is None or alone is None:
        return f"the labels of the part that it is compared on are too few to tell {main.name}"
    gain = sign * (together - alone)
    return {
        "metric": main.name,
        "together": together,
        "alone": alone,
        "gain": gain,
        **({} if main.higher else {"relative_gain": gain / alone if alone else None}),
        "ci95": _interval(metrics, main, len(both[0][0])) if len(both[0][0]) == len(both[1][0]) else None,
    }


def _points(tasks: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
    """By task the gain in points of a hundred, of an error as the share of the error alone; and words for a loss."""
    points: dict[str, float] = {}
    words: dict[str, str] = {}
    for name, told in tasks.items():
        if "relative_gain" not in told:
            points[name] = 100 * told["gain"]
        elif told["relative_gain"] is not None:
            points[name] = 100 * told["relative_gain"]
            words[name] = f"the {told['metric']} of {name} is {-points[name]:.1f} % higher than alone"
    return points, words


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


def _answers(folder: Path, together: Path, task: str) -> tuple[Any, Any]:
    """Raw answers and labels of the samples that have the label, of the test part, or of the validation part where the
    run of all tasks was tried on no other; nothing where the folder has none of that part.
    """
    file = next((f for f in ("predictions.npz", "predictions-validation.npz") if (together / f).exists()), None)
    if file is None:
        raise UsageError(f"{together} has no predictions", hint="the dataset needs a test or validation part")
    if not (folder / file).exists():
        return (), ()
    with np.load(folder / file, allow_pickle=False) as arrays:
        known = arrays[f"known.{task}"]
        return arrays[f"raw.{task}"][known], arrays[f"values.{task}"][known]
