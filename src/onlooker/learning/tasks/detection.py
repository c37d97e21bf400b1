"""Objects on the last picture: a small anchor-free head of one level on the maps of features.

Each cell tells the distances from its middle to the four sides of a box (FCOS: Tian et al. 2019, arXiv 1904.01355) and
the score of each class. The score is learned to be the overlap of the cell's box with the true one (quality focal loss:
Li et al. 2020, arXiv 2006.04388), the box by generalised IoU (Rezatofighi et al. 2019, arXiv 1902.09630).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from onlooker.core.boxes import suppress
from onlooker.core.errors import UsageError
from onlooker.learning.datasets.clips import Clip
from onlooker.learning.datasets.manifest import LabelledBox, Task
from onlooker.learning.metrics import told
from onlooker.learning.metrics.boxes import Matches, box_average_precision, matches
from onlooker.learning.metrics.curves import best_threshold
from onlooker.learning.metrics.labels import counted_table
from onlooker.learning.network import Features
from onlooker.learning.task import Array, Calibration, Head, HeadConfig, Metric, TaskFacts
from onlooker.learning.tasks._example import Example
from onlooker.learning.tasks._grid import assigned, centres_of, giou
from onlooker.learning.tasks._labels import label_of
from onlooker.learning.tasks._placed import boxes_of_last_frame, onto_input
from onlooker.learning.tasks._yes_no import kept_threshold

__all__ = ["PART", "Config", "Detection"]

_SCORES = 6
"""The first column of scores: before it are the box and the middle of the cell."""
_THRESHOLD, _OVERLAP, _KEPT = 0.45, 0.5, 0.01
_CANDIDATES = 300


class Config(HeadConfig):
    """Settings of the head.

    Attributes:
        kind: of the observations is always ``object``.
        hidden: channels of the layers between maps and answer.
        depth: how many layers of 3 x 3 there are.
        dropout: share of the channels of the maps that are left out at random in training.
        radius: cells around a box's middle, in cells, that learn the box.
        box_weight: of the loss of boxes against that of scores.
        most: boxes of one picture that are learned; of more, the largest.
        visible: boxes of which a smaller share is on the prepared picture are left out.
        threshold: least score of an object when deployed; None: the calibrated one, with the best F1.
        groups: by label, such as person or vehicle; tracks take boxes of their own group alone.
    """

    head: Literal["detection"] = "detection"
    kind: Literal["object"] | None = None
    hidden: int = Field(default=64, ge=8, le=4096)
    depth: int = Field(default=2, ge=1, le=8)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    radius: float = Field(default=1.5, gt=0, le=100)
    box_weight: float = Field(default=2.0, ge=0, le=100)
    most: int = Field(default=100, ge=1, le=10_000)
    visible: float = Field(default=0.25, gt=0, le=1)
    threshold: float | None = Field(default=None, ge=0, le=1)
    groups: dict[str, str] = Field(default_factory=dict)


class Detection(Head):
    """Maps (B, C, H, W) to rows (B, H * W, 6 + labels); all places are shares of the prepared picture.

    Columns are the left, top, right and bottom of the cell's box, x and y of the cell's middle, and the score of each
    label, 0..1. Labels are (n, most, 6): left, top, right, bottom, number of the class or -1 for no box, 1 for a crowd.

    Metrics: ``map_50`` and ``map``, the mean average precision at an IoU of 0.5 and over 0.5, 0.55 .. 0.95, as COCO has
    them (101 points of recall, 100 boxes of a class on a picture); ``precision``, ``recall`` and ``f1`` over all
    labels at the calibrated threshold and an IoU of 0.5.
    """

    Config = Config
    kinds: ClassVar[tuple[str, ...]] = ("boxes",)
    main: ClassVar[Metric] = Metric("map_50")
    task: ClassVar[str] = "detection"
    windowed: ClassVar[bool] = False

    def __init__(self, config: Config, facts: TaskFacts, size: int, map_size: int | None = None) -> None:
        super().__init__(config, facts, size, map_size)
        if map_size is None:
            raise UsageError(
                f"tasks.{facts.name}: detection needs a network that gives maps", hint="take one of two dimensions"
            )
        self.config, self.labels = config, len(facts.classes)
        made: list[nn.Module] = [nn.Dropout2d(config.dropout)] if config.dropout else []
        for depth in range(config.depth):
            made += [nn.Conv2d(config.hidden if depth else map_size, config.hidden, 3, padding=1, bias=False)]
            made += [nn.GroupNorm(math.gcd(8, config.hidden), config.hidden), nn.GELU()]
        self.tower = nn.Sequential(*made)
        self.answer = nn.Conv2d(config.hidden, 4 + self.labels, 1)
        nn.init.normal_(self.answer.weight, std=0.01)
        assert self.answer.bias is not None
        with torch.no_grad():
            # objects are rare: without this the many empty cells drown the first steps
            self.answer.bias.copy_(torch.tensor([0.0] * 4 + [-math.log(49)] * self.labels))

    def forward(self, features: Features) -> Tensor:
        """Rows (B, H * W, 6 + labels)."""
        assert features.maps is not None
        high, wide = features.maps.shape[-2:]
        raw = self.answer(self.tower(features.maps)).float().flatten(2).transpose(1, 2)
        centres = centres_of(high, wide, raw)
        sides = functional.softplus(raw[..., :4]) * torch.tensor([1 / wide, 1 / high] * 2, device=raw.device)
        corners = torch.cat([centres - sides[..., :2], centres + sides[..., 2:]], -1)
        return torch.cat([corners, centres.expand(len(raw), -1, -1), raw[..., 4:].sigmoid()], -1)

    def loss(self, raw: Tensor, values: Tensor) -> Tensor:
        """(B,): the sum over cells, for each cell that learns a box."""
        raw = raw.float()
        centres, corners, scores = raw[0, :, 4:6].detach(), raw[..., :4], raw[..., _SCORES:]
        boxes, there, crowd = values[..., :4], (values[..., 4] >= 0) & (values[..., 5] == 0), values[..., 5] > 0
        number = assigned(centres, boxes, there, self.config.radius)
        learns = number >= 0
        own = values.gather(1, number.clamp(min=0)[..., None].expand(-1, -1, 6))
        share, generalised = giou(corners, own[..., :4])
        label = own[..., 4].long().clamp(min=0)
        quality = functional.one_hot(label, self.labels) * (share.detach() * learns)[..., None]
        sure = scores.clamp(1e-6, 1 - 1e-6)
        wrong = functional.binary_cross_entropy(sure, quality, reduction="none") * (quality - scores).detach() ** 2
        low, high = centres[:, None] - boxes[:, None, :, :2], boxes[:, None, :, 2:] - centres[:, None]
        in_crowd = ((torch.minimum(low, high) > 0).all(-1) & crowd[:, None]).any(-1) & ~learns
        by_cell = wrong.sum(-1) * ~in_crowd + self.config.box_weight * (1 - generalised) * learns
        return by_cell.sum(1) / learns.sum(1).clamp(min=1)

    @classmethod
    def encode(cls, facts: TaskFacts, config: Config, clips: Sequence[Clip]) -> tuple[Array, NDArray[np.bool_]]:
        """(n, most, 6) float32; a picture without boxes is labelled so if its label is an empty list."""
        labels = [label_of(facts, config, clip) for clip in clips]
        values = np.zeros((len(clips), config.most, 6), np.float32)
        values[..., 4] = -1
        for row, (clip, boxes) in enumerate(zip(clips, labels, strict=True)):
            held = boxes_of_last_frame(clip, boxes or ())
            if held:
                rows = _encoded(held, facts, config, onto_input(clip, facts))
                values[row, : len(rows)] = rows
        return values, np.array([boxes is not None for boxes in labels], np.bool_)

    @classmethod
    def metrics(cls, raw: Array, values: Array, facts: TaskFacts, calibration: Calibration) -> dict[str, float]:
        """See the class; ``raw`` (n, cells, 6 + labels), ``values`` (n, most, 6)."""
        return cls.resampled(raw, values, facts, calibration)(np.arange(len(raw)))

    @classmethod
    def resampled(
        cls, raw: Array, values: Array, facts: TaskFacts, calibration: Calibration
    ) -> Callable[[NDArray[np.intp]], dict[str, float]]:
        """See `Head.resampled`; boxes are matched once."""
        compared = _compared(raw, values, facts)
        sure = compared.score >= calibration.get("threshold", _THRESHOLD)

        def of(rows: NDArray[np.intp]) -> dict[str, float]:
            parts = box_average_precision(compared, rows)
            parts = parts[parts[:, 0] >= 0]
            weight = np.bincount(rows, minlength=len(raw))
            worth = weight[compared.picture] * sure
            right = float(worth @ compared.right[:, 0])
            decided = float(worth @ ~compared.ignored[:, 0])
            occurring = float(weight @ compared.totals.sum(1))
            made = {
                "map_50": float(parts[:, 0].mean()) if len(parts) else None,
                "map": float(parts.mean()) if len(parts) else None,
                "precision": right / decided if decided else None,
                "recall": right / occurring if occurring else None,
                "f1": 2 * right / (decided + occurring) if decided + occurring else None,
            }
            return told(made)

        return of

    @classmethod
    def by_label(
        cls, raw: Array, values: Array, facts: TaskFacts, calibration: Calibration
    ) -> dict[str, dict[str, float]]:
        """Of each label precision, recall, F1 at the threshold, and average precision, at an IoU of 0.5."""
        compared = _compared(raw, values, facts)
        sure = compared.score >= calibration.get("threshold", _THRESHOLD)
        kept = sure & ~compared.ignored[:, 0]
        right, decided = (
            np.bincount(compared.label[rows], minlength=len(facts.classes))
            for rows in (kept & compared.right[:, 0], kept)
        )
        table = counted_table(right, decided, compared.totals.sum(0), facts.classes)
        for row, part in zip(table.values(), box_average_precision(compared)[:, 0], strict=True):
            row.update({"ap": float(part)} if part >= 0 else {})
        return table

    @classmethod
    def calibrate(cls, raw: Array, values: Array, facts: TaskFacts) -> Calibration:
        """``threshold``: the score with the best F1 over all labels at an IoU of 0.5."""
        compared = _compared(raw, values, facts)
        kept = ~compared.ignored[:, 0]
        best = best_threshold(compared.score[kept], compared.right[kept, 0], int(compared.totals.sum()))
        return {} if best is None else {"threshold": kept_threshold(best[0])}

    @classmethod
    def decode(cls, raw: Array, facts: TaskFacts, calibration: Calibration) -> list[Any]:
        """The boxes that reach the threshold, in shares of the prepared picture."""
        least = calibration.get("threshold", _THRESHOLD)
        return [
            tuple(
                LabelledBox(
                    label=facts.classes[int(row[5])], box=tuple(row[:4].tolist()), score=round(float(row[4]), 4)
                )
                for row in rows
                if row[4] >= least
            )
            for rows in _found(raw)
        ]

    @classmethod
    def output(cls, facts: TaskFacts, config: Config, calibration: Calibration) -> dict[str, Any]:
        """Of the task ``detection``; the tensor's name belongs in ``boxes``, which has the form ``rows``."""
        threshold = calibration.get("threshold", _THRESHOLD) if config.threshold is None else config.threshold
        rows = {"form": "rows", "box": "corners", "unit": "share", "first": 0}
        made = {"task": cls.task, "labels": facts.classes, "overlap": _OVERLAP, "threshold": threshold}
        made |= {"boxes": rows | {"score": None, "label": None, "first_class": _SCORES}}
        return made | {"keep_score": round(0.6 * threshold, 4), "groups": dict(config.groups)}


