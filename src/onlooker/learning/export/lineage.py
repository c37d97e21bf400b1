"""Where a bundle comes from and how good it is, as it says itself."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from onlooker.bundles import load_bundle
from onlooker.core.errors import OnlookerError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.export.plan import plain_names
from onlooker.learning.facts import preparation_of
from onlooker.learning.recipe import Recipe
from onlooker.learning.run_folder import RunFolder

__all__ = ["cut_of", "measured_metrics", "origin"]

_ANSWERS = {"validation": "predictions-validation.npz", "test": "predictions.npz"}
_METRIC = re.compile("[a-z][a-z0-9_@.]{0,63}")


def origin(folder: RunFolder, recipe: Recipe) -> dict[str, Any]:
    """Fields of the bundle's provenance."""
    told = folder.environment
    made: dict[str, Any] = {
        "recipe": told["recipe"],
        "dataset": told["dataset"],
        "software": told["software"],
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "steps": [{"name": "train", "settings": _settings(recipe)}],
        "source": f"onlooker train {recipe.name}",
    }
    if (folder.path / "lineage.json").is_file():
        return made | folder.read("lineage.json")
    parent = _parent(recipe.start.weights)
    return made | ({"parent": parent} if parent else {})


def cut_of(recipe: Recipe) -> dict[str, Any] | None:
    """How pictures were cut for training, by the recipe, or else its dataset; None: it takes none, or the dataset is
    not at hand.
    """
    try:
        pictures = preparation_of(recipe, Dataset.load(Path(recipe.dataset))).pictures
    except OnlookerError:
        pictures = recipe.prepare.pictures if recipe.prepare is not None else None
    if pictures is None:
        return None
    return {"crop": pictures.crop, "margin": pictures.margin if pictures.crop == "box" else 0.0}


def _settings(recipe: Recipe) -> dict[str, bool | int | float | str]:
    """The recipe's settings by their dotted names; paths on this machine are left out."""
    values = recipe.model_dump(mode="json", exclude={"dataset", "export", "title", "name", "kind"})
    values["start"].pop("weights")
    made: dict[str, bool | int | float | str] = {}
    _flatten(values, "", made)
    return made


def _flatten(values: Mapping[str, Any], before: str, made: dict[str, bool | int | float | str]) -> None:
    for key, value in values.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping):
            _flatten(value, f"{name}.", made)
        elif isinstance(value, list):
            if value:
                made[name] = ", ".join(str(part) for part in value)
        elif value is not None:
            made[name] = value


def _parent(weights: str | None) -> str | None:
    """The digest of the bundle whose weights were taken at the start, where it was one."""
    if weights is None:
        return None
    from onlooker.bundles.added import added_bundle, added_names

    try:
        folder = Path(weights).expanduser()
        if (folder / "bundle.json").is_file():
            return load_bundle(folder, check=False).digest
        return added_bundle(weights).digest if weights in added_names() else None
    except OnlookerError:
        return None


def measured_metrics(folder: RunFolder, recipe: Recipe) -> list[dict[str, Any]]:
    """Fields of the bundle's metrics: all that the run measured, with how many samples where its answers are kept."""
    names, digest = plain_names(recipe.tasks, "task"), folder.environment["dataset"]
    between = folder.read("intervals.json") if (folder.path / "intervals.json").is_file() else {}
    made: list[dict[str, Any]] = []
    for split, tasks in folder.read("metrics.json").items():
        counts = _counts(folder, split.split(" ")[0])
        for task, values in tasks.items():
            for name, value in values.items():
                if _METRIC.fullmatch(name) and math.isfinite(value):
                    row = {"output": names[task], "name": name, "value": float(value), "split": split}
                    row |= {"dataset": digest} | ({"count": counts[task]} if task in counts else {})
                    limits = between.get(split, {}).get(task, {}).get(name)
                    row |= {"ci95": limits} if limits else {}
                    made.append(row)
    return made


def _counts(folder: RunFolder, split: str) -> dict[str, int]:
    path = folder.path / _ANSWERS.get(split, "")
    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as kept:
        return {k.removeprefix("known."): int(kept[k].sum()) for k in kept.files if k.startswith("known.")}
