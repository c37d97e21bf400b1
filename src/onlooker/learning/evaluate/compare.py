"""Two bundles on the same samples: is one better than the other, and which samples did it fix or break?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.learning.evaluate.answers import CLEAN, Answers, TaskAnswers
from onlooker.learning.evaluate.bootstrap import drawn, interval, mcnemar, p_value, units_of
from onlooker.learning.evaluate.judging import correct
from onlooker.learning.evaluate.measure import metrics_of
from onlooker.learning.evaluate.tasks import Judge

__all__ = ["Difference", "compared", "pairs_of"]


@dataclass(slots=True)
class Difference:
    """Bundle minus other at one task, on the samples that both answered.

    Args:
        metric: the main one; ``higher``: whether more of it is better.
        value, other: of both.
        ci95: of their difference, by a bootstrap in which both are judged on the same draws.
        p: two-sided p value of that bootstrap.
        mcnemar: exact two-sided p value of McNemar's test, of heads whose answers are right or wrong.
        fixed, broken: ids of samples that the bundle answers right and the other wrong, and the other way round.
        count: samples.
    """

    metric: str
    higher: bool
    value: float
    other: float
    ci95: tuple[float, float] | None
    p: float | None
    count: int
    mcnemar: float | None = None
    fixed: list[str] = field(default_factory=list[str])
    broken: list[str] = field(default_factory=list[str])

    @property
    def difference(self) -> float:
        """Value minus other."""
        return self.value - self.other

    @property
    def better(self) -> bool | None:
        """Whether the bundle is better, at the level of 5 %; None: it cannot be told."""
        if self.p is None or self.p >= 0.05 or self.difference == 0:
            return None
        return (self.difference > 0) == self.higher

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        return {
            "metric": self.metric,
            "value": self.value,
            "other": self.other,
            "difference": self.difference,
            "ci95": None if self.ci95 is None else list(self.ci95),
            "p": self.p,
            "better": self.better,
            "mcnemar_p": self.mcnemar,
            "fixed": self.fixed,
            "broken": self.broken,
            "count": self.count,
        }


def compared(
    judges: Sequence[Judge],
    answers: Answers,
    others: Sequence[Judge],
    other: Answers,
    overlap: Sequence[str],
    *,
    draws: int,
    seed: int,
) -> dict[str, Difference]:
    """The difference at each task that both have.

    Args:
        judges: of the bundle's outputs.
        answers: of the bundle.
        others: of the other bundle's outputs.
        other: its answers.
        overlap: sorts of groups that join nothing.
        draws: of the bootstrap.
        seed: of it.
    """
    made: dict[str, Difference] = {}
    for judge, theirs in pairs_of(judges, others):
        found = _difference(judge, answers, theirs, other, overlap, draws, seed)
        if found is not None:
            made[judge.name] = found
    return made


def pairs_of(judges: Sequence[Judge], others: Sequence[Judge]) -> list[tuple[Judge, Judge]]:
    """Outputs of two bundles that answer the same task in the same way; of several those that are called the same."""
    pairs: list[tuple[Judge, Judge]] = []
    for judge in judges:
        alike = [j for j in others if j.of == judge.of and j.head is judge.head]
        if alike:
            pairs.append((judge, next((j for j in alike if j.name == judge.name), alike[-1])))
    return pairs


def _difference(
    judge: Judge, answers: Answers, theirs: Judge, other: Answers, overlap: Sequence[str], draws: int, seed: int
) -> Difference | None:
    first, second = answers.tasks[CLEAN][judge.name].joined(), other.tasks[CLEAN][theirs.name].joined()
    shared = _shared(answers, first, other, second)
    if shared is None:
        return None
    a, b = shared
    main = judge.head.main
    value, base = metrics_of(judge, first, a).get(main.name), metrics_of(theirs, second, b).get(main.name)
    if value is None or base is None:
        return None
    ours = judge.head.resampled(first.raw[a], first.values[a], judge.facts, judge.calibration)
    their = theirs.head.resampled(second.raw[b], second.values[b], theirs.facts, theirs.calibration)

    def apart(rows: NDArray[np.intp]) -> dict[str, float]:
        one, two = ours(rows).get(main.name), their(rows).get(main.name)
        return {} if one is None or two is None else {"apart": one - two}

    sampled = drawn(apart, first.owner[a], units_of(answers.samples, overlap), draws=draws, seed=seed)
    values = sampled.values.get("apart", np.zeros(0))
    made = Difference(
        main.name, main.higher, value, base, interval(values), p_value(values), len(np.unique(first.owner[a]))
    )
    right = correct(judge.head, first.raw[a], first.values[a], judge.facts, judge.calibration)
    wrong = correct(theirs.head, second.raw[b], second.values[b], theirs.facts, theirs.calibration)
    if right is not None and wrong is not None:
        ids = [answers.samples[n].id for n in first.owner[a]]
        made.fixed = [i for i, one, two in zip(ids, right, wrong, strict=True) if one and not two]
        made.broken = [i for i, one, two in zip(ids, right, wrong, strict=True) if two and not one]
        made.mcnemar = mcnemar(len(made.fixed), len(made.broken))
    return made


def _shared(
    answers: Answers, first: TaskAnswers, other: Answers, second: TaskAnswers
) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
    """Rows of both that belong together: of samples that both answered in as many rows."""
    ours, theirs = _rows(answers, first), _rows(other, second)
    pairs = [(ours[i], theirs[i]) for i in ours if i in theirs and len(ours[i]) == len(theirs[i])]
    if not pairs:
        return None
    return (
        np.array([n for a, _ in pairs for n in a], np.intp),
        np.array([n for _, b in pairs for n in b], np.intp),
    )


def _rows(answers: Answers, task: TaskAnswers) -> dict[str, list[int]]:
    made: dict[str, list[int]] = {}
    for row, place in enumerate(task.owner):
        made.setdefault(answers.samples[place].id, []).append(row)
    return made
