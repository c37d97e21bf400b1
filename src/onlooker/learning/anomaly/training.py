"""A run of anomaly learning from a recipe to a bundle: what ``onlooker train`` calls for ``kind: anomaly``.

The run folder holds ``recipe.yaml`` with all defaults and overrides, ``fit.json`` (threshold, table of false alarms),
``metrics.json``, ``scores.npz`` (by video: scores and truth), ``report.html``, and ``bundle/``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from onlooker.bundles import load_bundle
from onlooker.bundles.outputs import Anomaly
from onlooker.core.errors import UsageError
from onlooker.learning.anomaly.budget import past_mean
from onlooker.learning.anomaly.evaluating import Measured, measure, score_videos
from onlooker.learning.anomaly.fitting import Progress, fit_anomaly
from onlooker.learning.anomaly.footage import judged_videos, span_task
from onlooker.learning.anomaly.recipe import AnomalyRecipe, Splits, load_anomaly_recipe
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Sample
from onlooker.learning.datasets.typed_yaml import write_whole
from onlooker.learning.evaluate.page import document, escaped, section, table
from onlooker.learning.run_folder import dataset_digest
from onlooker.learning.training.checkpoint import changed_settings

__all__ = ["train"]


def train(recipe_path: Path, *, overrides: Sequence[str] = (), out: Path, resume: bool = False) -> Path:
    """Fit, export, and measure on the test split where there is one.

    Args:
        recipe_path: the recipe.
        overrides: settings such as ``budget.false_alarms_per_hour=0.5``.
        out: the run folder.
        resume: go on with a run that was stopped: a bundle that is there is kept, and what is missing is done. It needs
            the recipe and the dataset that the bundle was made of.

    Returns:
        The run folder.

    Raises:
        ConfigError, UsageError: the recipe or its dataset is wrong, ``out`` holds a run and ``resume`` is not set, or
            one of another recipe or dataset.
        SourceError: footage cannot be read.
    """
    recipe = load_anomaly_recipe(recipe_path, overrides)
    bundle = out / "bundle"
    if bundle.exists() and not resume:
        raise UsageError(f"{out} holds a run already", hint="--resume goes on with it; or give another --out")
    dataset = Dataset.load(Path(recipe.dataset))
    test = _test_part(recipe, dataset)
    for note in test.notes:
        sys.stderr.write(f"{note}\n")
    if bundle.exists():
        if not (out / "fit.json").exists():
            raise UsageError(f"{bundle} is there, but not fit.json", hint="remove the bundle, then resume")
        _check_same(recipe, dataset, out)
    else:
        values = recipe.model_dump(mode="json")
        write_whole(out / "recipe.yaml", yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=110))
        fitted = fit_anomaly(recipe, out, _terminal())
        write_whole(out / "fit.json", json.dumps(fitted.facts, indent=1))
        for video, seconds in fitted.facts.get("left_out", {}).items():
            sys.stderr.write(f"{video}: {seconds:g} s are labelled as abnormal: not learned from\n")
    _measured(recipe, dataset, test, out)
    return out


@dataclass(frozen=True, slots=True)
class _Test:
    """What is measured on.

    Args:
        task: that says what is abnormal; None: nothing is measured.
        samples: the videos.
        notes: what there is to say of it.
    """

    task: str | None = None
    samples: Sequence[Sample] = ()
    notes: Sequence[str] = ()


def _test_part(recipe: AnomalyRecipe, dataset: Dataset) -> _Test:
    """What is measured on, looked for before anything is learned.

    Raises:
        UsageError: the part that the recipe names is not there, or has no video; or no task says what is abnormal.
    """
    part = recipe.splits.test
    if part is None or (part == Splits().test and part not in dataset.info.splits):
        return _Test()
    dataset.of_split(part)
    if recipe.task is None and not any(t.kind == "spans" for t in dataset.info.tasks.values()):
        return _Test(notes=[f"no task of spans says what is abnormal: the part {part} is not measured"])
    task = span_task(dataset, recipe.task)
    return _Test(task, *judged_videos(dataset, part, task))


def _check_same(recipe: AnomalyRecipe, dataset: Dataset, out: Path) -> None:
    """Try that a run goes on as it began: its bundle is kept as it is.

    Raises:
        UsageError: the recipe or the dataset is another than at the beginning.
        ConfigError: the folder's recipe cannot be read.
    """
    apart = {"dataset", "threads"}
    begun = load_anomaly_recipe(out / "recipe.yaml")
    before, now = (r.model_dump(mode="json", exclude=apart) for r in (begun, recipe))
    if told := changed_settings(before, now):
        raise UsageError(
            f"{out} was begun by another recipe: {told}", hint="go on with that one, or give another --out"
        )
    provenance = load_bundle(out / "bundle", check=False).manifest.provenance
    if provenance.dataset != dataset_digest(dataset):
        raise UsageError(
            f"{dataset.folder} is not what it was when {out} was begun",
            hint="begin anew in another --out; onlooker evaluate measures the run on other footage",
        )


def _measured(recipe: AnomalyRecipe, dataset: Dataset, test: _Test, out: Path) -> None:
    fit = json.loads((out / "fit.json").read_text(encoding="utf-8"))
    bundle = load_bundle(out / "bundle")
    output = next(o for o in bundle.manifest.outputs if isinstance(o, Anomaly))
    told = {k: v for k, v in fit.items() if isinstance(v, int | float)}
    metrics: dict[str, Any] = {"normal": {output.name: told}}
    videos: list[Measured] = []
    if test.task is not None:
        videos = score_videos(bundle, dataset, test.samples, test.task)
        values = measure(videos, output, recipe.pictures.rate, overlap=dataset.info.overlap) if videos else {}
        metrics["test"] = {output.name: {"auc": values.pop("value", None), **values}}
        arrays = {f"{what}.{v.sample.id}": getattr(v, what) for v in videos for what in ("scores", "truth")}
        with (out / "scores.npz").open("wb") as file:
            np.savez_compressed(file, **arrays)
        if test.notes:
            metrics["test"][output.name]["notes"] = list(test.notes)
    write_whole(out / "metrics.json", json.dumps(metrics, indent=1))
    write_whole(out / "report.html", _report(recipe, fit, metrics, videos, output, test.notes))


def _terminal() -> Progress:
    def say(what: str, done: int, of: int) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{what}: {done} of {of}" + ("\n" if done == of else ""))

    return say


def _report(
    recipe: AnomalyRecipe,
    fit: dict[str, Any],
    metrics: dict[str, Any],
    videos: Sequence[Measured],
    output: Anomaly,
    notes: Sequence[str],
) -> str:
    """A page with the curves of the test videos, their abnormal parts shaded, and the threshold."""
    rate, ticks = recipe.pictures.rate, round(output.spans.smooth_seconds * recipe.pictures.rate)
    about = (
        f"Counted on {fit['hours'] * 3600:.0f} s of footage that the model had not seen, down to "
        f"{fit['counted_down_to']:g} an hour; rarer ones are extrapolated."
    )
    if fit.get("left_out"):
        cut = ", ".join(f"{video} {seconds:g} s" for video, seconds in fit["left_out"].items())
        about += f" Left out of the normal footage, as it is labelled as abnormal: {cut}."
    about += "".join(f" {note}." for note in notes)
    alarms = section("False alarms on normal footage", table(["an hour", "threshold"], fit["false_alarms"]))
    drawn = (_curve(v, past_mean(v.scores, ticks), output.threshold, rate) for v in videos)
    said = "<p>Smoothed over the past; shaded: labelled abnormal; dashed: the threshold.</p>"
    measures = section("Measures", f"<pre>{escaped(json.dumps(metrics, indent=1))}</pre>")
    parts = [alarms, section("Scores of the test videos", said, *drawn), measures]
    return document(recipe.title or recipe.name, about, parts)


def _curve(video: Measured, series: np.ndarray[Any, np.dtype[np.float64]], threshold: float, rate: float) -> str:
    wide, high = 860.0, 140.0
    most = max(float(series.max()), threshold) * 1.05
    step = wide / max(1, len(series))
    bars = "".join(
        f'<rect x="{n * step:.1f}" y="0" width="{step + 0.2:.1f}" height="{high}" fill="#f6c9c0"/>'
        for n in np.flatnonzero(video.truth)
    )
    way = " ".join(f"{n * step:.1f},{high - v / most * high:.1f}" for n, v in enumerate(series))
    line = high - threshold / most * high
    return (
        f"<h3>{escaped(video.sample.id)} ({len(series) / rate:.0f} s)</h3>"
        f'<svg viewBox="0 0 {wide:g} {high:g}" role="img">{bars}<polyline fill="none" stroke="#235" points="{way}"/>'
        f'<line x1="0" x2="{wide:g}" y1="{line:.1f}" y2="{line:.1f}" stroke="#a33" stroke-dasharray="4 4"/></svg>'
    )
