"""Boxes in the tensors of any detector, as the rows of training's own head of detection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.bundles.inputs import PictureInput
from onlooker.bundles.outputs import Detection, Grid, Rows

__all__ = ["box_rows"]

Floats = NDArray[np.float32]
_KEPT = 300


def box_rows(outputs: Mapping[str, NDArray[Any]], output: Detection, facts: PictureInput) -> Floats:
    """(300, 6 + labels): left, top, right, bottom in shares of the network's input, two zeros, scores of the labels.

    The best 300 are kept, and zeros fill up what is missing.

    Args:
        outputs: of the network, by name.
        output: how boxes stand in them.
        facts: of the network's input.
    """
    form = output.boxes
    labels = len(output.labels)
    found = _rows(outputs, form, labels, facts) if isinstance(form, Rows) else _grid(outputs, form, facts)
    found = np.where(np.isfinite(found), found, 0)
    best = np.argsort(-found[:, 4:].max(1), kind="stable")[:_KEPT]
    made = np.zeros((_KEPT, 6 + labels), np.float32)
    made[: len(best), :4] = found[best, :4]
    made[: len(best), 6:] = found[best, 4:]
    return made


def _rows(outputs: Mapping[str, NDArray[Any]], form: Rows, labels: int, facts: PictureInput) -> Floats:
    """(n, 4 + labels)."""
    table = outputs[form.tensor]
    table = table.reshape(-1, table.shape[-1]).astype(np.float32)
    box = table[:, form.first : form.first + 4].copy()
    if form.box == "centre":
        half = box[:, 2:] / 2
        box = np.concatenate([box[:, :2] - half, box[:, :2] + half], 1)
    if form.unit == "pixels":
        box = box / np.array([facts.width, facts.height] * 2, np.float32)
    if form.label is None:
        scores = table[:, form.first_class : form.first_class + labels].copy()
        if form.score is not None:
            scores *= table[:, [form.score]]
    else:
        kind = np.rint(table[:, form.label]).astype(np.intp)
        own = table[:, form.score] if form.score is not None else np.ones(len(table), np.float32)
        scores = np.zeros((len(table), labels), np.float32)
        known = np.flatnonzero((kind >= 0) & (kind < labels))
        scores[known, kind[known]] = own[known]
    return np.concatenate([box, scores], 1).astype(np.float32)


def _grid(outputs: Mapping[str, NDArray[Any]], form: Grid, facts: PictureInput) -> Floats:
    """(n, 4 + labels) over all levels."""
    found: list[NDArray[Any]] = []
    bins = np.arange(form.bins, dtype=np.float32)
    for stride, score_name, distance_name in zip(form.strides, form.scores, form.distances, strict=True):
        scores, distances = outputs[score_name][0].astype(np.float32), outputs[distance_name][0].astype(np.float32)
        if form.logits:
            scores = 1 / (1 + np.exp(-scores))
        y, x = np.divmod(np.arange(len(scores)), -(-facts.width // stride))
        centres = ((np.stack([x, y], 1) + 0.5) * stride).astype(np.float32)
        reach = distances.reshape(len(scores), 4, -1)
        if form.bins > 1:
            weights = np.exp(reach - reach.max(-1, keepdims=True))
            reach = (weights @ bins) / weights.sum(-1)
        else:
            reach = reach[..., 0]
        corners = np.concatenate([centres - reach[:, :2] * stride, centres + reach[:, 2:] * stride], 1)
        found.append(np.concatenate([corners / np.array([facts.width, facts.height] * 2, np.float32), scores], 1))
    return np.concatenate(found).astype(np.float32)
