"""Metrics of decisions for one of several classes, all from the confusion matrix.

A class that does not occur is left out of means over classes. What cannot be told is None.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["accuracy", "balanced_accuracy", "class_table", "confusion", "counted_table", "kappa", "macro_f1"]

Array = NDArray[Any]


def confusion(predicted: Array, true: Array, classes: int) -> NDArray[np.int64]:
    """(classes, classes): how often each class (row) was taken for each (column).

    >>> confusion(np.array([0, 1, 1]), np.array([0, 0, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    cells = true.astype(np.int64) * classes + predicted.astype(np.int64)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def accuracy(table: Array) -> float | None:
    """Share of right decisions."""
    return float(np.trace(table) / table.sum()) if table.sum() else None


def balanced_accuracy(table: Array) -> float | None:
    """Mean recall over the classes that occur."""
    true = table.sum(1)
    there = true > 0
    return float((np.diag(table)[there] / true[there]).mean()) if there.any() else None


def macro_f1(table: Array) -> float | None:
    """Mean F1 over the classes that occur or were decided for."""
    total = table.sum(0) + table.sum(1)
    there = total > 0
    return float((2 * np.diag(table)[there] / total[there]).mean()) if there.any() else None


def kappa(table: Array) -> float | None:
    """Cohen's kappa with quadratic weights: agreement on ordered levels beyond chance, 1 at best.

    Cohen 1968, Weighted kappa. None where all levels are the same, so that chance explains everything.
    """
    classes, count = len(table), table.sum()
    if not count:
        return None
    apart = (np.arange(classes)[:, None] - np.arange(classes)) ** 2
    chance = (apart * np.outer(table.sum(1), table.sum(0))).sum() / count
    return float(1 - (apart * table).sum() / chance) if chance else None


def class_table(table: Array, labels: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """By label: ``precision``, ``recall``, ``f1``, those that can be told, and ``support``: how often it occurs."""
    return counted_table(np.diag(table), table.sum(0), table.sum(1), labels)


def counted_table(
    right: Array, decided: Array, occurring: Array, labels: tuple[str, ...]
) -> dict[str, dict[str, float]]:
    """By label ``precision``, ``recall``, ``f1``, those that can be told, and ``support``.

    Args:
        right: (classes,): how often each was decided for and was so.
        decided: (classes,): how often it was decided for.
        occurring: (classes,): how often it was so.
        labels: of the classes.

    >>> counted_table(np.array([1]), np.array([2]), np.array([1]), ("a",))
    {'a': {'precision': 0.5, 'recall': 1.0, 'f1': 0.6666666666666666, 'support': 1.0}}
    """
    made: dict[str, dict[str, float]] = {}
    for label, hits, found, there in zip(labels, right, decided, occurring, strict=True):
        row: dict[str, float] = {}
        if found:
            row["precision"] = float(hits / found)
        if there:
            row["recall"] = float(hits / there)
        if found or there:
            row["f1"] = float(2 * hits / (found + there))
        made[label] = row | {"support": float(there)}
    return made
