"""Counts of a dataset: by task, class and split, and of its media."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Sample, Task

__all__ = ["statistics_of"]

_NO_SPLIT = ""


def statistics_of(dataset: Dataset) -> dict[str, Any]:
    """Everything that ``onlooker dataset stats --json`` prints."""
    splits = [*dataset.info.splits]
    if any(s.split is None for s in dataset.samples):
        splits.append(_NO_SPLIT)
    by_split = {n: [s for s in dataset.samples if (s.split or _NO_SPLIT) == n] for n in splits}
    groups: dict[str, set[str]] = defaultdict(set)
    for sample in dataset.samples:
        for sort, name in sample.groups.items():
            groups[sort].add(name)
    return {
        "name": dataset.info.name,
        "samples": len(dataset.samples),
        "proposed": sum(s.status == "proposed" for s in dataset.samples),
        "splits": {n: len(held) for n, held in by_split.items()},
        "groups": {sort: len(names) for sort, names in groups.items()},
        "media": _media(dataset.samples),
        "tasks": {name: _task(name, task, by_split) for name, task in dataset.info.tasks.items()},
    }


def _media(samples: Sequence[Sample]) -> dict[str, Any]:
    files = {m.path: m for s in samples for m in s.media}
    made: dict[str, Any] = {}
    for kind in dict.fromkeys(m.kind for m in files.values()):
        held = [m for m in files.values() if m.kind == kind]
        seconds = [m.seconds for m in held if m.seconds is not None]
        facts: dict[str, Any] = {"files": len(held)}
        if seconds:
            facts |= {"seconds": round(sum(seconds), 3), "longest": max(seconds), "shortest": min(seconds)}
        sizes = Counter(f"{m.width}x{m.height}" for m in held if m.width)
        if sizes:
            facts["sizes"] = dict(sizes.most_common(5))
        rates = Counter(m.rate for m in held if m.rate)
        if rates:
            facts["frame_rates"] = dict(rates.most_common(5))
        columns = Counter(", ".join(m.columns) for m in held if m.columns)
        if columns:
            facts["columns"] = dict(columns.most_common(5))
        if kind == "video":
            facts["with_sound"] = sum(m.sound is not None for m in held)
        made[kind] = facts
    return made


def _task(name: str, task: Task, by_split: dict[str, list[Sample]]) -> dict[str, Any]:
    every = [s for held in by_split.values() for s in held]
    labelled = [s for s in every if name in s.labels]
    made: dict[str, Any] = {"kind": task.kind, "labelled": len(labelled), "missing": len(every) - len(labelled)}
    made["by_split"] = {split: sum(name in s.labels for s in held) for split, held in by_split.items()}
    if task.has_classes:
        made["classes"] = _classes(name, task, by_split)
    labels = [s.labels[name] for s in labelled]
    match task.kind:
        case "identity":
            counts = Counter(labels)
            made |= {"identities": len(counts), "most": max(counts.values(), default=0)}
        case "regression":
            made |= _numbers([v for label in labels for v in (label if isinstance(label, tuple) else (label,))])
        case "text":
            lengths = [len(t) for t in labels]
            made |= {"characters": sum(lengths), "longest": max(lengths, default=0)}
        case "boxes":
            boxes = [b for label in labels for b in label]
            made |= {"boxes": len(boxes), "without": sum(not label for label in labels)}
            # of one name, but of another source, it is another track
            tracks = {(_origin(s), b.track) for s in labelled for b in s.labels[name] if b.track is not None}
            made["tracks"] = len(tracks)
        case "spans":
            spans = [s for label in labels for s in label]
            made |= {"spans": len(spans), "without": sum(not label for label in labels)}
            made["seconds"] = round(sum(s.end - s.start for s in spans), 3)
        case _:
            pass
    return made


def _origin(sample: Sample) -> str:
    """Where the tracks of a sample begin to be counted: its source, else its file."""
    return sample.groups.get("source") or (sample.media[0].path if sample.media else sample.id)


def _classes(name: str, task: Task, by_split: dict[str, list[Sample]]) -> dict[str, dict[str, int]]:
    """By class how often it is named in each split."""
    made = {c: dict.fromkeys(by_split, 0) for c in task.classes}
    for split, held in by_split.items():
        for sample in held:
            if name in sample.labels:
                for label in task.names(sample.labels[name]):
                    made[label][split] += 1
    return made


def _numbers(values: Sequence[float]) -> dict[str, Any]:
    if not values:
        return {}
    return {
        "least": min(values),
        "most": max(values),
        "mean": round(statistics.fmean(values), 6),
        "deviation": round(statistics.pstdev(values), 6),
    }
