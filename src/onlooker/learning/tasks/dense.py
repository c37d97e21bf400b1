"""Labels for each step of the input, from spans or from what holds for the whole of it.

Logits (B, T, labels) from each step's features: labels of spans and of ``multi-label`` hold side by side (sigmoid,
binary cross-entropy), of ``class`` one does (softmax, cross-entropy).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from onlooker.learning.datasets.clips import Clip
from onlooker.learning.datasets.manifest import LabelledSpan, Task
from onlooker.learning.metrics import told
from onlooker.learning.metrics.calibration import binary_nll, fitted_temperature, nll, softmax
from onlooker.learning.metrics.spans import span_average_precision, span_f1, stretches
from onlooker.learning.network import Features
from onlooker.learning.task import Array, Calibration, Head, Metric, TaskFacts
from onlooker.learning.tasks._example import Example
from onlooker.learning.tasks._labels import label_of, target_of
from onlooker.learning.tasks._moments import covered, extent, step_seconds
from onlooker.learning.tasks._scored import ScoredConfig, layers, scored_output
from onlooker.learning.tasks._yes_no import (
    BinaryLoss,
    calibrated_labels,
    decisions,
    flat,
    positive_weights,
    score_metrics,
    score_table,
    scores_of,
    steps_of,
)

__all__ = ["PART", "Config", "Dense"]

_OVERLAPS = (0.3, 0.4, 0.5, 0.6, 0.7)


class Config(ScoredConfig):
    """Settings of the head.

    Attributes:
        covered: share of a step that a span has to cover for its label to hold there; the step with the span's middle
            always has it, so that no span is lost.
        label_smoothing: share of each label that is spread in training: over all labels, or towards one half.
        class_weights: ``balanced`` weighs the positives of a label up by how much rarer it is than the most frequent
            one, at most 100 times.
        focal_positive: the loss of positives of spans is weighted by (1 - probability) to this power; 0: not.
        focal_negative: that of negatives by the probability to this power; 0: not.
    """

    head: Literal["dense"] = "dense"
    covered: float = Field(default=0.5, gt=0, le=1)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    class_weights: Literal["none", "balanced"] = "none"
    focal_positive: float = Field(default=0.0, ge=0, le=10)
    focal_negative: float = Field(default=0.0, ge=0, le=10)


class Dense(Head):
    """Features (B, T, D) to logits (B, T, labels); labels are 0 or 1 (n, T, labels).

    Metrics over all steps: ``map``, ``auc``, ``macro_f1``, ``micro_f1``, ``nll``, ``calibration_error`` as of
    `multi_label`. Of spans, which are the runs of steps above the calibrated threshold: ``span_f1_10``,
    ``span_f1_25``, ``span_f1_50`` from an IoU of 0.1, 0.25, 0.5 on; ``span_map``, the mean average precision over
    an IoU of 0.3, 0.4 .. 0.7.
    """

    Config = Config
    kinds: ClassVar[tuple[str, ...]] = ("spans", "class", "multi-label")
    main: ClassVar[Metric] = Metric("map")
    task: ClassVar[str] = "dense"
    windowed: ClassVar[bool] = False

    def __init__(self, config: Config, facts: TaskFacts, size: int, map_size: int | None = None) -> None:
        super().__init__(config, facts, size, map_size)
        self.config, self.one = config, facts.task.kind == "class"
        self.answer = layers(config, size, len(facts.classes))
        weights = positive_weights(facts.counts if config.class_weights == "balanced" else (), len(facts.classes))
        self.binary = BinaryLoss(weights, config.label_smoothing, config.focal_positive, config.focal_negative)

    def forward(self, features: Features) -> Tensor:
        """Logits (B, T, labels)."""
        return self.answer(features.steps)

    def loss(self, raw: Tensor, values: Tensor) -> Tensor:
        """(B,): the mean over steps."""
        if not self.one:
            return self.binary(raw, values).mean((-2, -1))
        smooth = self.config.label_smoothing
        true = values * (1 - smooth) + smooth / values.shape[-1]
        wrong = -(true * functional.log_softmax(raw.float(), -1)).sum(-1)
        return (wrong * (values @ self.binary.weights)).mean(-1)

    @classmethod
    def encode(cls, facts: TaskFacts, config: Config, clips: Sequence[Clip]) -> tuple[Array, NDArray[np.bool_]]:
        """0 or 1 (n, T, labels) float32."""
        if facts.task.kind != "spans":
            target = target_of(facts, config, clips)
            values = target.values
            if values.dtype.kind == "i":
                values = np.eye(len(facts.classes), dtype=np.float32)[values] * target.known[:, None]
            return np.repeat(values[:, None], facts.steps, 1), target.known
        labels = [label_of(facts, config, clip) for clip in clips]
        values = np.zeros((len(clips), facts.steps, len(facts.classes)), np.float32)
        for row, (clip, spans) in enumerate(zip(clips, labels, strict=True)):
            if spans:
                begin, length = extent(clip, facts)
                values[row] = covered(spans, facts.classes, begin, length, facts.steps, config.covered)
        return values, np.array([spans is not None for spans in labels], np.bool_)

    @classmethod
    def metrics(cls, raw: Array, values: Array, facts: TaskFacts, calibration: Calibration) -> dict[str, float]:
        """See the class; ``raw`` and ``values`` (n, T, labels), NaN behind the last step of shorter ones."""
        if not len(raw):
            return {}
        scores, found, true = _scores(raw, facts, calibration), _found(raw, facts, calibration), values > 0.5
        known, logits, likely, decided = steps_of(values, raw, scores, found)
        scaled = logits / calibration.get("temperature", 1.0)
        made: dict[str, float | None] = {**score_metrics(likely, decided, known > 0.5)}
        if facts.task.kind == "class":
            return told(made | {"nll": nll(scaled, known.argmax(1))})
        made["nll"] = binary_nll(scaled, known > 0.5)
        if facts.task.kind == "spans":
            made |= {f"span_f1_{round(100 * o)}": span_f1(found, true, o) for o in (0.1, 0.25, 0.5)}
            made["span_map"] = span_average_precision(scores, found, true, _OVERLAPS)
        return told(made)

    @classmethod
    def by_label(
        cls, raw: Array, values: Array, facts: TaskFacts, calibration: Calibration
    ) -> dict[str, dict[str, float]]:
        """Precision, recall, F1 and average precision of each label over all steps."""
        each = _scores(raw, facts, calibration), _found(raw, facts, calibration)
        known, scores, found = steps_of(values, *each)
        return score_table(scores, found, known > 0.5, facts.classes)

    @classmethod
    def calibrate(cls, raw: Array, values: Array, facts: TaskFacts) -> Calibration:
        """The temperature with the least negative log-likelihood; where labels hold side by side, thresholds too."""
        if facts.task.kind != "class" or not len(raw):
            return calibrated_labels(raw, values, facts)
        logits, true = flat(raw), flat(values).argmax(1)
        return {"temperature": round(fitted_temperature(lambda t: nll(logits / t, true) or 0.0), 4)}

    @classmethod
    def decode(cls, raw: Array, facts: TaskFacts, calibration: Calibration) -> list[Any]:
        """Spans with the mean probability of their steps; of other tasks what holds for the mean over the steps."""
        scores = _scores(raw, facts, calibration)
        if facts.task.kind == "class":
            return [facts.classes[n] for n in scores.mean(1).argmax(1)]
        if facts.task.kind == "multi-label":
            found = decisions(raw.mean(1), facts, calibration)
            return [tuple(np.array(facts.classes)[row].tolist()) for row in found]
        answers: list[list[LabelledSpan]] = [[] for _ in raw]
        length = step_seconds(facts)
        for row, label, start, end in zip(*stretches(_found(raw, facts, calibration)), strict=True):
            score = round(float(scores[row, start:end, label].mean()), 4)
            span = LabelledSpan(
                label=facts.classes[label], start=float(start * length), end=float(end * length), score=score
            )
            answers[row].append(span)
        return [tuple(spans) for spans in answers]

    @classmethod
    def output(cls, facts: TaskFacts, config: Config, calibration: Calibration) -> dict[str, Any]:
        """Of the task ``dense``."""
        activation = "softmax" if facts.task.kind == "class" else "sigmoid"
        made = scored_output(cls.task, facts, config, calibration)
        return made | {"steps": facts.steps, "activation": activation}


def _scores(raw: Array, facts: TaskFacts, calibration: Calibration) -> NDArray[np.float64]:
    if facts.task.kind == "class":
        return softmax(raw / calibration.get("temperature", 1.0))
    return scores_of(raw, calibration)


def _found(raw: Array, facts: TaskFacts, calibration: Calibration) -> NDArray[np.bool_]:
    if facts.task.kind == "class":
        return raw.argmax(-1)[..., None] == np.arange(raw.shape[-1])
    return decisions(raw, facts, calibration)


EXAMPLE = Example(
    TaskFacts("doing", Task(kind="spans", classes=("walk", "fall")), ("walk", "fall"), (8, 2), steps=6, seconds=3.0),
    (
        (),
        ({"label": "walk", "start": 0.0, "end": 2.0},),
        ({"label": "walk", "start": 0.0, "end": 0.5}, {"label": "fall", "start": 1.0, "end": 1.5}),
        ({"label": "fall", "start": 2.0, "end": 3.0},),
    ),
    lambda values, facts: 18 * values - 9,
)
PART = Dense
