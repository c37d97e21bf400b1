"""Derived datasets: a preparation with measured facts, labels by other names, and a cache that is filled."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from onlooker.core.errors import UsageError
from onlooker.learning.datasets.clip_cache import ClipCache
from onlooker.learning.datasets.dataset import MANIFEST, Dataset
from onlooker.learning.datasets.loader import Loader
from onlooker.learning.datasets.manifest import LabelledBox, LabelledSpan, Sample, Task
from onlooker.learning.datasets.preparation import Normalise, Preparation

__all__ = ["CACHE", "PrepareReport", "column_moments", "measure", "open_cache", "prepare_dataset", "renamed"]

CACHE = "cache"
DROP = "-"


@dataclass(slots=True)
class PrepareReport:
    """What came of it."""

    samples: int
    decoded: int = 0
    kept: int = 0
    cache_bytes: int = 0
    failures: dict[str, str] = field(default_factory=dict[str, str])
    normalise: Normalise | None = None

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        return {
            "samples": self.samples,
            "decoded": self.decoded,
            "in_cache": self.kept,
            "cache_bytes": self.cache_bytes,
            "normalise": None if self.normalise is None else self.normalise.model_dump(),
            "failures": self.failures,
        }


def open_cache(dataset: Dataset, max_bytes: int) -> ClipCache:
    """The cache of decoded clips in a dataset's folder.

    Raises:
        UsageError: it cannot be written.
    """
    return ClipCache(dataset.folder / CACHE, max_bytes)


def prepare_dataset(
    dataset: Dataset,
    folder: Path,
    preparation: Preparation,
    *,
    rename: Mapping[str, str] | None = None,
    cache_bytes: int = 0,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Dataset, PrepareReport]:
    """A dataset in ``folder`` with the same media, prepared.

    Mean and deviation are measured on the split ``train`` (on all samples where there is none).

    Args:
        dataset: the samples.
        folder: of the new dataset; must hold none.
        preparation: how samples become arrays.
        rename: ``TASK.CLASS`` to another class; ``-`` drops the label.
        cache_bytes: how much of the arrays to keep, in the new dataset's ``cache`` folder; 0 keeps none.
        workers: processes that decode.
        progress: called with how many are done, and of how many.

    Raises:
        UsageError: there is a dataset, or a name to rename is not known.
    """
    if (folder / MANIFEST).exists():
        raise UsageError(f"{folder} holds a dataset already", hint="choose another folder")
    tasks, samples = renamed(dataset, rename or {})
    root = os.path.relpath(dataset.root.resolve(), folder.resolve())
    info = dataset.info.model_copy(update={"root": root, "tasks": tasks, "prepare": preparation})
    made = Dataset(folder, info, samples)
    made.save()
    report = PrepareReport(len(samples))
    cache = open_cache(made, cache_bytes) if cache_bytes else None
    try:
        report.normalise = measure(made, cache, workers, report, progress)
    finally:
        if cache is not None:
            report.kept, report.cache_bytes = len(cache), cache.bytes_used()
            cache.close()
    made.info = info.model_copy(update={"prepare": preparation.model_copy(update={"normalise": report.normalise})})
    made.save()
    return made, report


def measure(
    dataset: Dataset,
    cache: ClipCache | None,
    workers: int,
    report: PrepareReport,
    progress: Callable[[int, int], None] | None = None,
) -> Normalise:
    """Go through all samples once, which fills the cache; gives the facts of the training part.

    Raises:
        UsageError: series of samples have other columns than those of others.
    """
    training = "train" if "train" in dataset.info.splits else None
    pixels = squares = np.zeros(0)
    count = measured = heard = 0
    power = 0.0
    rows: list[np.ndarray] = []
    with Loader(dataset, workers=workers, cache=cache, shuffle=False, on_error="skip") as loader:
        for number, clip in enumerate(loader.epoch()):
            if progress is not None:
                progress(number + 1, len(loader))
            if training is not None and clip.sample.split != training:
                continue
            measured += 1
            if clip.pictures is not None:
                flat = clip.pictures.reshape(-1, clip.pictures.shape[-1])
                sums = flat.sum(0, dtype=np.uint64).astype(np.float64)
                square = np.stack([np.bincount(c, minlength=256) for c in flat.T]) @ (np.arange(256.0) ** 2)
                pixels, squares = (sums, square) if not count else (pixels + sums, squares + square)
                count += len(flat)
            if clip.sound is not None:
                power += float((clip.sound.astype(np.float64) ** 2).sum())
                heard += clip.sound.size
            if clip.series is not None:
                rows.append(clip.series)
        report.decoded, report.failures = loader.decoded, loader.failures
    mean = pixels / max(count, 1) / 255
    deviation = np.sqrt(np.maximum(squares / max(count, 1) / 255**2 - mean**2, 0))
    series_mean, series_deviation = column_moments(rows)
    return Normalise(
        mean=tuple(round(float(v), 6) for v in mean),
        deviation=tuple(round(float(v), 6) for v in deviation),
        sound_deviation=round((power / heard) ** 0.5, 6) if heard else None,
        series_mean=tuple(round(float(v), 6) for v in series_mean),
        series_deviation=tuple(round(float(v), 6) for v in series_deviation),
        samples=measured,
    )


def column_moments(rows: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each column of some series (steps, columns), of what is known; 0 and 0 where nothing is.

    Raises:
        UsageError: they differ in how many columns they have.

    >>> [m.tolist() for m in column_moments([np.array([[1.0, np.nan], [3.0, 2.0]])])]
    [[2.0, 2.0], [1.0, 0.0]]
    """
    if not rows:
        return np.zeros(0), np.zeros(0)
    if len({r.shape[1] for r in rows}) > 1:
        raise UsageError("the series of the samples have different columns", hint="--set series.columns=a,b says which")
    table = np.concatenate(rows).astype(np.float64)
    known = ~np.isnan(table)
    counts = np.maximum(known.sum(0), 1)
    mean = np.where(known, table, 0.0).sum(0) / counts
    deviation = np.sqrt((np.where(known, table - mean, 0.0) ** 2).sum(0) / counts)
    return mean, deviation


