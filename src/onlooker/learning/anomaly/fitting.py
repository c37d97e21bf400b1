"""From normal footage to a bundle that tells what is unusual."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from onlooker.bundles import Bundle, export_bundle
from onlooker.bundles.importing import software
from onlooker.bundles.inputs import ClipInput
from onlooker.bundles.manifest import SCHEMA
from onlooker.bundles.outputs import Spans
from onlooker.core.errors import UsageError
from onlooker.learning.anomaly.budget import false_alarm_table, past_mean
from onlooker.learning.anomaly.footage import Clip, Looker, clip_facts
from onlooker.learning.anomaly.motion import MotionCells, cell_grid
from onlooker.learning.anomaly.neighbours import (
    REASONS,
    Moving,
    NeighbourScore,
    Scores,
    find_scale,
    held_out_scores,
    moving_regions,
)
from onlooker.learning.anomaly.normal import NormalFootage, normal_footage, stretches
from onlooker.learning.anomaly.prediction import PREDICTION_REASONS, PredictionScore, train_predictor
from onlooker.learning.anomaly.recipe import AnomalyRecipe, Neighbours, Prediction
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Sample
from onlooker.learning.run_folder import dataset_digest

__all__ = ["OUTPUTS", "Fitted", "Progress", "fit_anomaly"]

OUTPUTS = ("score", "region", "reasons")
Progress = Callable[[str, int, int], None]
"""Told what is done, how much of it, and of how much."""
_GOLDEN = 3


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted model.

    Args:
        bundle: as it is deployed.
        facts: ``threshold``, ``false_alarms`` (an hour, threshold), ``hours`` of normal footage, and more.
    """

    bundle: Bundle
    facts: dict[str, Any]


def quiet(what: str, done: int, of: int) -> None:
    """Progress that nobody is told of."""


def fit_anomaly(recipe: AnomalyRecipe, run_folder: Path, progress: Progress = quiet) -> Fitted:
    """Learn what is normal and write the bundle to ``run_folder/bundle``.

    Method ``neighbours``: attributes of moving regions and their distance to the nearest normal ones, after Reiss and
    Hoshen 2022 (arXiv 2212.00789). Method ``prediction``: error of a network that foretells the next picture, after Liu
    et al. 2018 (arXiv 1712.09867). The threshold keeps the recipe's budget of false alarms on normal footage that the
    model had not seen when it scored it.

    Args:
        recipe: what to learn; nothing but its normal split is looked at, without what is labelled as abnormal in it.
        run_folder: the bundle must not be in it yet.
        progress: told how far it is.

    Raises:
        UsageError: there is no such split, too little footage, or nothing moves in it.
        SourceError: footage cannot be read.
    """
    torch.set_num_threads(recipe.threads)
    dataset = Dataset.load(Path(recipe.dataset))
    footage = normal_footage(recipe, dataset)
    facts = clip_facts(recipe)
    if isinstance(recipe.method, Prediction):
        model, scores, told = _fit_prediction(recipe, recipe.method, footage, facts, progress)
    else:
        model, scores, told = _fit_neighbours(recipe, recipe.method, footage, facts, progress)
    spans = Spans(smooth_seconds=recipe.smoothing.seconds)
    ticks = max(1, round(recipe.smoothing.seconds * facts.rate))
    parts = [part for s in scores for part in stretches(s.ticks, s.values)]
    normal = [past_mean(part, ticks) for part in parts if len(part)]
    if not normal:
        raise UsageError(
            "all clips of normal footage are shorter than what the model looks at", hint="give longer ones"
        )
    table, counted = false_alarm_table(normal, facts.rate, spans, recipe.budget.false_alarms_per_hour)
    threshold = min(t for rate, t in table if rate <= recipe.budget.false_alarms_per_hour)
    told |= {"threshold": threshold, "false_alarms": table, **counted}
    if footage.cut:
        told = {"abnormal_seconds_left_out": round(sum(footage.cut.values()), 3), **told, "left_out": footage.cut}
    bundle = _export(recipe, model, footage, facts, table, threshold, spans, run_folder / "bundle")
    return Fitted(bundle, told)


def _fit_neighbours(
    recipe: AnomalyRecipe,
    method: Neighbours,
    normal: NormalFootage,
    facts: ClipInput,
    progress: Progress,
) -> tuple[NeighbourScore, list[Scores], dict[str, Any]]:
    rows, columns = cell_grid(facts.width, facts.height)
    footage: list[Moving] = []
    with Looker(MotionCells(method), facts, ("facts",), threads=recipe.threads) as eye:
        for number, sample in enumerate(normal.samples):
            looks = [(c.tick, eye.look(c)["facts"]) for c in normal.clips(sample, facts)]
            footage.append(moving_regions(looks, columns, method.least))
            progress("looking at normal footage", number + 1, len(normal.samples))
    scale = find_scale(footage, rows)
    model = NeighbourScore(method, recipe.pictures, scale)
    scores = held_out_scores(model, footage, recipe.folds, recipe.seed)
    progress("comparing", 1, 1)
    told = {
        "regions": sum(len(m.ticks) for m in footage),
        "speed_top": round(float(scale[0]), 4),
        "speed_bottom": round(float(scale[-1]), 4),
    }
    return model.eval(), scores, told


