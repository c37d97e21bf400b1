"""Splits that never have the same source, person or near-duplicate on two sides, with classes spread evenly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.core.errors import UsageError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.likeness import Pair
from onlooker.learning.datasets.manifest import NAMES, Sample, SplitMade, is_name

__all__ = ["Families", "SplitReport", "families_of", "split_dataset"]


@dataclass(slots=True)
class SplitReport:
    """What came of it.

    Args:
        samples: by split.
        families: how many sets of samples that stay together.
        largest: size of the largest.
        joined: how many pairs of near-duplicates were joined.
        classes: by task and class, how many samples by split.
        notes: what could not be as asked.
    """

    samples: dict[str, int]
    families: int
    largest: int
    joined: int
    classes: dict[str, dict[str, dict[str, int]]]
    notes: list[str] = field(default_factory=list[str])

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        return {
            "splits": self.samples,
            "families": self.families,
            "largest_family": self.largest,
            "near_duplicate_pairs": self.joined,
            "classes": self.classes,
            "notes": self.notes,
        }


class Families:
    """Sets of things that stay together, joined pair by pair."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def of(self, place: int) -> int:
        """The family's number."""
        while self._parent[place] != place:
            self._parent[place] = self._parent[self._parent[place]]
            place = self._parent[place]
        return place

    def join(self, first: int, second: int) -> None:
        """Both stay together."""
        a, b = sorted((self.of(first), self.of(second)))
        self._parent[b] = a

    def all(self) -> list[list[int]]:
        """The families, each in order, in order of their first."""
        held: dict[int, list[int]] = defaultdict(list)
        for place in range(len(self._parent)):
            held[self.of(place)].append(place)
        return list(held.values())


def families_of(samples: Sequence[Sample], by: Sequence[str] | None, pairs: Sequence[Pair] = ()) -> Families:
    """Which samples stay together: those that share a group of one of the sorts, a file, or a look.

    Args:
        samples: all of them.
        by: sorts of groups; None: all.
        pairs: near-duplicates.
    """
    families = Families(len(samples))
    first: dict[tuple[str, str], int] = {}
    for place, sample in enumerate(samples):
        marks = [(f"group {sort}", name) for sort, name in sample.groups.items() if by is None or sort in by]
        marks += [("media", m.digest or m.path) for m in sample.media]
        for mark in marks:
            families.join(first.setdefault(mark, place), place)
    for pair in pairs:
        families.join(pair.first, pair.second)
    return families


def split_dataset(
    dataset: Dataset,
    parts: Mapping[str, float],
    *,
    seed: int = 0,
    folds: int | None = None,
    by: Sequence[str] | None = None,
    stratify: str | None = None,
    pairs: Sequence[Pair] = (),
    near_duplicates: bool = True,
) -> SplitReport:
    """Put every sample on one side. The dataset is changed, not saved.

    Families, the largest first, each go where the counts of classes and samples then lie nearest to what is asked for;
    those of one size are taken in a seeded random order. (The greedy rule of Sechidis et al., "On the stratification of
    multi-label data", 2011, over families in place of samples.)

    Args:
        dataset: whose samples.
        parts: shares by split; they need not sum to 1.
        seed: of the order.
        folds: ``fold1`` .. ``foldN`` of equal size, in place of ``parts``.
        by: sorts of groups that stay together; None: all but those that the dataset lets overlap.
        stratify: the task whose classes are spread; None: all tasks with classes.
        pairs: near-duplicates, which stay together.
        near_duplicates: noted in the dataset: whether they were looked for.

    Raises:
        UsageError: shares are not positive, a split's name is none, there is no such task or sort, or there is nothing
            to split.
    """
    shares = {f"fold{n}": 1.0 for n in range(1, folds + 1)} if folds else dict(parts)
    _check(dataset, shares, folds, by, stratify)
    sorts = sorted({g for s in dataset.samples for g in s.groups})
    kept = tuple(by) if by is not None else tuple(g for g in sorts if g not in dataset.info.overlap)
    families = families_of(dataset.samples, kept, pairs).all()
    counts, names = _counts(dataset, stratify)
    sides = _assigned(families, counts, np.array([*shares.values()]) / sum(shares.values()), seed)
    order = list(shares)
    for family, side in zip(families, sides, strict=True):
        for place in family:
            dataset.samples[place] = dataset.samples[place].model_copy(update={"split": order[side]})
    made = SplitMade(
        seed=seed,
        by=kept,
        parts={} if folds else shares,
        folds=folds,
        stratify=stratify,
        near_duplicates=near_duplicates,
    )
    dataset.info = dataset.info.model_copy(update={"splits": tuple(order), "split_made": made})
    return _report(dataset, families, len(pairs), order, names)


