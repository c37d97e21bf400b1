"""Moments in time, from spans.

Logits (B, T, labels) of 'here it is' from each step's features, learned like the centres of objects (CenterNet: Zhou et
al. 2019, arXiv 1904.07850): the step of the moment is a positive, and those near it are less of a negative by a normal
distribution. Found are the peaks. For stretches instead of moments take `dense`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from onlooker.learning.datasets.clips import Clip
from onlooker.learning.datasets.manifest import LabelledSpan, Task
from onlooker.learning.metrics import told
from onlooker.learning.metrics.calibration import sigmoid
from onlooker.learning.metrics.curves import best_threshold
from onlooker.learning.metrics.labels import counted_table
from onlooker.learning.metrics.moments import Peaks, moment_average_precision, peaks, right_peaks
from onlooker.learning.network import Features
from onlooker.learning.task import Array, Calibration, Head, Metric, TaskFacts
from onlooker.learning.tasks._example import Example
from onlooker.learning.tasks._labels import label_of
from onlooker.learning.tasks._moments import extent, step_seconds
from onlooker.learning.tasks._scored import ScoredConfig, layers, scored_output
from onlooker.learning.tasks._yes_no import kept_threshold, thresholds_of

__all__ = ["PART", "Config", "Events"]

_TOLERANCES = (1.0, 2.0, 4.0)


class Config(ScoredConfig):
    """Settings of the head.

    Attributes:
        at: which moment of a span is learned.
        spread: standard deviation in steps, by which steps near a moment are less of a negative.
        focal: sure steps count less by this power.
        apart_seconds: of two moments of a label that are nearer, the weaker is dropped when deployed; None: two steps.
        length_seconds: of an observation when deployed, with the moment in its middle.
    """

    head: Literal["events"] = "events"
    at: Literal["start", "middle", "end"] = "middle"
    spread: float = Field(default=1.0, gt=0, le=1000)
    focal: float = Field(default=2.0, ge=0, le=10)
    apart_seconds: float | None = Field(default=None, gt=0, le=3600)
    length_seconds: float = Field(default=1.0, gt=0, le=3600)


class Events(Head):
    """Features (B, T, D) to logits (B, T, labels); labels are (n, T, labels): 0, or 1 + where in the step, 0..1.

    Of two moments of one label in one step the later is kept. Metrics: ``map``, the mean average precision of peaks
    over tolerances of 1, 2 and 4 steps; ``map_1`` at that of 1 step; ``f1`` over all labels and ``macro_f1``, both at
    the calibrated thresholds and a tolerance of 1 step.
    """

    Config = Config
    kinds: ClassVar[tuple[str, ...]] = ("spans",)
    main: ClassVar[Metric] = Metric("map")
    task: ClassVar[str] = "events"
    windowed: ClassVar[bool] = False

    def __init__(self, config: Config, facts: TaskFacts, size: int, map_size: int | None = None) -> None:
        super().__init__(config, facts, size, map_size)
        self.config = config
        self.answer = layers(config, size, len(facts.classes))
        last = self.answer[-1]
        assert isinstance(last, nn.Linear)
        # moments are rare: without this the many negatives drown the first steps
        nn.init.constant_(last.bias, -math.log(9))

    def forward(self, features: Features) -> Tensor:
        """Logits (B, T, labels)."""
        return self.answer(features.steps)

    def loss(self, raw: Tensor, values: Tensor) -> Tensor:
        """(B,): the sum over steps and labels, for each moment."""
        raw, power = raw.float(), self.config.focal
        there = values > 0
        near = self._nearness(values)
        hit = -functional.logsigmoid(raw) * torch.sigmoid(-raw).clamp(min=1e-6) ** power
        miss = -functional.logsigmoid(-raw) * torch.sigmoid(raw).clamp(min=1e-6) ** power * (1 - near) ** 4
        return torch.where(there, hit, miss).sum((-2, -1)) / there.sum((-2, -1)).clamp(min=1)

    def _nearness(self, values: Tensor) -> Tensor:
        """(B, T, labels) in 0..1: how near the nearest moment is."""
        steps = torch.arange(values.shape[1], device=values.device, dtype=values.dtype)
        moments = torch.where(values > 0, steps[:, None] + values - 1, torch.inf)
        apart = (moments[:, None] - (steps + 0.5)[:, None, None]).abs().amin(2)
        return torch.exp(-((apart / self.config.spread) ** 2) / 2)

    @classmethod
    def encode(cls, facts: TaskFacts, config: Config, clips: Sequence[Clip]) -> tuple[Array, NDArray[np.bool_]]:
        """(n, T, labels) float32; moments outside of the input's time are left out."""
        labels = [label_of(facts, config, clip) for clip in clips]
        values = np.zeros((len(clips), facts.steps, len(facts.classes)), np.float32)
        for row, (clip, spans) in enumerate(zip(clips, labels, strict=True)):
            begin, length = extent(clip, facts)
            for span in spans or ():
                share = {"start": 0.0, "middle": 0.5, "end": 1.0}[config.at]
                moment = span.start + share * (span.end - span.start)
                step = (moment - begin) / length * facts.steps
                if 0 <= step < facts.steps:
                    values[row, int(step), facts.classes.index(span.label)] = 1 + step - int(step)
        return values, np.array([spans is not None for spans in labels], np.bool_)

    @classmethod
    def metrics(cls, raw: Array, values: Array, facts: TaskFacts, calibration: Calibration) -> dict[str, float]:
        """See the class; ``raw`` and ``values`` (n, T, labels), NaN behind the last step of shorter ones."""
        scores, moments = _scores(raw), _moments_of(values)
        table = cls.by_label(raw, values, facts, calibration)
        each = [row["f1"] for row in table.values() if "f1" in row]
        found = _found(peaks(scores), facts, calibration)
        total = len(found.score) + np.isfinite(moments).sum()
        made: dict[str, float | None] = {
            "map": moment_average_precision(scores, moments, _TOLERANCES),
            "map_1": moment_average_precision(scores, moments, (1.0,)),
            "f1": float(2 * right_peaks(found, moments, 1.0).sum() / total) if total else None,
            "macro_f1": float(np.mean(each)) if each else None,
        }
        return told(made)

    @classmethod
    def by_label(
        cls, raw: Array, values: Array, facts: TaskFacts, calibration: Calibration
    ) -> dict[str, dict[str, float]]:
        """Precision, recall and F1 of each label at its threshold and a tolerance of 1 step."""
        moments, labels = _moments_of(values), len(facts.classes)
        found = _found(peaks(_scores(raw)), facts, calibration)
        right = np.bincount(found.label[right_peaks(found, moments, 1.0)], minlength=labels)
        decided = np.bincount(found.label, minlength=labels)
        return counted_table(right, decided, np.isfinite(moments).sum((0, 1)), facts.classes)

    @classmethod
    def calibrate(cls, raw: Array, values: Array, facts: TaskFacts) -> Calibration:
        """By label the threshold with the best F1 at a tolerance of 1 step."""
        found, moments = peaks(_scores(raw)), _moments_of(values)
        right = right_peaks(found, moments, 1.0)
        best: dict[str, float] = {}
        for n, (label, total) in enumerate(zip(facts.classes, np.isfinite(moments).sum((0, 1)), strict=True)):
            ours = found.label == n
            threshold = best_threshold(found.score[ours], right[ours], int(total))
            if threshold is not None:
                best[label] = kept_threshold(threshold[0])
        return {"thresholds": best}

    @classmethod
    def decode(cls, raw: Array, facts: TaskFacts, calibration: Calibration) -> list[Any]:
        """Spans without length, at the peaks that reach their label's threshold."""
        answers: list[list[LabelledSpan]] = [[] for _ in raw]
        for row, step, label, score in zip(*_found(peaks(_scores(raw)), facts, calibration), strict=True):
            at = float((step + 0.5) * step_seconds(facts))
            span = LabelledSpan(label=facts.classes[label], start=at, end=at, score=round(float(score), 4))
            answers[row].append(span)
        return [tuple(spans) for spans in answers]

    @classmethod
    def output(cls, facts: TaskFacts, config: Config, calibration: Calibration) -> dict[str, Any]:
        """Of the task ``events``."""
        apart = config.apart_seconds or min(3600.0, 2 * step_seconds(facts))
        made = scored_output(cls.task, facts, config, calibration) | {"steps": facts.steps}
        return made | {"apart_seconds": apart, "length_seconds": config.length_seconds}


