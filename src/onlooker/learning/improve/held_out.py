"""Two bundles on data that neither learned from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.evaluate.run import EvaluationRequest, evaluate

__all__ = ["held_out", "worse"]


def held_out(bundle: Path, before: Path, data: Path, *, seed: int = 0, threads: int | None = None) -> dict[str, Any]:
    """The measures of both by the engine that serves, with the interval of their difference.

    Args:
        bundle: the new one.
        before: the one in use.
        data: folder of the dataset; its part ``test`` counts, or ``val`` where there is none.
        seed: of the bootstrap.
        threads: that decode and answer.

    Returns:
        ``split``, ``count``, and by output in ``tasks`` the public form of
        `onlooker.learning.evaluate.compare.Difference`: ``value`` is the new one's, ``other`` the one in use.
        Empty where the dataset has neither part.
    """
    splits = Dataset.load(data).info.splits
    split = next((s for s in ("test", "val") if s in splits), None)
    if split is None:
        return {}
    request = EvaluationRequest(
        str(bundle), data, split, against=str(before), near=False, errors=0, seed=seed, threads=threads
    )
    found = evaluate(request)
    return {"split": split, "count": found.count, "tasks": {n: d.as_dict() for n, d in found.against.items()}}


def worse(found: Mapping[str, Any]) -> dict[str, str]:
    """By output, what is surely worse: at the level of 5 % by the paired bootstrap."""
    made = {}
    for name, task in found.get("tasks", {}).items():
        if task["better"] is False:
            made[name] = f"{task['metric']} on held-out data falls from {task['other']:.4g} to {task['value']:.4g}"
    return made
