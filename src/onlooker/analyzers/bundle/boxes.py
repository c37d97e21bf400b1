"""Boxes from the tensors of a detector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.bundles.inputs import PictureInput
from onlooker.bundles.outputs import Detection, Grid, Rows
from onlooker.bundles.preprocess import Placed
from onlooker.core.boxes import suppress

__all__ = ["boxes_of"]

Floats = NDArray[np.float32]


def boxes_of(outputs: Mapping[str, NDArray[Any]], output: Detection, facts: PictureInput, placed: Placed) -> Floats:
    """(n, 6): left, top, right, bottom in fractions of the picture, score, class number; best first.

    Args:
        outputs: the network's, by name.
        output: how they are read.
        facts: of the network's input.
        placed: where the picture lies in the input.
    """
    form = output.boxes
    rows = _rows(outputs, form, output, facts) if isinstance(form, Rows) else _grid(outputs, form, output, facts)
    rows[:, [0, 2]] = np.clip((rows[:, [0, 2]] - placed.left) / placed.width, 0, 1)
    rows[:, [1, 3]] = np.clip((rows[:, [1, 3]] - placed.top) / placed.height, 0, 1)
    rows = rows[(rows[:, 2] > rows[:, 0]) & (rows[:, 3] > rows[:, 1])]
    if not len(rows):
        return rows
    return rows[suppress(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.intp), output.overlap)]


def _rows(outputs: Mapping[str, NDArray[Any]], form: Rows, output: Detection, facts: PictureInput) -> Floats:
    table = outputs[form.tensor]
    table = table.reshape(-1, table.shape[-1]).astype(np.float32)
    box = table[:, form.first : form.first + 4].copy()
    classes = table[:, form.first_class : form.first_class + len(output.labels)]
    kinds = classes.argmax(1) if form.label is None else np.rint(table[:, form.label]).astype(np.intp)
    scores = table[:, form.score] if form.score is not None else classes.max(1)
    if form.score is not None and form.label is None:
        scores = scores * classes.max(1)
    if form.box == "centre":
        half = box[:, 2:] / 2
        box = np.concatenate([box[:, :2] - half, box[:, :2] + half], 1)
    if form.unit == "share":
        box *= np.array([facts.width, facts.height] * 2, np.float32)
    good = (scores >= output.keep_score) & (kinds >= 0) & (kinds < len(output.labels)) & np.isfinite(box).all(1)
    return np.column_stack([box, scores, kinds]).astype(np.float32)[good]


def _grid(outputs: Mapping[str, NDArray[Any]], form: Grid, output: Detection, facts: PictureInput) -> Floats:
    found: list[Floats] = []
    bins = np.arange(form.bins, dtype=np.float32)
    for stride, score_name, distance_name in zip(form.strides, form.scores, form.distances, strict=True):
        scores, distances = outputs[score_name][0], outputs[distance_name][0]
        best = scores.max(1)
        if form.logits:
            best = 1 / (1 + np.exp(-best))
        hit = np.flatnonzero(best >= output.keep_score)
        if not len(hit):
            continue
        y, x = np.divmod(hit, -(-facts.width // stride))
        centres = ((np.stack([x, y], 1) + 0.5) * stride).astype(np.float32)
        reach = distances[hit].reshape(len(hit), 4, -1)
        if form.bins > 1:
            weights = np.exp(reach - reach.max(-1, keepdims=True))
            reach = (weights @ bins) / weights.sum(-1)
        else:
            reach = reach[..., 0]
        reach = reach * stride
        boxes = np.concatenate([centres - reach[:, :2], centres + reach[:, 2:]], 1)
        found.append(np.column_stack([boxes, best[hit], scores[hit].argmax(1)]).astype(np.float32))
    return np.concatenate(found) if found else np.zeros((0, 6), np.float32)