def _check(
    dataset: Dataset, shares: Mapping[str, float], folds: int | None, by: Sequence[str] | None, stratify: str | None
) -> None:
    if not dataset.samples:
        raise UsageError(f"{dataset.folder} has no samples to split", hint="import some first")
    if len(shares) < 2 or any(not v > 0 or v == float("inf") for v in shares.values()):
        asked = folds if folds is not None else dict(shares)
        raise UsageError(f"cannot split into {asked}", hint="two sides or more with shares above 0: train=0.8 val=0.2")
    # several splits are asked for with + between
    unfit = next((name for name in shares if not is_name(name) or "+" in name), None)
    if unfit is not None:
        raise UsageError(f"the split {unfit!r} is no name", hint=f"{NAMES}; nor a +")
    known = {g for s in dataset.samples for g in s.groups}
    unknown = next((g for g in by or () if g not in known), None)
    if unknown is not None:
        raise UsageError(f"no sample has a group {unknown!r}", hint=f"there are {', '.join(sorted(known)) or 'none'}")
    tasks = dataset.info.tasks
    if stratify is not None and (stratify not in tasks or not tasks[stratify].has_classes):
        able = ", ".join(n for n, t in tasks.items() if t.has_classes)
        raise UsageError(f"cannot stratify by {stratify!r}", hint=f"tasks with classes: {able or 'none'}")


def _counts(dataset: Dataset, stratify: str | None) -> tuple[NDArray[np.float64], list[tuple[str, str]]]:
    """(samples, columns): whether a sample has a class, and 1 for the sample itself in the first column."""
    tasks = {n: t for n, t in dataset.info.tasks.items() if t.has_classes and stratify in (None, n)}
    names = [(n, c) for n, t in tasks.items() for c in t.classes]
    column = {name: n for n, name in enumerate(names, 1)}
    counts = np.zeros((len(dataset.samples), len(names) + 1))
    counts[:, 0] = 1
    for row, sample in enumerate(dataset.samples):
        for name, task in tasks.items():
            if name in sample.labels:
                for label in set(task.names(sample.labels[name])):
                    counts[row, column[name, label]] = 1
    return counts, names


def _assigned(
    families: Sequence[Sequence[int]], counts: NDArray[np.float64], shares: NDArray[np.float64], seed: int
) -> list[int]:
    sums = np.stack([counts[list(f)].sum(0) for f in families])
    total = counts.sum(0)
    wanted = shares[:, None] * total
    # each column counts alike, however rare its class; the number of samples counts as much as all classes
    weight = 1 / np.maximum(total, 1) ** 2
    weight[0] *= max(1, len(total) - 1)
    chance = np.random.default_rng(seed).permutation(len(families))
    order = sorted(range(len(families)), key=lambda n: (-len(families[n]), chance[n]))
    held = np.zeros_like(wanted)
    sides = [0] * len(families)
    for number in order:
        gap = wanted - held
        # how much nearer to what is asked for: (gap - x)^2 - gap^2, less by how much room a side has by its share
        cost = (((gap - sums[number]) ** 2 - gap**2) * weight / shares[:, None]).sum(1)
        side = int(np.argmin(cost))
        sides[number] = side
        held[side] += sums[number]
    return sides


def _report(
    dataset: Dataset, families: Sequence[Sequence[int]], joined: int, order: list[str], names: list[tuple[str, str]]
) -> SplitReport:
    samples = {side: sum(s.split == side for s in dataset.samples) for side in order}
    classes: dict[str, dict[str, dict[str, int]]] = defaultdict(dict)
    for task, name in names:
        held = [
            s for s in dataset.samples if task in s.labels and name in dataset.info.tasks[task].names(s.labels[task])
        ]
        classes[task][name] = {side: sum(s.split == side for s in held) for side in order}
    notes = [f"{side} has no samples: there are too few families" for side, n in samples.items() if not n]
    for task, held in classes.items():
        for name, by_side in held.items():
            empty = [side for side, n in by_side.items() if not n]
            if empty and sum(by_side.values()):
                notes.append(f"{task}: {name} is not in {', '.join(empty)}")
    return SplitReport(samples, len(families), max(map(len, families)), joined, dict(classes), notes)
