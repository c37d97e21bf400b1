"""What a model answers to a part of a dataset, and how good that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onlooker.learning.model import Model
from onlooker.learning.parts import load_part
from onlooker.learning.precision import computing_in
from onlooker.learning.recipe import Recipe
from onlooker.learning.task import Array, Calibration, TaskFacts
from onlooker.learning.training.batches import Batch, Data, normalised
from onlooker.learning.views import View, views_of_inputs

__all__ = ["Predictions", "calibrations", "main_metrics", "measured", "predict"]


@dataclass(frozen=True, slots=True)
class Predictions:
    """Answers to n samples.

    Args:
        raw: by task (n, ...).
        values: by task, labels (n, ...).
        known: by task, bool (n,).
        numbers: (n,) places among the samples.
        shares: by input (n,), or empty.
    """

    raw: dict[str, Array]
    values: dict[str, Array]
    known: dict[str, NDArray[np.bool_]]
    numbers: NDArray[np.int64]
    shares: dict[str, Array]


@torch.no_grad()
def predict(
    model: Model,
    data: Data,
    *,
    device: torch.device | str = "cpu",
    precision: torch.dtype = torch.float32,
    views: Sequence[View] = (),
    without: frozenset[str] = frozenset(),
    change: Callable[[dict[str, Tensor]], dict[str, Tensor]] | None = None,
) -> Predictions:
    """The answers of a model in its deployed state (no dropout, running norms) to all samples in their order.

    Args:
        model: as it is; its mode is put back.
        data: not shuffled.
        device: where it runs.
        precision: bfloat16 for autocast.
        views: of the pictures that are answered too; the mean is taken.
        without: names of inputs that are taken as missing.
        change: spoils the normalised inputs, to see what the model makes of it.
    """
    was = model.training
    model.eval()
    raw: dict[str, list[Array]] = {}
    shares: dict[str, list[Array]] = {}
    batches: list[Batch] = []
    for batch in data.batches():
        inputs = {n: normalised(x.to(device), data.facts.inputs[n]) for n, x in batch.inputs.items()}
        if change is not None:
            inputs = change(inputs)
        present = {n: p.to(device) * (n not in without) for n, p in batch.present.items()}
        with computing_in(precision, device):
            first, *others = views_of_inputs(inputs, views)
            answer = model(first, present)
            answers = {n: r.float() for n, r in answer.raw.items()}
            for other in others:
                more = model(other, present).raw
                answers = {n: r + more[n].float() for n, r in answers.items()}
            answers = {n: r / (1 + len(others)) for n, r in answers.items()}
        for name, numbers in answers.items():
            raw.setdefault(name, []).append(numbers.cpu().numpy())
        for name, share in (answer.shares or {}).items():
            shares.setdefault(name, []).append(share.float().cpu().numpy())
        batch.inputs = {}
        batches.append(batch)
    model.train(was)
    return Predictions(
        {n: np.concatenate(r) for n, r in raw.items()},
        {n: np.concatenate([b.values[n].numpy() for b in batches]) for n in raw},
        {n: np.concatenate([b.known[n].numpy() for b in batches]) for n in raw},
        np.concatenate([b.numbers.numpy() for b in batches]),
        {n: np.concatenate(s) for n, s in shares.items()},
    )


def measured(
    predictions: Predictions,
    recipe: Recipe,
    tasks: Mapping[str, TaskFacts],
    calibration: Mapping[str, Calibration] | None = None,
) -> dict[str, dict[str, float]]:
    """All metrics by task, over the samples that have its label; tasks without any are left out."""
    made: dict[str, dict[str, float]] = {}
    for name, config in recipe.tasks.items():
        known = predictions.known[name]
        if known.any():
            part = load_part("tasks", config.head)
            own = (calibration or {}).get(name, {})
            made[name] = part.metrics(predictions.raw[name][known], predictions.values[name][known], tasks[name], own)
    return made


def calibrations(predictions: Predictions, recipe: Recipe, tasks: Mapping[str, TaskFacts]) -> dict[str, Calibration]:
    """By task, what makes its raw numbers into good decisions."""
    made: dict[str, Calibration] = {}
    for name, config in recipe.tasks.items():
        known = predictions.known[name]
        if known.any():
            part = load_part("tasks", config.head)
            made[name] = part.calibrate(predictions.raw[name][known], predictions.values[name][known], tasks[name])
    return made


def main_metrics(metrics: Mapping[str, Mapping[str, float]], recipe: Recipe) -> dict[str, float]:
    """By task its main metric, turned so that higher is better."""
    made: dict[str, float] = {}
    for name, values in metrics.items():
        main = load_part("tasks", recipe.tasks[name].head).main
        if main.name in values:
            made[name] = values[main.name] if main.higher else -values[main.name]
    return made
