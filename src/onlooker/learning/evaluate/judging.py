"""What raw numbers say beside their metrics: which class was taken for which, how sure and how right decisions were."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.learning.metrics.calibration import sigmoid, softmax
from onlooker.learning.metrics.labels import confusion
from onlooker.learning.task import Array, Calibration, Head, TaskFacts

__all__ = ["class_numbers", "confidences", "confusion_of", "correct", "levels", "side_by_side"]

_ONE_OF = frozenset(("classification", "ordinal"))


def class_numbers(head: type[Head], raw: Array, facts: TaskFacts, calibration: Calibration) -> NDArray[np.int64] | None:
    """(n,) numbers of the classes that are answered, of heads that answer one of several; else None."""
    if head.task not in _ONE_OF or not facts.classes:
        return None
    number = {label: n for n, label in enumerate(facts.classes)}
    return np.array([number[label] for label in head.decode(raw, facts, calibration)], np.int64)


def confusion_of(
    head: type[Head], raw: Array, values: Array, facts: TaskFacts, calibration: Calibration
) -> NDArray[np.int64] | None:
    """(classes, classes) counts, true by answered; None for heads that answer no single class."""
    found = class_numbers(head, raw, facts, calibration)
    return None if found is None else confusion(found, values, len(facts.classes))


def correct(
    head: type[Head], raw: Array, values: Array, facts: TaskFacts, calibration: Calibration
) -> NDArray[np.bool_] | None:
    """(n,): whether each sample is answered right as a whole; None for heads whose answers are never just right."""
    found = class_numbers(head, raw, facts, calibration)
    if found is not None:
        return found == values
    if head.task != "multi_label":
        return None
    _, decided = side_by_side(raw, facts, calibration)
    return (decided == (values > 0.5)).all(1)


def side_by_side(raw: Array, facts: TaskFacts, calibration: Calibration) -> tuple[Array, NDArray[np.bool_]]:
    """(..., labels): probabilities of labels, and which of them are answered; of a task of one class the likeliest."""
    scaled = raw / calibration.get("temperature", 1.0)
    if facts.task.kind == "class":
        return softmax(scaled), raw.argmax(-1)[..., None] == np.arange(raw.shape[-1])
    thresholds = np.array([calibration.get("thresholds", {}).get(label, 0.5) for label in facts.classes])
    scores = sigmoid(scaled)
    return scores, scores >= thresholds


def confidences(
    head: type[Head], raw: Array, values: Array, facts: TaskFacts, calibration: Calibration
) -> tuple[Array, Array] | None:
    """How sure each decision was, 0..1, and whether it was right; None for heads that give no probabilities."""
    scaled = raw / calibration.get("temperature", 1.0)
    if head.task in _ONE_OF:
        found = class_numbers(head, raw, facts, calibration)
        if found is None or not len(found):
            return None
        scores = softmax(scaled) if head.task == "classification" else levels(scaled)
        return np.take_along_axis(scores, found[:, None], 1)[:, 0], found == values
    if head.task in ("multi_label", "dense", "events") and raw.shape == values.shape:
        return sigmoid(scaled).ravel(), (values > 0.5).ravel()
    return None


def levels(raw: Array) -> NDArray[np.float64]:
    """(n, levels) probabilities of (n, levels - 1) logits of being above each level.

    >>> levels(np.array([[0.0, -100.0]])).round(2).tolist()
    [[0.5, 0.5, 0.0]]
    """
    above: NDArray[Any] = np.minimum.accumulate(sigmoid(raw), axis=1)
    ends = np.ones((len(raw), 1))
    return np.concatenate([ends, above], 1) - np.concatenate([above, 0 * ends], 1)
