"""The answers of a bundle to samples with their labels; several variants in passing, so that each is decoded once."""

from __future__ import annotations

import os
import queue
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.bundles.folder import Bundle
from onlooker.core.errors import OnlookerError, SourceError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Sample
from onlooker.learning.evaluate.material import Diet, Material, material_of
from onlooker.learning.evaluate.player import Answer, Player, Senses
from onlooker.learning.evaluate.tasks import Judge, part_sample
from onlooker.learning.task import Array

__all__ = ["CLEAN", "Answers", "TaskAnswers", "Variant", "answers_of", "task_answers"]

Told = Callable[[int, int], None]
CLEAN = ""
"""Name of the variant in which nothing is changed."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A way in which samples are changed before they are answered.

    Args:
        change: gives the changed material; the number seeds what is random in it.
        without: senses that are taken as missing.
    """

    change: Callable[[Material, int], Material] | None = None
    without: Senses = frozenset()


@dataclass(slots=True)
class TaskAnswers:
    """Answers to one task over its labelled samples.

    Args:
        raw: (rows, ...) as the head gives them.
        values: (rows, ...) labels.
        owner: (rows,): places of the samples among `Answers.samples`.
        times: (rows, 2): seconds in the medium that a row speaks of.
    """

    raw: Array
    values: Array
    owner: NDArray[np.int64]
    times: NDArray[np.float64]

    @property
    def count(self) -> int:
        """Samples with a label."""
        return len(np.unique(self.owner))

    def of(self, rows: NDArray[np.intp]) -> TaskAnswers:
        """Some rows alone."""
        return TaskAnswers(self.raw[rows], self.values[rows], self.owner[rows], self.times[rows])

    def joined(self) -> TaskAnswers:
        """With looks of a sample that follow upon each other as one row, so that no moment or run of steps is cut.

        Rows (m, T, labels) become (n, longest, labels); behind the last step of a shorter one all is NaN.
        """
        if len(self.owner) == self.count:
            return self
        begin, end = self.times.T
        near = np.abs(begin[1:] - end[:-1]) < (end - begin)[1:] / self.raw.shape[1] / 2
        first = np.r_[True, (self.owner[1:] != self.owner[:-1]) | ~near]
        number, starts = first.cumsum() - 1, np.flatnonzero(first)
        place = np.arange(len(first)) - starts[number]

        def in_rows(rows: Array) -> Array:
            made = np.full(
                (len(starts), int(place.max()) + 1, *rows.shape[1:]), np.nan, np.result_type(rows, np.float32)
            )
            made[number, place] = rows
            return made.reshape(len(starts), -1, *rows.shape[2:])

        times = np.stack([begin[starts], end[np.r_[starts[1:] - 1, len(first) - 1]]], 1)
        return TaskAnswers(in_rows(self.raw), in_rows(self.values), self.owner[starts], times)


@dataclass(slots=True)
class Answers:
    """What a bundle answers.

    Args:
        samples: those that could be decoded.
        tasks: by variant and output.
        failures: by sample id, why it could not be.
        engine: name of the inference engine.
        early: share of the looks by networks with an early exit that left by it, of samples as they are; None: there
            was none.
    """

    samples: list[Sample]
    tasks: dict[str, dict[str, TaskAnswers]]
    failures: dict[str, str] = field(default_factory=dict[str, str])
    engine: str = ""
    early: float | None = None


def answers_of(
    bundle: Bundle,
    diet: Diet,
    judges: Sequence[Judge],
    dataset: Dataset,
    samples: Sequence[Sample],
    *,
    variants: Mapping[str, Variant] | None = None,
    engine: str | None = None,
    threads: int | None = None,
    progress: Told | None = None,
) -> Answers:
    """Answer all samples in all variants.

    Args:
        bundle: which.
        diet: what it takes.
        judges: of its outputs.
        dataset: whose samples.
        samples: which; in their order.
        variants: by name; None: as they are alone.
        engine: of inference; None: the bundle's preferred one.
        threads: that decode and answer; None: one for each CPU, at most 8.
        progress: told how many are done.

    Raises:
        SourceError: no sample could be decoded.
        ModelError: the engine failed.
    """
    kinds = dict(variants or {CLEAN: Variant()})
    count = threads or min(8, os.cpu_count() or 1, max(1, len(samples)))
    players: queue.SimpleQueue[Player] = queue.SimpleQueue()
    made = [Player(bundle, diet, engine=engine) for _ in range(count)]
    for player in made:
        players.put(player)

    def one(place: int) -> dict[str, Answer | None] | str:
        try:
            material = material_of(samples[place], dataset.root, diet)
        except (SourceError, OSError) as error:
            return error.message if isinstance(error, OnlookerError) else str(error)
        player = players.get()
        try:
            return _answered(player, material, kinds, place)
        finally:
            players.put(player)

    kept: list[Sample] = []
    answers: list[dict[str, Answer | None]] = []
    failures: dict[str, str] = {}
    pool = ThreadPoolExecutor(count)
    try:
        for place, result in enumerate(pool.map(one, range(len(samples)))):
            if isinstance(result, str):
                failures[samples[place].id] = result
            else:
                kept.append(samples[place])
                answers.append(result)
            if progress is not None:
                progress(place + 1, len(samples))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for player in made:
            player.close()
    if not kept:
        reason = next(iter(failures.values()), "there is none")
        raise SourceError(f"no sample could be answered: {reason}", hint="see onlooker dataset check")
    tasks = {name: {j.name: task_answers(j, kept, [a[name] for a in answers]) for j in judges} for name in kinds}
    return Answers(kept, tasks, failures, made[0].engine, _early([a.get(CLEAN) for a in answers]))


def _early(answers: Sequence[Answer | None]) -> float | None:
    given = [a for a in answers if a is not None]
    exits = sum(a.exits for a in given)
    return sum(a.early for a in given) / exits if exits else None


def _answered(player: Player, material: Material, kinds: Mapping[str, Variant], place: int) -> dict[str, Answer | None]:
    """By variant; None where the senses that are left are none that the sample has."""
    found: dict[str, Answer | None] = {}
    for name, kind in kinds.items():
        if kind.without and not material.senses - kind.without:
            found[name] = None
            continue
        changed = material if kind.change is None else kind.change(material, place)
        found[name] = player.answer(changed, kind.without)
    return found


def task_answers(judge: Judge, samples: Sequence[Sample], answers: Sequence[Answer | None]) -> TaskAnswers:
    """Rows with a label, of the answers to samples; None where a sample was not answered."""
    owner: list[int] = []
    times: list[tuple[float, float]] = []
    last: list[tuple[float, float]] = []
    parts: list[Sample] = []
    given = [(place, answer) for place, answer in enumerate(answers) if answer is not None]
    for place, answer in given:
        for since, until in judge.covered(samples[place], answer.times):
            owner.append(place)
            times.append((since, until))
            parts.append(part_sample(samples[place], since, until) if judge.per_look else samples[place])
            last.append((since, until) if judge.per_look else answer.times[-1])
    values, known = judge.encode(parts, last)
    which: Any = np.flatnonzero(known)
    numbers = [a.raw[judge.name] for _, a in given]
    raw = judge.raw(np.concatenate(numbers)) if numbers else np.zeros((0, 1), np.float32)
    return TaskAnswers(
        raw[which], values[which], np.array(owner, np.int64)[which], np.array(times, np.float64).reshape(-1, 2)[which]
    )