def _encoded(
    boxes: list[LabelledBox], facts: TaskFacts, config: Config, onto: tuple[float, float, float, float]
) -> NDArray[np.float32]:
    """(m, 6), the largest first."""
    across, right, down, below = onto
    whole = np.array([b.box for b in boxes]) * [across, down, across, down] + [right, below, right, below]
    seen = np.clip(whole, 0, 1)
    area, left = (np.prod(b[:, 2:] - b[:, :2], axis=1) for b in (whole, seen))
    labels = np.array([[facts.classes.index(b.label), b.crowd] for b in boxes], np.float64)
    kept = np.flatnonzero((left > 0) & (left >= config.visible * area))
    kept = kept[np.argsort(-left[kept], kind="stable")][: config.most]
    return np.column_stack([seen, labels])[kept].astype(np.float32)


def _found(raw: Array) -> list[Array]:
    """Of each sample (k, 6): left, top, right, bottom, score, label; doubles dropped, the best first."""
    boxes, scores = np.clip(raw[..., :4], 0, 1), raw[..., _SCORES:].max(-1)
    labels = raw[..., _SCORES:].argmax(-1)
    good = (scores >= _KEPT) & (boxes[..., 2] > boxes[..., 0]) & (boxes[..., 3] > boxes[..., 1])
    made: list[Array] = []
    for row in range(len(raw)):
        kept = np.flatnonzero(good[row])
        kept = kept[np.argsort(-scores[row, kept], kind="stable")[:_CANDIDATES]]
        kept = kept[suppress(boxes[row, kept], scores[row, kept], labels[row, kept], _OVERLAP)]
        made.append(np.column_stack([boxes[row, kept], scores[row, kept], labels[row, kept]]))
    return made


