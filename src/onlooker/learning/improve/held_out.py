"""Two bundles on data that neither learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from onlooker.core.errors import UsageError
from onlooker.learning.datasets.dataset import Dataset, common_parts
from onlooker.learning.evaluate.run import EvaluationRequest, evaluate
from onlooker.learning.recipe import Splits

__all__ = ["held_out", "worse"]


def held_out(
    bundle: Path, before: Path, data: Path, splits: Splits, *, seed: int = 0, threads: int | None = None
) -> dict[str, Any]:
    """The measures of both by the engine that serves, with the interval of their difference.

    Args:
        bundle: the new one.
        before: the one in use.
        data: folder of the dataset.
        splits: of the recipe by which both learned: its ``test`` counts, or else its ``validation``.
        seed: of the bootstrap.
        threads: that decode and answer.

    Returns:
        ``split``, ``count``, and by output in ``tasks`` the public form of
        `onlooker.learning.evaluate.compare.Difference`: ``value`` is the new one's, ``other`` the one in use.

    Raises:
        UsageError: nothing of the dataset is held out.
    """
    split = _part(Dataset.load(data).info.splits, splits, data)
    request = EvaluationRequest(
        str(bundle), data, split, against=str(before), near=False, errors=0, seed=seed, threads=threads
    )
    found = evaluate(request)
    return {"split": split, "count": found.count, "tasks": {n: d.as_dict() for n, d in found.against.items()}}


def _part(there: Sequence[str], splits: Splits, data: Path) -> str:
    """The part of the recipe that nothing was learned from.

    Raises:
        UsageError: there is none.
    """
    told: list[str] = []
    for use, part in (("test", splits.test), ("validation", splits.validation)):
        if part is None:
            told.append(f"the recipe names no part for {use}")
        elif common_parts(part, splits.train):
            told.append(f"{part}, for {use}, is learned from")
        elif not set(part.split("+")) <= set(there):
            told.append(f"{part}, for {use}, is not there")
        else:
            return part
    raise UsageError(f"nothing of {data} is held out: {'; '.join(told)}", hint="give a dataset with that part: --data")


def worse(found: Mapping[str, Any]) -> dict[str, str]:
    """By output, what is surely worse: at the level of 5 % by the paired bootstrap."""
    made = {}
    for name, task in found.get("tasks", {}).items():
        if task["better"] is False:
            made[name] = f"{task['metric']} on held-out data falls from {task['other']:.4g} to {task['value']:.4g}"
    return made
