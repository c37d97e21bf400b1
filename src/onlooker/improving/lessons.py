"""The datasets of an improvement: the labels that feedback gives and asks for, and what is learned from in all."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from onlooker.core.errors import UsageError
from onlooker.improving.labels import KEPT, PACE, Material, windows
from onlooker.learning.datasets.dataset import MANIFEST, Dataset
from onlooker.learning.datasets.manifest import Sample, Task

__all__ = ["key_of", "labelled", "lessons", "write_labels"]

_SHARE = 0.3
"""Share of an epoch that new samples have at least."""
_MOST_TIMES = 40


def write_labels(folder: Path, material: Material, tasks: Mapping[str, Task]) -> Dataset:
    """Put the samples into the dataset of labels; what a person has labelled in it stays as it is.

    Args:
        folder: of the dataset.
        material: the samples.
        tasks: of what the model learned from.
    """
    if (folder / MANIFEST).exists():
        dataset = Dataset.load(folder)
    else:
        dataset = Dataset.create(folder, name="feedback", tasks=tasks, root="/")
    by_person = {s.id for s in dataset.samples if s.status == "labelled" and not _made(s)}
    fresh = [s for some in material.new.values() for s in some] + list(material.proposed.values())
    wanted = {s.id for s in fresh}
    dataset.samples = [s for s in dataset.samples if s.id in wanted or s.id in by_person]
    dataset.put([s for s in fresh if s.id not in by_person], tasks)
    dataset.save()
    return dataset


def _made(sample: Sample) -> bool:
    """Whether it is a part that was cut by us; what asks a person is one sample for all of a stretch."""
    return len(sample.id.split()) == 3


def labelled(dataset: Dataset, length: float | None, limits: Mapping[str, float]) -> dict[str, list[Sample]]:
    """By the key of the feedback, the samples that teach it; stretches that a person labelled are cut as the others.

    Args:
        dataset: of labels.
        length: seconds of a clip; None for single pictures.
        limits: seconds of the videos, by their paths in the dataset.
    """
    made: dict[str, list[Sample]] = {}
    for sample in dataset.samples:
        key = str(sample.origin.get("feedback", ""))
        if sample.status != "labelled" or not sample.labels:
            continue
        if _made(sample) or sample.span is None:
            made.setdefault(key, []).append(sample)
            continue
        limit = limits.get(sample.media[0].path, sample.span[1])
        for n, cut in enumerate(windows(sample.span, length if length is not None else PACE, limit)):
            place = {"span": cut} if length is not None else {"span": None, "at": round(sum(cut) / 2, 3)}
            made.setdefault(key, []).append(sample.model_copy(update={"id": f"{sample.id} {n}", **place}))
    return made


def lessons(
    folder: Path,
    base: Dataset | None,
    parts: Mapping[str, str | None],
    new: Sequence[Sample],
    kept: Sequence[Sample],
    tasks: Mapping[str, Task],
    *,
    replay: int,
    seed: int = 0,
    videos: Collection[str] = (),
) -> Dataset:
    """What is learned from: old samples, what shall stay, and the new ones as often as makes them count.

    Args:
        folder: of the dataset; made anew.
        base: what the model learned from, or None.
        parts: its parts for ``train``, ``val`` and ``test``.
        new: samples of feedback.
        kept: what the bundle in use says elsewhere.
        tasks: of the dataset.
        replay: at most so many old samples.
        seed: of their choice.
        videos: paths from the root of the file system; what an earlier improvement taught of them is told anew by
            ``new`` and ``kept``, and not replayed.

    Raises:
        UsageError: the dataset lacks a part.
    """
    if not new:
        raise UsageError("there is nothing to learn", hint="label what the dataset of labels proposes")
    shutil.rmtree(folder, ignore_errors=True)
    dataset = Dataset.create(folder, name="lessons", tasks=tasks, root="/")
    if base is not None:
        dataset.info = dataset.info.model_copy(update={"prepare": base.info.prepare})
    old: list[Sample] = []
    for part, split in parts.items():
        if base is not None and split is not None and set(split.split("+")) <= set(base.info.splits):
            some = [s for s in base.of_split(split) if s.status == "labelled" and not _earlier(s, base, videos)]
            old += _rooted(_some(some, replay, seed) if part == "train" else some, base, part)
    train = sum(s.split == "train" for s in old) + len(kept)
    times = min(_MOST_TIMES, max(1, round(_SHARE / (1 - _SHARE) * train / len(new))))
    again = [s.model_copy(update={"id": f"{s.id} ~{n}"}) for n in range(times) for s in new]
    dataset.put([*old, *kept, *again])
    dataset.save()
    return dataset


def _some(samples: Sequence[Sample], most: int, seed: int) -> list[Sample]:
    """At most so many, chosen at random; the same for the same seed."""
    if len(samples) <= most:
        return list(samples)
    chosen = np.random.default_rng(seed).choice(len(samples), most, replace=False)
    return [samples[n] for n in sorted(chosen.tolist())]


def _earlier(sample: Sample, base: Dataset, videos: Collection[str]) -> bool:
    """Whether an earlier improvement made it, of a video that is looked at again."""
    taught = "feedback" in sample.origin or sample.origin.get("reason") == KEPT
    return taught and any(str(base.root.resolve() / m.path)[1:] in videos for m in sample.media)


def _rooted(samples: Iterable[Sample], base: Dataset, part: str) -> Iterable[Sample]:
    root = base.root.resolve()
    for sample in samples:
        media = tuple(m.model_copy(update={"path": str(root / m.path)[1:]}) for m in sample.media)
        yield sample.model_copy(update={"media": media, "split": part})


def key_of(*parts: object) -> str:
    """16 hex digits of what decides something.

    >>> key_of("a", 1) == key_of("a", 1), key_of("a", 1) == key_of("a", 2)
    (True, False)
    """
    return hashlib.blake2b(json.dumps(parts, sort_keys=True, default=str).encode(), digest_size=8).hexdigest()
