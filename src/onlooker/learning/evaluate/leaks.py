"""Were evaluated samples learned from? What a bundle was trained on, compared with what it is evaluated on."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onlooker.core.errors import OnlookerError, UsageError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.likeness import Prints, near_pairs, prints_of
from onlooker.learning.datasets.manifest import Media, Sample
from onlooker.learning.evaluate.opening import Subject
from onlooker.learning.run_folder import dataset_digest

__all__ = ["Leak", "find_leaks"]

Told = Callable[[int, int], None]
_MOST_COMPARED = 20_000
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Leak:
    """Something that was learned from and is evaluated on.

    Args:
        code: ``trained-on``, ``same-file``, ``same-group`` or ``near-duplicate``.
        message: for people.
        samples: ids of some evaluated samples.
        count: of evaluated samples.
    """

    code: str
    message: str
    samples: tuple[str, ...] = ()
    count: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        return {"code": self.code, "message": self.message, "samples": list(self.samples), "count": self.count}


@dataclass(frozen=True, slots=True)
class _Learned:
    """The samples that a bundle learned from, their dataset, and whether that is the one that it is evaluated on."""

    dataset: Dataset
    samples: list[Sample]
    same: bool


def find_leaks(
    subject: Subject,
    dataset: Dataset,
    samples: Sequence[Sample],
    *,
    near: bool | None = None,
    progress: Told | None = None,
) -> tuple[list[Leak], list[str]]:
    """What of the evaluated samples was in the part that the bundle learned from, and what could not be looked at.

    Ids are compared within one dataset alone; files, groups and what samples show and sound like also with another one.
    Where neither the run's folder nor the bundle says which part was learned from, ``train`` is taken for it. Sorts of
    groups that a dataset allows on several sides are no leak.

    Args:
        subject: the bundle, with its run where that is known.
        dataset: that it is evaluated on.
        samples: that it is evaluated on.
        near: whether to compare what samples show and sound like; None: of up to 20 000 samples.
        progress: told while they are compared.
    """
    learned, notes = _learned(subject, dataset)
    if learned is None:
        return [], notes
    made: list[Leak] = []
    if learned.same:
        ids = {s.id for s in learned.samples}
        made += _told("trained-on", "were learned from", [s for s in samples if s.id in ids])
        samples = [s for s in samples if s.id not in ids]
    made += _groups(learned, dataset, samples)
    hit = _of_files(learned, dataset, samples)
    made += _told("same-file", "are of a file that was learned from", hit)
    told = {s.id for s in hit}
    rest = [s for s in samples if s.id not in told]
    if not rest or near is False:
        return made, notes
    if near is None and len(learned.samples) + len(rest) > _MOST_COMPARED:
        notes.append(f"more than {_MOST_COMPARED} samples: not looked for near-duplicates of what was learned from")
        return made, notes
    found, unseen = _near(learned, dataset, rest, progress)
    return made + found, notes + unseen


def _learned(subject: Subject, dataset: Dataset) -> tuple[_Learned | None, list[str]]:
    """What was learned from, or None and what is not known."""
    split, where = subject.train_split, subject.trained_on
    known = subject.bundle.manifest.provenance.dataset
    if where is None and known is None:
        return None, ["the bundle does not say what it learned from: not looked for leaks"]
    same = where is not None and where.resolve() == dataset.folder.resolve()
    base = dataset
    if not same and known != dataset_digest(dataset):
        if where is None:
            return None, ["the bundle learned from another dataset: only that much is known of leaks"]
        try:
            base = Dataset.load(where)
        except (OnlookerError, OSError):
            return None, [f"the dataset that was learned from is not here ({where}): not looked for leaks"]
    try:
        samples = [s for s in base.of_split(split) if s.status == "labelled"]
    except UsageError:
        samples = []
    if not samples:
        return None, [f"{base.folder} has no labelled sample in {split}, which was learned from: not looked for leaks"]
    return _Learned(base, samples, base is dataset), []


def _told(code: str, words: str, hit: Sequence[Sample]) -> list[Leak]:
    if not hit:
        return []
    message = f"{len(hit)} of the evaluated samples {words}"
    return [Leak(code, message, tuple(s.id for s in hit[:_SHOWN]), len(hit))]


def _groups(learned: _Learned, dataset: Dataset, samples: Sequence[Sample]) -> list[Leak]:
    """Of another dataset the same name may mean something else, which is told with it."""
    overlap = {*dataset.info.overlap, *learned.dataset.info.overlap}
    known = {(sort, name) for s in learned.samples for sort, name in s.groups.items() if sort not in overlap}
    made: list[Leak] = []
    for sort in sorted({sort for sort, _ in known}):
        hit = [s for s in samples if (sort, s.groups.get(sort, "")) in known]
        words = f"share their {sort} with what was learned from"
        if not learned.same:
            words += f", if the same names mean the same in {learned.dataset.folder}"
        made += _told("same-group", words, hit)
    return made


def _of_files(learned: _Learned, dataset: Dataset, samples: Sequence[Sample]) -> list[Sample]:
    """Samples of a file that was learned from: by its content, or by its place where that is not known of both."""
    media = [m for s in learned.samples for m in s.media]
    contents = {m.digest for m in media if m.digest}
    bare = {_place(learned.dataset, m) for m in media if not m.digest}
    every: set[str] | None = None
    hit: list[Sample] = []
    for sample in samples:
        for medium in sample.media:
            if medium.digest:
                found = medium.digest in contents or (bool(bare) and _place(dataset, medium) in bare)
            else:
                every = every or bare | {_place(learned.dataset, m) for m in media if m.digest}
                found = _place(dataset, medium) in every
            if found:
                hit.append(sample)
                break
    return hit


def _place(dataset: Dataset, medium: Media) -> str:
    return os.path.realpath(dataset.path(medium))


def _near(
    learned: _Learned, dataset: Dataset, samples: Sequence[Sample], told: Told | None
) -> tuple[list[Leak], list[str]]:
    """Those that are nearly the same, and what could not be compared."""
    count = len(learned.samples)
    total = count + len(samples)

    def after(done: int, of: int) -> None:
        if told is not None:
            told(count + done, total)

    first = prints_of(learned.dataset, learned.samples, told and (lambda done, of: told(done, total)))
    second = prints_of(dataset, samples, after)
    hit: dict[str, Sample] = {}
    for pair in near_pairs(_joined(first, second, count)):
        low, high = sorted((pair.first, pair.second))
        if low < count <= high:
            hit[samples[high - count].id] = samples[high - count]
    notes: list[str] = []
    for prints, words in ((first, "samples that were learned from"), (second, "evaluated samples")):
        if prints.failures:
            reason = next(iter(prints.failures.values()))
            notes.append(f"{len(prints.failures)} of the {words} cannot be compared for near-duplicates: {reason}")
    if deaf := sum(s.of_kind("image", "video", "audio") is None for s in samples):
        notes.append(f"{deaf} samples have neither pictures nor sound: not looked for near-duplicates of them")
    words = "are nearly the same as one that was learned from"
    return _told("near-duplicate", words, list(hit.values())), notes


def _joined(first: Prints, second: Prints, shift: int) -> Prints:
    """The prints of two lists of samples as those of one list."""
    return Prints(
        np.concatenate([first.owner, second.owner + shift]),
        np.concatenate([first.thumbs, second.thumbs]),
        np.concatenate([first.bits, second.bits]),
        first.count | {place + shift: n for place, n in second.count.items()},
        np.concatenate([first.heard, second.heard + shift]),
        np.concatenate([first.sounds, second.sounds]),
        first.failures | {place + shift: reason for place, reason in second.failures.items()},
    )