def renamed(dataset: Dataset, rename: Mapping[str, str]) -> tuple[dict[str, Task], list[Sample]]:
    """Tasks and samples with classes by other names; several may become one.

    Raises:
        UsageError: there is no such task or class.
    """
    tasks = dict(dataset.info.tasks)
    by_task: dict[str, dict[str, str]] = {}
    for old, new in rename.items():
        task, _, name = old.partition(".")
        if task not in tasks or name not in tasks[task].classes:
            known = ", ".join(f"{t}.{c}" for t, held in tasks.items() for c in held.classes[:5])
            raise UsageError(f"there is no class {old!r} to rename", hint=f"write TASK.CLASS=NEW, such as {known}")
        by_task.setdefault(task, {})[name] = new
    for task, names in by_task.items():
        classes = dict.fromkeys(names.get(c, c) for c in tasks[task].classes)
        tasks[task] = tasks[task].model_copy(update={"classes": tuple(c for c in classes if c != DROP)})
    if not by_task:
        return tasks, list(dataset.samples)
    return tasks, [_renamed(s, by_task, tasks) for s in dataset.samples]


def _renamed(sample: Sample, by_task: Mapping[str, Mapping[str, str]], tasks: Mapping[str, Task]) -> Sample:
    labels: dict[str, Any] = {}
    for task, label in sample.labels.items():
        names = by_task.get(task)
        if names is None:
            labels[task] = label
        elif tasks[task].kind in ("class", "ordinal"):
            if names.get(label, label) != DROP:
                labels[task] = names.get(label, label)
        elif tasks[task].kind == "multi-label":
            new = dict.fromkeys(names.get(c, c) for c in label)
            labels[task] = tuple(c for c in new if c != DROP)
        else:
            parts: tuple[LabelledBox | LabelledSpan, ...] = label
            kept = [(p, names.get(p.label, p.label)) for p in parts]
            labels[task] = tuple(p.model_copy(update={"label": n}) for p, n in kept if n != DROP)
    return sample.model_copy(update={"labels": labels})
