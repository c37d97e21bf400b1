"""Where a run stands, as one file of safetensors, so that it goes on after a kill with the same numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from onlooker.core.errors import UsageError
from onlooker.learning.balance import Balancing
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.model import Model
from onlooker.learning.recipe import Recipe
from onlooker.learning.run_folder import RunFolder, dataset_digest, read_tensors, write_tensors
from onlooker.learning.training.conflicts import Conflicts
from onlooker.learning.training.optimise import Mean

__all__ = ["Parts", "Standing", "changed_settings", "check_same", "restore", "save"]

_FREE = frozenset(
    f"training.{name}"
    for name in ("workers", "in_memory", "cache", "checkpoint_seconds", "threads", "tensorboard", "compile")
)
"""Settings of which what is learned does not hang."""


@dataclass(slots=True)
class Standing:
    """Where a run stands.

    Args:
        epoch, step: the next batch.
        history: a line for each epoch that is over.
        best: the best value of what is monitored, higher being better, and its epoch.
        weights: the best weights so far, or empty.
        losses: sums by task and the number of batches of the running epoch.
        stopped: whether nothing got better for so long that the run is over before its last epoch.
    """

    epoch: int = 0
    step: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    best: float | None = None
    best_epoch: int = -1
    weights: dict[str, Tensor] = field(default_factory=dict)
    losses: dict[str, float] = field(default_factory=dict)
    batches: int = 0
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Parts:
    """What changes while a model is trained."""

    model: Model
    optimisers: Sequence[torch.optim.Optimizer]
    balancing: Balancing
    mean: Mean | None
    conflicts: Conflicts | None


def save(path: Path, standing: Standing, parts: Parts) -> None:
    """Write it whole, in place of the one before."""
    tensors: dict[str, Tensor] = {f"model.{k}": v for k, v in parts.model.state_dict().items()}
    tensors |= {f"balancing.{k}": v for k, v in parts.balancing.state_dict().items()}
    tensors |= {f"best.{k}": v for k, v in standing.weights.items()}
    if parts.mean is not None:
        tensors |= {f"mean.{k}": v for k, v in parts.mean.values.items()}
    if parts.conflicts is not None:
        tensors |= {f"conflicts.{k}": v for k, v in parts.conflicts.state_dict().items()}
    for place, optimiser in enumerate(parts.optimisers):
        for number, values in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{place}.{number}.{k}": v for k, v in values.items() if v is not None}
    facts = {name: getattr(standing, name) for name in Standing.__slots__ if name != "weights"}
    write_tensors(path, tensors, {**facts, "mean_count": 0 if parts.mean is None else parts.mean.count})


def check_same(folder: RunFolder, recipe: Recipe, dataset: Dataset) -> None:
    """Try that a run goes on as it began: what its folder says would else be true of no part of it.

    Args:
        folder: of the run.
        recipe: that it is to go on with; settings of speed alone may be others.
        dataset: of the recipe.

    Raises:
        UsageError: the recipe or the dataset is another than at the beginning.
        ConfigError: the folder's recipe cannot be read.
    """
    before, now = (r.model_dump(mode="json", exclude={"dataset", "search"}) for r in (folder.recipe(), recipe))
    if told := changed_settings(before, now):
        raise UsageError(
            f"{folder.path} was begun by another recipe: {told}",
            hint="go on with that one; or give another --out, with start.weights to begin from this run's weights",
        )
    if folder.environment.get("dataset") != dataset_digest(dataset):
        raise UsageError(
            f"{dataset.folder} is not what it was when {folder.path} was begun",
            hint="begin anew in another --out, with start.weights to begin from this run's weights",
        )


def changed_settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs between two recipes, apart from speed alone, the first three settings by name; or nothing.

    Args:
        before: a recipe as `Recipe.model_dump` gives it.
        now: the other one.
    """
    old, new = _flat(before), _flat(now)
    changed = [n for n in sorted(old.keys() | new.keys()) if n not in _FREE and old.get(n) != new.get(n)]
    told = ", ".join(f"{n} was {old.get(n)} and is {new.get(n)}" for n in changed[:3])
    return told + (f", and {len(changed) - 3} more" if len(changed) > 3 else "")


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Settings by their names with dots."""
    made: dict[str, Any] = {}
    for name, value in values.items():
        inner = _flat(value, f"{before}{name}.") if isinstance(value, dict) and value else {f"{before}{name}": value}
        made |= inner
    return made


def restore(path: Path, parts: Parts) -> Standing:
    """Put everything back.

    Raises:
        UsageError: the file is damaged or of another recipe.
    """
    tensors, facts = read_tensors(path)
    held: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        part, _, rest = name.partition(".")
        held.setdefault(part, {})[rest] = tensor
    try:
        parts.model.load_state_dict(held.get("model", {}))
        parts.balancing.load_state_dict(held.get("balancing", {}))
        count = facts.pop("mean_count")
        if parts.mean is not None:
            parts.mean.count = count
            for name, value in parts.mean.values.items():
                value.copy_(held["mean"][name])
        if parts.conflicts is not None:
            parts.conflicts.load_state_dict(held["conflicts"])
        states: dict[int, dict[int, dict[str, Tensor]]] = {}
        for name, tensor in held.get("optimiser", {}).items():
            place, number, key = name.split(".", 2)
            states.setdefault(int(place), {}).setdefault(int(number), {})[key] = tensor
        for place, optimiser in enumerate(parts.optimisers):
            optimiser.load_state_dict({**optimiser.state_dict(), "state": states.get(place, {})})
        return Standing(**facts, weights=held.get("best", {}))
    except (RuntimeError, KeyError, ValueError, TypeError) as error:
        said = " ".join(str(error).split())[:200]
        raise UsageError(f"{path} does not fit this recipe: {said}", hint="begin anew in another --out") from None