def _fit_prediction(
    recipe: AnomalyRecipe,
    method: Prediction,
    normal: NormalFootage,
    facts: ClipInput,
    progress: Progress,
) -> tuple[PredictionScore, list[Scores], dict[str, Any]]:
    torch.manual_seed(recipe.seed)
    samples = normal.samples
    held = [s for n, s in enumerate(samples) if n % recipe.folds == recipe.folds - 1] or [samples[-1]]
    seen = [s for s in samples if s not in held]
    model = PredictionScore(method, recipe.pictures)
    clips = _drawn_clips(normal, seen, facts, method.windows, recipe.seed)
    loss = train_predictor(model, clips, method, recipe.seed, lambda done, of: progress("training", done, of))
    errors: list[tuple[NDArray[np.int64], torch.Tensor]] = []
    for number, sample in enumerate(held):
        with torch.no_grad():
            looks = [(c.tick, model.errors(torch.from_numpy(c.tensor))[0]) for c in normal.clips(sample, facts)]
        if looks:
            errors.append((np.array([t for t, _ in looks], np.int64), torch.stack([e for _, e in looks])))
        progress("looking at normal footage", number + 1, len(held))
    if not errors:
        raise UsageError(
            "all clips of normal footage are shorter than what the model looks at", hint="give longer ones"
        )
    # what is normal at a place is taken from the other clips
    made: list[Scores] = []
    for number, (ticks, own) in enumerate(errors):
        model.settle(torch.cat([e for n, (_, e) in enumerate(errors) if n != number or len(errors) == 1]))
        values = ((own - model.mean) / model.deviation).max(1).values.numpy()
        made.append(Scores(ticks, values.astype(np.float64)))
    model.settle(torch.cat([e for _, e in errors]))
    return model.eval(), made, {"loss": round(loss, 6)}


def _drawn_clips(
    normal: NormalFootage, samples: Sequence[Sample], facts: ClipInput, most: int, seed: int
) -> list[NDArray[np.float32]]:
    """At most so many clips of all footage, each equally likely (reservoir sampling: Vitter 1985)."""
    random = np.random.default_rng(seed)
    kept: list[NDArray[np.float32]] = []
    count = 0
    for sample in samples:
        for clip in normal.clips(sample, facts):
            count += 1
            place = len(kept) if len(kept) < most else int(random.integers(count))
            if place < most:
                kept[place : place + 1] = [clip.tensor[0, :, 0].copy()]
    if not kept:
        raise UsageError(
            "all clips of normal footage are shorter than what the model looks at", hint="give longer ones"
        )
    return kept


def _export(
    recipe: AnomalyRecipe,
    model: NeighbourScore | PredictionScore,
    footage: NormalFootage,
    facts: ClipInput,
    table: Sequence[tuple[float, float]],
    threshold: float,
    spans: Spans,
    target: Path,
) -> Bundle:
    with Looker(model, facts, OUTPUTS, threads=recipe.threads) as eye:
        onnx = eye.onnx
    network = {
        "name": "eye",
        "file": "model.onnx",
        "tensor": "clip",
        "input": facts.model_dump(mode="json"),
        "outputs": list(OUTPUTS),
        "speaks": "end",
    }
    labels = REASONS if isinstance(model, NeighbourScore) else PREDICTION_REASONS
    output = {
        "task": "anomaly",
        "name": "anomaly",
        "tensor": "score",
        "region": "region",
        "reasons": {"tensor": "reasons", "labels": list(labels)},
        "threshold": threshold,
        "false_alarms": [list(row) for row in table],
        "spans": spans.model_dump(mode="json"),
    }
    settings = {k: v for k, v in recipe.method.model_dump(mode="json").items() if not isinstance(v, list)}
    fields: dict[str, Any] = {
        "schema": SCHEMA,
        "name": recipe.name,
        "title": recipe.title,
        "licence": recipe.licence,
        "licence_note": recipe.licence_note,
        "networks": [network],
        "outputs": [output],
        "golden": {"tolerance": 1e-3, "relative": 1e-3},
        "provenance": {
            "recipe": hashlib.sha256(recipe.model_dump_json(exclude={"dataset"}).encode()).hexdigest(),
            "dataset": dataset_digest(footage.dataset),
            "software": software(),
            "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "steps": [{"name": "fit_anomaly", "settings": settings}],
            "source": f"onlooker train {recipe.name}",
        },
    }
    return export_bundle(target, fields, {"model.onnx": onnx}, golden={"in.eye": _golden(footage, facts)})


def _golden(footage: NormalFootage, facts: ClipInput) -> NDArray[np.uint8]:
    """(steps, frames, height, width, 3) bytes of the first clip of footage that is long enough."""
    for sample in footage.samples:
        clips: list[Clip] = []
        for clip in footage.clips(sample, facts):
            clips.append(clip)
            if len(clips) == _GOLDEN:
                grey = np.stack([np.rint(c.tensor[0, :, 0] * 255) for c in clips]).astype(np.uint8)
                return np.repeat(grey[..., None], 3, axis=-1)
    raise UsageError("all clips of normal footage are shorter than what the model looks at", hint="give longer ones")
