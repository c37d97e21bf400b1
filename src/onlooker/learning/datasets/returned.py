"""Labels that come back from another program, which keeps the names of pictures and little else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.formats import Imported
from onlooker.learning.datasets.formats.format import FormatOptions
from onlooker.learning.datasets.frame_names import frame_name, video_names
from onlooker.learning.datasets.manifest import LabelledBox, Sample

__all__ = ["find_frames", "find_tasks"]

_NAMED = ("boxes", "spans", "multi-label")
"""Kinds of task whose name is not in the files of formats."""


def find_frames(made: Imported, dataset: Dataset) -> None:
    """Put pictures that were written as frames of the dataset's videos back to their samples, by the pictures' names.

    Args:
        made: what a format read; its samples are changed, and a note says how many.
        dataset: into which they come.
    """
    frames: dict[str, list[Sample]] = defaultdict(list)
    names = video_names(dataset.samples)
    for sample in dataset.samples:
        video = sample.of_kind("video")
        if video is not None and sample.at is not None and sample.of_kind("image") is None:
            frames[frame_name(names[video.path], sample.at)].append(sample)
    known = {s.id for s in dataset.samples}
    count = 0
    for found in made.found if frames else ():
        one = found.sample
        picture = one.media[0] if len(one.media) == 1 and one.at is None else None
        held = frames.get(PurePosixPath(picture.path).name, []) if picture and picture.kind == "image" else []
        if len(held) == 1 and (one.id == held[0].id or one.id not in known):
            found.sample = _timed(one, held[0])
            count += 1
    if count:
        made.notes.append(f"{count} pictures are frames that were written out of videos: labels go to their samples")


def _timed(picture: Sample, frame: Sample) -> Sample:
    labels: dict[str, Any] = {}
    for name, label in picture.labels.items():
        parts = label if isinstance(label, tuple) else ()
        boxes = [p.model_copy(update={"at": frame.at}) if isinstance(p, LabelledBox) else p for p in parts]
        labels[name] = tuple(boxes) if isinstance(label, tuple) else label
    return picture.model_copy(update={"id": frame.id, "media": frame.media, "at": frame.at, "labels": labels})


def find_tasks(made: Imported, dataset: Dataset, options: FormatOptions) -> None:
    """Call tasks as the dataset does where a format only has a usual name for them, and all samples are known.

    Args:
        made: what a format read; its tasks and labels are changed, and a note says which.
        dataset: into which they come.
        options: of the format; what a user named is left.
    """
    known = {s.id for s in dataset.samples}
    if not made.found or not all(f.sample.id in known for f in made.found):
        return
    values = [getattr(options, n) for n in type(options).model_fields if n not in options.model_fields_set]
    usual = {value for value in values if isinstance(value, str)}
    renamed: dict[str, str] = {}
    for name, task in made.tasks.items():
        there = [n for n, t in dataset.info.tasks.items() if t.kind == task.kind]
        if task.kind in _NAMED and name in usual and name not in dataset.info.tasks and len(there) == 1:
            renamed[name] = there[0]
            made.notes.append(f"{name} is taken for {there[0]}, as the dataset calls its {task.kind}")
    made.tasks = _renamed(made.tasks, renamed)
    for found in made.found if renamed else ():
        found.sample = found.sample.model_copy(update={"labels": _renamed(found.sample.labels, renamed)})


def _renamed(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in values.items()}
