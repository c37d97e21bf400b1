"""The normal footage that is learned from: the videos of a part without what is labelled as abnormal in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.bundles.inputs import ClipInput
from onlooker.core.errors import UsageError
from onlooker.learning.anomaly.footage import Clip, abnormal_ticks, clips_of, span_task, videos_of
from onlooker.learning.anomaly.recipe import AnomalyRecipe
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Sample

__all__ = ["NormalFootage", "normal_footage", "stretches"]


@dataclass(frozen=True, slots=True)
class NormalFootage:
    """The footage of a run.

    Args:
        dataset: that holds it.
        samples: its videos.
        task: the task of spans that says what is abnormal in them; None: nothing is.
        cut: by video, those without any normal footage too, the seconds that are labelled as abnormal.
    """

    dataset: Dataset
    samples: Sequence[Sample]
    task: str | None
    cut: Mapping[str, float]

    def clips(self, sample: Sample, facts: ClipInput) -> Iterator[Clip]:
        """The clips of a sample of which no picture is labelled as abnormal.

        Raises:
            SourceError: it cannot be read.
        """
        for clip in clips_of(self.dataset, sample, facts):
            if sample.id in self.cut and self.task is not None:
                ticks = range(clip.tick - facts.frames + 1, clip.tick + 1)
                if abnormal_ticks(sample, self.task, ticks, facts.rate).any():
                    continue
            yield clip


def normal_footage(recipe: AnomalyRecipe, dataset: Dataset) -> NormalFootage:
    """What a recipe learns from.

    Raises:
        UsageError: there is no such split, too little footage in it, or several tasks might say what is abnormal.
    """
    samples = videos_of(dataset, recipe.splits.normal)
    spans = [name for name, task in dataset.info.tasks.items() if task.kind == "spans"]
    seen = [s for s in samples if s.status == "labelled"]
    told = recipe.task is not None or any(s.labels.get(name) for s in seen for name in spans)
    task = span_task(dataset, recipe.task) if told else None
    cut = {s.id: seconds for s in seen if task is not None and (seconds := _seconds(s, task)) > 0}
    kept = [s for s in samples if s.id not in cut or cut[s.id] < _length(s)]
    if len(kept) < 2:
        whole = [s.id for s in samples if s not in kept]
        named = ", ".join(whole[:5]) + (", ..." if len(whole) > 5 else "")
        without = f"; all of {named} is labelled as abnormal" if whole else ""
        raise UsageError(
            f"{dataset.folder}: {'one clip' if kept else 'no clip'} of normal footage{without}",
            hint="cut it in two: one is left out in turn" if kept else "give normal footage",
        )
    return NormalFootage(dataset, kept, task, cut)


def stretches(ticks: NDArray[np.int64], values: NDArray[Any]) -> list[NDArray[Any]]:
    """The values of each run of ticks that follow one another."""
    return np.split(values, np.flatnonzero(np.diff(ticks) > 1) + 1)


def _length(sample: Sample) -> float:
    """Seconds; without end where nobody knows."""
    media = sample.of_kind("video")
    if sample.span is not None:
        return sample.span[1] - sample.span[0]
    return media.seconds if media is not None and media.seconds else float("inf")


def _seconds(sample: Sample, task: str) -> float:
    """How much of a sample is labelled as abnormal."""
    first, last = sample.span or (0.0, _length(sample))
    total, reached = 0.0, first
    for span in sorted(sample.labels.get(task, ()), key=lambda s: s.start):
        begin, end = max(span.start, reached), min(span.end, last)
        total += max(0.0, end - begin)
        reached = max(reached, end)
    return total