def _scores(raw: Array) -> NDArray[np.float64]:
    """Probabilities; where there is no step they are below all."""
    return np.where(np.isnan(raw), -np.inf, sigmoid(raw))


def _moments_of(values: Array) -> Array:
    """(n, T, labels): in steps from the beginning, infinite where there is none."""
    return np.where(values > 0, np.arange(values.shape[1])[:, None] + values - 1, np.inf)


def _found(all_peaks: Peaks, facts: TaskFacts, calibration: Calibration) -> Peaks:
    kept = all_peaks.score >= thresholds_of(facts, calibration)[all_peaks.label]
    return Peaks(*(column[kept] for column in all_peaks))


EXAMPLE = Example(
    TaskFacts("hits", Task(kind="spans", classes=("serve", "smash")), ("serve", "smash"), (6, 4), steps=8, seconds=4.0),
    (
        (),
        ({"label": "serve", "start": 0.5, "end": 1.0},),
        ({"label": "serve", "start": 2.2, "end": 2.2}, {"label": "smash", "start": 3.1, "end": 3.7}),
        ({"label": "smash", "start": 0.0, "end": 0.4}, {"label": "smash", "start": 3.75, "end": 3.75}),
    ),
    lambda values, facts: np.where(values > 0, 9.0, -9.0),
)
PART = Events
