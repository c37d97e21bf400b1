"""Metrics of answers with their intervals, tables of classes, confusion and calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.learning.datasets.manifest import Sample
from onlooker.learning.evaluate.answers import Answers, TaskAnswers
from onlooker.learning.evaluate.bootstrap import Units, drawn, exact_interval, interval, units_of
from onlooker.learning.evaluate.judging import confidences, confusion_of, correct
from onlooker.learning.evaluate.tasks import Judge
from onlooker.learning.metrics.calibration import Reliability, calibration_error, reliability

__all__ = ["TaskResult", "by_group", "measured", "metrics_of", "worst_first"]

Interval = tuple[float, float]
_OF_SHARES = frozenset(("accuracy", "exact_match"))


@dataclass(slots=True)
class TaskResult:
    """How good a bundle is at one task.

    Args:
        name: of the output.
        of: the dataset's task.
        head: name of the head's task.
        metric: name of the main metric, and ``higher`` whether more of it is better.
        metrics, intervals: all that can be told, and their 95 % intervals.
        count: samples with a label, ``rows`` what was judged.
        drawn: what the intervals rest on.
        draws: how many; 0 where there is one unit alone.
        classes: table by label.
        labels, confusion: of heads that answer one class.
        reliability: by bins of confidence, or None.
        unknown: labels that the bundle does not know, and how often they are there.
    """

    name: str
    of: str
    head: str
    metric: str
    higher: bool
    metrics: dict[str, float]
    intervals: dict[str, Interval]
    count: int
    rows: int
    drawn: str
    draws: int
    classes: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])
    labels: tuple[str, ...] = ()
    confusion: NDArray[np.int64] | None = None
    reliability: Reliability | None = None
    error: float | None = None
    unknown: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def value(self) -> float | None:
        """Of the main metric."""
        return self.metrics.get(self.metric)

    @property
    def ci95(self) -> Interval | None:
        """Of the main metric."""
        return self.intervals.get(self.metric)

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        made: dict[str, Any] = {
            "metric": self.metric,
            "value": self.value,
            "ci95": None if self.ci95 is None else list(self.ci95),
            "higher_is_better": self.higher,
            "task": self.of,
            "head": self.head,
            "count": self.count,
            "metrics": self.metrics,
            "intervals": {name: list(found) for name, found in self.intervals.items()},
            "drawn": self.drawn,
            "draws": self.draws,
        }
        if self.classes:
            made["classes"] = self.classes
        if self.confusion is not None:
            made["confusion"] = {"labels": list(self.labels), "counts": self.confusion.tolist()}
        if self.reliability is not None:
            made["calibration"] = {"error": self.error} | {
                name: [round(float(v), 6) for v in values] for name, values in self.reliability._asdict().items()
            }
        if self.unknown:
            made["unknown_labels"] = self.unknown
        return made


def metrics_of(judge: Judge, answers: TaskAnswers, chosen: NDArray[np.intp] | None = None) -> dict[str, float]:
    """All metrics that can be told of some rows; None: of all."""
    if not len(answers.raw if chosen is None else chosen):
        return {}
    whole = (answers if chosen is None else answers.of(chosen)).joined()
    return judge.head.metrics(whole.raw, whole.values, judge.facts, judge.calibration)


def measured(
    judge: Judge,
    answers: Answers,
    variant: str,
    overlap: Sequence[str],
    *,
    draws: int,
    seed: int,
    full: Sequence[Sample] = (),
) -> TaskResult:
    """How good answers are.

    Args:
        judge: of the output.
        answers: of the bundle.
        variant: of the answers.
        overlap: sorts of groups that join nothing, see `units_of`.
        draws: of the bootstrap.
        seed: of it.
        full: all samples that were asked for, for what the bundle does not know.
    """
    found = answers.tasks[variant][judge.name]
    units = units_of(answers.samples, overlap)
    count = len(np.unique(units.number[found.owner]))
    head, facts, calibration = judge.head, judge.facts, judge.calibration
    whole = found.joined()
    metrics = metrics_of(judge, whole)
    made = TaskResult(
        judge.name,
        judge.of,
        judge.output.task,
        head.main.name,
        head.main.higher,
        metrics,
        {},
        found.count,
        len(found.owner),
        f"{count} {units.said}" if count != 1 else "1 unit alone, of which there is no interval",
        0,
        unknown=judge.unknown(full),
    )
    if not len(found.raw):
        return made
    measure = head.resampled(whole.raw, whole.values, facts, calibration)
    sampled = drawn(measure, whole.owner, units, draws=draws, seed=seed)
    made.draws = sampled.count
    made.intervals = {n: i for n in metrics if n in sampled.values and (i := interval(sampled.values[n])) is not None}
    _widened(made, judge, found, units)
    made.classes = head.by_label(whole.raw, whole.values, facts, calibration)
    made.confusion = confusion_of(head, found.raw, found.values, facts, calibration)
    made.labels = facts.classes
    sure = confidences(head, found.raw, found.values, facts, calibration)
    if sure is not None:
        made.reliability, made.error = reliability(*sure), calibration_error(*sure)
    return made


def _widened(made: TaskResult, judge: Judge, found: TaskAnswers, units: Units) -> None:
    """A share that is the same in every draw gets the exact interval in place of none at all."""
    right = correct(judge.head, found.raw, found.values, judge.facts, judge.calibration)
    if right is None or not (right.all() or not right.any()):
        return
    for name in _OF_SHARES & made.metrics.keys():
        made.intervals[name] = exact_interval(bool(right.all()), len(np.unique(units.number[found.owner])))


def by_group(judge: Judge, answers: Answers, variant: str, sort: str) -> dict[str, dict[str, Any]]:
    """The main metric and the count by the samples' groups of one sort, or by their labels of another task.

    Samples without such a group or label are left out.
    """
    found = answers.tasks[variant][judge.name]
    rows: dict[str, list[int]] = {}
    for row, place in enumerate(found.owner):
        for name in _values(answers.samples[place], sort):
            rows.setdefault(name, []).append(row)
    made: dict[str, dict[str, Any]] = {}
    for name in sorted(rows):
        metrics = metrics_of(judge, found, np.array(rows[name], np.intp))
        samples = len(np.unique(found.owner[rows[name]]))
        made[name] = {"value": metrics.get(judge.head.main.name), "count": samples}
    return made


def worst_first(groups: Mapping[str, Mapping[str, Any]], task: TaskResult) -> list[tuple[str, Mapping[str, Any]]]:
    """What `by_group` made, the worst first, and last those of which nothing can be told."""

    def rank(item: tuple[str, Mapping[str, Any]]) -> tuple[bool, float, str]:
        value = item[1]["value"]
        return value is None, 0.0 if value is None else value if task.higher else -value, item[0]

    return sorted(groups.items(), key=rank)


def _values(sample: Sample, sort: str) -> list[str]:
    if sort in sample.groups:
        return [sample.groups[sort]]
    label = sample.labels.get(sort)
    if isinstance(label, tuple):
        return sorted({str(getattr(part, "label", part)) for part in label})
    return [] if label is None else [str(label)]
