"""What of a recipe cannot be trained on its dataset, found before training begins.

A run that goes on is not tried again: what an earlier version began has to be brought to its end.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from onlooker.bundles.inputs import ClipInput, FrameInput
from onlooker.core.errors import UsageError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Sample
from onlooker.learning.facts import Facts
from onlooker.learning.model import Model
from onlooker.learning.parts import load_part
from onlooker.learning.recipe import Recipe
from onlooker.learning.training.start import parameters_below

__all__ = ["check_gradients", "check_settings"]


def check_settings(
    recipe: Recipe, dataset: Dataset, facts: Facts, model: Model, samples: Sequence[Sample], processes: int
) -> None:
    """Try that the settings fit what they are said of.

    Args:
        recipe: the settings.
        dataset: what its tasks are.
        facts: of the inputs.
        model: whose parameters are named.
        samples: of the training part.
        processes: that train together.

    Raises:
        UsageError: one does not.
    """
    _check_moved_spans(recipe, dataset)
    _check_rates(recipe, model)
    _check_balanced(recipe, dataset, samples)
    for seen in facts.inputs.values():
        if isinstance(seen, FrameInput | ClipInput) and recipe.augment.shift >= min(seen.width, seen.height):
            raise UsageError(
                f"augment.shift: {recipe.augment.shift} pixels are as much as a side of the pictures, "
                f"{seen.width} x {seen.height}",
                hint="a few pixels are usual",
            )
    if len(samples) < processes:
        raise UsageError(
            f"the training part has {len(samples)} samples, fewer than the {processes} processes that train together"
        )


def _check_moved_spans(recipe: Recipe, dataset: Dataset) -> None:
    """What moves an input in time does not move the spans that are labelled on it."""
    moving = (("time_shift", "pictures"), ("roll", "log_mel"))
    for name, head in recipe.tasks.items():
        if dataset.info.tasks[head.of or name].kind != "spans":
            continue
        takes = {load_part("networks", recipe.inputs[i].network).takes for i in head.inputs or recipe.inputs}
        for setting, sense in moving:
            if getattr(recipe.augment, setting) and sense in takes:
                what = "pictures" if sense == "pictures" else "sound"
                raise UsageError(f"augment.{setting}: it moves {what} and not the spans of tasks.{name}; leave it out")


def _check_rates(recipe: Recipe, model: Model) -> None:
    for beginning, rate in recipe.start.rates.items():
        parameters_below(model, beginning, "start.rates")
        if rate < 0:
            raise UsageError(f"start.rates: expected factors of at least 0, got {rate:g} for {beginning}")


def _check_balanced(recipe: Recipe, dataset: Dataset, samples: Sequence[Sample]) -> None:
    name = recipe.training.balanced
    if name is None:
        return
    of = recipe.tasks[name].of or name
    task = dataset.info.tasks[of]
    if not task.has_classes:
        raise UsageError(
            f"training.balanced: {of} is of kind {task.kind}, which has no classes that could come alike often",
            hint="leave it out",
        )
    if not any(task.names(s.labels[of]) for s in samples if of in s.labels):
        raise UsageError(f"training.balanced: no sample of the training part names a class of {of}")


def check_gradients(recipe: Recipe, model: Model, *, per_task: bool) -> None:
    """Try that a task moves something; each of them, where the gradients of tasks are taken one by one.

    Args:
        recipe: the settings.
        model: with frozen parameters as such.
        per_task: whether the balancing needs the gradient of each task.

    Raises:
        UsageError: one does not, or nothing is shared whose gradients could be compared.
    """
    shared = [model.encoders, *([model.fusion] if model.fusion is not None else [])]
    still = [task for task in recipe.tasks if not any(_learns(part) for part in _parts_of(task, model, shared))]
    if len(still) == len(recipe.tasks):
        raise UsageError("start.freeze: nothing is left to train")
    compared = bool(recipe.training.conflicts) and len(recipe.tasks) > 1
    setting = "training.conflicts" if compared else "balancing.kind"
    if compared and not any(_learns(part) for part in shared):
        raise UsageError(
            f"{setting}: nothing that the tasks share is trained, so that there are no gradients to compare",
            hint="leave it out, or freeze less",
        )
    if still and (per_task or compared):
        raise UsageError(
            f"{setting}: it takes the gradient of each task, and nothing of {still[0]} is trained",
            hint="freeze less, or leave it out",
        )


def _parts_of(task: str, model: Model, shared: Sequence[nn.Module]) -> list[nn.Module]:
    """What the loss of a task moves."""
    alone = model.alone_on(task)
    own = [model.heads[task]] if task in model.heads else []
    if alone is not None:
        return [model.encoders[alone], *own]
    return [*shared, *own, *([] if model.beside else [model.sides])]


def _learns(part: nn.Module) -> bool:
    return any(p.requires_grad for p in part.parameters())
