"""Labels as arrays, with a mask for those that are missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.core.errors import UsageError
from onlooker.learning.datasets.manifest import Sample, Task

__all__ = ["Target", "class_counts", "identities_of", "targets_of", "width_of"]


@dataclass(frozen=True, slots=True)
class Target:
    """The labels of one task over n samples.

    Args:
        values: ``class``, ``ordinal``, ``identity``: int64 (n,), -1 where missing; ``multi-label``: float32
            (n, classes); ``regression``: float32 (n, d).
        known: bool (n,): where there is a label.
        weights: float32 (n,): the samples' weights for this task, 0 where there is no label.
    """

    values: NDArray[Any]
    known: NDArray[np.bool_]
    weights: NDArray[np.float32]


def identities_of(samples: Sequence[Sample], task: str) -> list[str]:
    """Who is there, sorted: the numbers of an identity task."""
    return sorted({s.labels[task] for s in samples if task in s.labels})


def targets_of(
    samples: Sequence[Sample], tasks: Mapping[str, Task], identities: Mapping[str, Sequence[str]] | None = None
) -> dict[str, Target]:
    """The labels of all tasks that are numbers; boxes, spans and texts stay with their samples.

    Args:
        samples: in the order of the rows.
        tasks: by name.
        identities: by task, names in the order of their numbers; without it those of ``samples``. Others are missing.

    Raises:
        UsageError: regression labels of one task have several lengths.

    >>> mood = Task(kind="class", classes=("bad", "good"))
    >>> rows = [Sample(id="1", text="a", labels={"mood": "good"}), Sample(id="2", text="b")]
    >>> made = targets_of(rows, {"mood": mood})["mood"]
    >>> made.values.tolist(), made.known.tolist()
    ([1, -1], [True, False])
    """
    made: dict[str, Target] = {}
    for name, task in tasks.items():
        match task.kind:
            case "class" | "ordinal":
                values = _numbers(samples, name, task.classes)
            case "identity":
                order = (identities or {}).get(name)
                values = _numbers(samples, name, identities_of(samples, name) if order is None else order)
            case "multi-label":
                values = _many(samples, name, task.classes)
            case "regression":
                values = _regression(samples, name)
            case _:
                continue
        known = np.array([name in s.labels for s in samples], np.bool_)
        if values.dtype == np.int64:
            known &= values >= 0
        weights = np.array([s.weight * s.weights.get(name, 1.0) for s in samples], np.float32) * known
        made[name] = Target(values, known, weights)
    return made


def _numbers(samples: Sequence[Sample], name: str, classes: Sequence[str]) -> NDArray[np.int64]:
    number = {c: n for n, c in enumerate(classes)}
    return np.array([number.get(s.labels.get(name, ""), -1) for s in samples], np.int64)


def _many(samples: Sequence[Sample], name: str, classes: Sequence[str]) -> NDArray[np.float32]:
    number = {c: n for n, c in enumerate(classes)}
    values = np.zeros((len(samples), len(classes)), np.float32)
    for row, sample in enumerate(samples):
        for label in sample.labels.get(name, ()):
            values[row, number[label]] = 1
    return values


def _regression(samples: Sequence[Sample], name: str) -> NDArray[np.float32]:
    width = width_of(samples, name)
    rows = [np.atleast_1d(s.labels[name]) if name in s.labels else None for s in samples]
    return np.array([np.zeros(width) if r is None else r for r in rows], np.float32).reshape(len(samples), width)


def width_of(samples: Sequence[Sample], name: str) -> int:
    """How many numbers each label of a regression has; 1 where there are no labels.

    Raises:
        UsageError: not all have as many.
    """
    found: dict[int, str] = {}
    for sample in samples:
        if name in sample.labels:
            found.setdefault(len(np.atleast_1d(sample.labels[name])), sample.id)
    if len(found) > 1:
        said = ", ".join(f"{width} in sample {id_}" for width, id_ in found.items())
        raise UsageError(f"labels of {name} have several lengths: {said}", hint="make them one")
    return next(iter(found), 1)


def class_counts(samples: Sequence[Sample], name: str, task: Task) -> dict[str, int]:
    """How often each class is named, also those that never are."""
    counts = dict.fromkeys(task.classes, 0)
    for sample in samples:
        if name in sample.labels:
            for label in task.names(sample.labels[name]):
                counts[label] += 1
    return counts
