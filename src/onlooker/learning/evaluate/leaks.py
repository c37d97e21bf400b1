"""Were evaluated samples learned from? What a bundle was trained on, compared with what it is evaluated on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from onlooker.core.errors import OnlookerError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.likeness import near_pairs, prints_of
from onlooker.learning.datasets.manifest import Sample
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


def find_leaks(
    subject: Subject,
    dataset: Dataset,
    samples: Sequence[Sample],
    *,
    near: bool | None = None,
    progress: Told | None = None,
) -> tuple[list[Leak], list[str]]:
    """What of the evaluated samples was in the part that the bundle learned from, and what could not be looked at.

    Without the run's folder, the part ``train`` is taken for what was learned from. Sorts of groups that the dataset
    allows on several sides are no leak.

    Args:
        subject: the bundle, with its run where that is known.
        dataset: that it is evaluated on.
        samples: that it is evaluated on.
        near: whether to compare what samples show and sound like; None: of up to 20 000 samples.
        progress: told while they are compared.
    """
    trained, same, notes = _trained(subject, dataset)
    if not trained:
        return [], notes
    made: list[Leak] = []
    if same:
        learned = {s.id for s in trained}
        made += _told("trained-on", "were learned from", [s for s in samples if s.id in learned])
        samples = [s for s in samples if s.id not in learned]
        made += _groups(trained, samples, dataset.info.overlap)
    files = {m.digest for s in trained for m in s.media if m.digest}
    hit = [s for s in samples if any((m.digest or "") in files for m in s.media)]
    made += _told("same-file", "are of a file that was learned from", hit)
    if same and samples and near is not False:
        if near is None and len(trained) + len(samples) > _MOST_COMPARED:
            notes.append(f"more than {_MOST_COMPARED} samples: not looked for near-duplicates of what was learned from")
        else:
            made += _near(dataset, trained, samples, progress)
    return made, notes


def _trained(subject: Subject, dataset: Dataset) -> tuple[list[Sample], bool, list[str]]:
    """The samples that were learned from, whether they are of the same dataset, and what is not known."""
    split, where = subject.train_split, subject.trained_on
    if where is not None and where.resolve() != dataset.folder.resolve():
        try:
            return Dataset.load(where).of_split(split), False, []
        except (OnlookerError, OSError):
            return [], False, [f"the dataset that was learned from is not here ({where}): not looked for leaks"]
    known = subject.bundle.manifest.provenance.dataset
    if where is None and known is None:
        return [], False, ["the bundle does not say what it learned from: not looked for leaks"]
    if where is None and known != dataset_digest(dataset):
        return [], False, ["the bundle learned from another dataset: only that much is known of leaks"]
    return [s for s in dataset.samples if s.split == split and s.status == "labelled"], True, []


def _told(code: str, words: str, hit: Sequence[Sample]) -> list[Leak]:
    if not hit:
        return []
    message = f"{len(hit)} of the evaluated samples {words}"
    return [Leak(code, message, tuple(s.id for s in hit[:_SHOWN]), len(hit))]


def _groups(trained: Sequence[Sample], samples: Sequence[Sample], overlap: Sequence[str]) -> list[Leak]:
    learned = {(sort, name) for s in trained for sort, name in s.groups.items() if sort not in overlap}
    sorts = sorted({sort for sort, _ in learned})
    made: list[Leak] = []
    for sort in sorts:
        hit = [s for s in samples if (sort, s.groups.get(sort, "")) in learned]
        made += _told("same-group", f"share their {sort} with what was learned from", hit)
    return made


def _near(dataset: Dataset, trained: Sequence[Sample], samples: Sequence[Sample], told: Told | None) -> list[Leak]:
    everything = [*trained, *samples]
    pairs = near_pairs(prints_of(dataset, everything, told))
    hit: dict[str, Sample] = {}
    for pair in pairs:
        low, high = sorted((pair.first, pair.second))
        if low < len(trained) <= high and not _same_file(everything[low], everything[high]):
            hit[everything[high].id] = everything[high]
    return _told("near-duplicate", "are nearly the same as one that was learned from", list(hit.values()))


def _same_file(first: Sample, second: Sample) -> bool:
    """Which is told as such."""
    return bool({m.digest or m.path for m in first.media} & {m.digest or m.path for m in second.media})
