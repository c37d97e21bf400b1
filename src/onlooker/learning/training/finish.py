"""The end of a run: the weights that are kept, calibration, metrics, report, bundle."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from onlooker.learning.datasets.typed_yaml import write_whole
from onlooker.learning.evaluate.bootstrap import drawn, interval, units_of
from onlooker.learning.export import export_run
from onlooker.learning.parts import load_part
from onlooker.learning.run_folder import write_tensors
from onlooker.learning.task import Calibration
from onlooker.learning.training.batches import Data
from onlooker.learning.training.conflicts import draw_conflicts
from onlooker.learning.training.loop import Run
from onlooker.learning.training.report import write_run_report
from onlooker.learning.training.score import Predictions, calibrations, measured, predict

__all__ = ["finish"]

_DRAWS, _SECONDS = 200, 10.0


def finish(run: Run, test: Data | None, *, bundle: bool, narrow: Mapping[str, Any] | None = None) -> None:
    """Make everything of a run folder that is made at the end.

    Args:
        run: whose epochs are over.
        test: the part that nothing was chosen by, or None.
        bundle: make the bundle too.
        narrow: what the head of the file of weights says, of a model that is not as wide as its recipe says.
    """
    recipe, folder, model = run.recipe, run.folder, run.model
    model.load_state_dict(run.standing.weights)
    write_tensors(folder.path / "model.safetensors", run.standing.weights, narrow)
    views = recipe.training.test_time

    def answers(data: Data) -> Predictions:
        return predict(model, data, device=run.peers.device, views=views)

    metrics: dict[str, dict[str, dict[str, float]]] = {}
    intervals: dict[str, dict[str, dict[str, tuple[float, float]]]] = {}
    calibration = {}
    if run.validation is not None:
        found = answers(run.validation)
        calibration = calibrations(found, recipe, model.tasks)
        metrics["validation"] = measured(found, recipe, model.tasks, calibration)
        intervals["validation"] = intervals_of(run, found, run.validation, calibration)
        keep_answers(folder.path / "predictions-validation.npz", found, run.validation)
    if test is not None:
        found = answers(test)
        metrics["test"] = measured(found, recipe, model.tasks, calibration)
        if views:
            single = predict(model, test, device=run.peers.device)
            metrics["test without averaging"] = measured(single, recipe, model.tasks, calibration)
        intervals["test"] = intervals_of(run, found, test, calibration)
        keep_answers(folder.path / "predictions.npz", found, test)
    folder.write("calibration.json", calibration)
    folder.write("metrics.json", metrics)
    folder.write("intervals.json", intervals)
    if run.conflicts is not None:
        told = run.conflicts.summary()
        folder.write("conflicts.json", told)
        write_whole(folder.path / "conflicts.png", draw_conflicts(told))
    write_run_report(folder.path)
    if bundle:
        export_run(folder.path, folder.path / "bundle", overwrite=True)


def intervals_of(
    run: Run, found: Predictions, data: Data, calibration: Mapping[str, Calibration]
) -> dict[str, dict[str, tuple[float, float]]]:
    """By task and metric, 95 % intervals over samples that share no group or file, by the bootstrap."""
    samples = [data.samples[n] for n in found.numbers]
    made: dict[str, dict[str, tuple[float, float]]] = {}
    for name, config in run.recipe.tasks.items():
        rows = np.flatnonzero(found.known[name])
        if len(rows) < 2:
            continue
        part, raw, values = load_part("tasks", config.head), found.raw[name][rows], found.values[name][rows]
        facts, own = run.model.tasks[name], calibration.get(name, {})
        units = units_of([samples[n] for n in rows], data.dataset.info.overlap)
        draws = drawn(
            lambda c, part=part, raw=raw, values=values, facts=facts, own=own: part.metrics(
                raw[c], values[c], facts, own
            ),
            np.arange(len(rows)), units, draws=_DRAWS, seconds=_SECONDS,
        )  # fmt: skip
        between = {metric: interval(v) for metric, v in draws.values.items()}
        made[name] = {metric: limits for metric, limits in between.items() if limits is not None}
    return made


def keep_answers(path: Path, found: Predictions, data: Data) -> None:
    """Write what was answered to each sample, for reports and comparisons."""
    arrays: dict[str, Any] = {f"raw.{n}": v for n, v in found.raw.items()}
    arrays |= {f"values.{n}": v for n, v in found.values.items()}
    arrays |= {f"known.{n}": v for n, v in found.known.items()}
    arrays |= {f"shares.{n}": v for n, v in found.shares.items()}
    ids = np.array([data.samples[n].id for n in found.numbers])
    file = io.BytesIO()
    np.savez_compressed(file, ids=ids, **arrays)
    write_whole(path, file.getvalue())