def _box(row: Array, facts: TaskFacts) -> LabelledBox:
    left, top, right, bottom, score, label = row.tolist()
    return LabelledBox(label=facts.classes[int(label)], box=(left, top, right, bottom), score=round(score, 4))


def _compared(raw: Array, values: Array, facts: TaskFacts) -> Matches:
    return matches(_found(raw), [rows[rows[:, 4] >= 0] for rows in values], len(facts.classes))


def _perfect(values: Array, facts: TaskFacts) -> Array:
    """Rows of a grid of 8 x 8 with each box at the cell of its number."""
    raw = np.zeros((len(values), 64, _SCORES + len(facts.classes)), np.float32)
    for row, number in zip(*np.nonzero(values[..., 4] >= 0), strict=True):
        raw[row, number, :4] = values[row, number, :4]
        raw[row, number, _SCORES + int(values[row, number, 4])] = 0.9
    return raw


EXAMPLE = Example(
    TaskFacts("things", Task(kind="boxes", classes=("cat", "dog")), ("cat", "dog"), (3, 2)),
    (
        (),
        ({"label": "cat", "box": [0.1, 0.1, 0.5, 0.6]},),
        ({"label": "dog", "box": [0.3, 0.2, 0.9, 0.9]}, {"label": "cat", "box": [0.0, 0.7, 0.2, 1.0]}),
        ({"label": "dog", "box": [0.6, 0.0, 1.0, 0.3]},),
    ),
    _perfect,
    {"hidden": 16},
)
PART = Detection
