"""Footage picture by picture as a deployed model gets it, what of it is abnormal, and models that look at it."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from onlooker.bundles.inputs import ClipInput
from onlooker.bundles.preprocess import clip_tensor, one_picture
from onlooker.core.errors import ModelError, UsageError
from onlooker.core.plugins import load_plugin
from onlooker.core.runtime import Runtime
from onlooker.learning.anomaly.recipe import AnomalyRecipe
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Media, Sample
from onlooker.learning.datasets.media import read_frames
from onlooker.learning.export.graph import Piece, to_onnx

__all__ = ["Clip", "Looker", "abnormal_ticks", "clip_facts", "clips_of", "judged_videos", "span_task", "videos_of"]

Floats = NDArray[np.float32]


def clip_facts(recipe: AnomalyRecipe) -> ClipInput:
    """What the network is fed with."""
    pictures = recipe.pictures
    return ClipInput(
        kind="clip",
        rate=pictures.rate,
        frames=recipe.method.frames,
        stride=1,
        width=pictures.width,
        height=pictures.height,
        colour="gray",
        scale=1 / 255,
    )


@dataclass(frozen=True, slots=True)
class Clip:
    """The pictures at the last ticks.

    Args:
        tick: of the last picture, counted at the clip's rate from the medium's beginning.
        tensor: (1, frames, 1, height, width), as the facts say.
    """

    tick: int
    tensor: Floats


def videos_of(dataset: Dataset, split: str | None) -> list[Sample]:
    """The samples of a split that are video.

    Raises:
        UsageError: there are none.
    """
    found = [s for s in dataset.of_split(split) if s.of_kind("video") is not None]
    if not found:
        part = "it" if split is None else f"the split {split!r}"
        raise UsageError(f"{dataset.folder}: no video in {part}", hint="onlooker dataset stats tells")
    return found


def judged_videos(dataset: Dataset, split: str | None, task: str) -> tuple[list[Sample], list[str]]:
    """The videos of a split in which people said what is abnormal, if anything is, and what was left out.

    A label without spans says that nothing is; no label says nothing.

    Raises:
        UsageError: there is no video at all.
    """
    found = videos_of(dataset, split)
    seen = [s for s in found if s.status == "labelled"]
    judged = [s for s in seen if task in s.labels]
    notes: list[str] = []
    if proposed := len(found) - len(seen):
        notes.append(f"{proposed} videos have labels that are proposed alone: left out")
    if bare := len(seen) - len(judged):
        notes.append(f"{bare} videos have no label of {task}: left out; where nothing is abnormal, label no span: []")
    return judged, notes


def clips_of(dataset: Dataset, sample: Sample, facts: ClipInput) -> Iterator[Clip]:
    """The clips of a sample at each tick, as the analyzer of bundles makes them: at each tick the picture shown then.

    Raises:
        SourceError: it cannot be read.
    """
    kept: deque[Any] = deque(maxlen=facts.frames)
    for tick, picture in _pictures(dataset, sample, facts):
        kept.append(picture)
        if len(kept) == facts.frames:
            yield Clip(tick, clip_tensor(list(kept), facts))


def _pictures(dataset: Dataset, sample: Sample, facts: ClipInput) -> Iterator[tuple[int, Any]]:
    media: Media | None = sample.of_kind("video")
    assert media is not None
    rate = Fraction(round(facts.rate * 1000), 1000)
    start, end = (None, None) if sample.span is None else (Fraction(s).limit_denominator(10**6) for s in sample.span)
    first = 0 if start is None else ceil(start * rate)
    stop = None if end is None else ceil(end * rate)
    last: Any = None
    following: int | None = None
    for frame in read_frames(dataset.path(media), media, start, end):
        now = frame.time.tick(rate)
        if following is not None and now < following:
            continue
        if stop is not None and now >= stop:
            break
        for tick in range(first if following is None else following, now):
            if last is not None:
                yield tick, last
        last, _ = one_picture(frame, facts)
        following = now
        if now >= first:
            yield now, last
            following = now + 1


def span_task(dataset: Dataset, name: str | None) -> str:
    """The task that says what is abnormal.

    Raises:
        UsageError: there is none, or several and none is named.
    """
    spans = [n for n, t in dataset.info.tasks.items() if t.kind == "spans"]
    if name is not None and name in spans:
        return name
    if name is None and len(spans) == 1:
        return spans[0]
    said = f"no task {name!r} of spans" if name is not None else f"{len(spans)} tasks of spans, expected one"
    raise UsageError(f"{dataset.folder}: {said}", hint=f"task: one of {', '.join(spans) or 'those to be labelled'}")


def abnormal_ticks(sample: Sample, task: str, ticks: Sequence[int], rate: float) -> NDArray[np.bool_]:
    """Which ticks lie in a labelled span of a sample; without labels none do."""
    times = np.asarray(ticks, np.float64) / rate + 1e-6
    found = np.zeros(len(times), np.bool_)
    for span in sample.labels.get(task, ()):
        found |= (times >= span.start) & (times < span.end)
    return found


class Looker:
    """A module, run in the preferred engine as a bundle's network is. Use it in a ``with`` statement.

    Args:
        module: takes a clip.
        facts: of the clip.
        outputs: names of what it gives.
        threads: of the engine.

    Raises:
        ModelError: there is no engine, or the module cannot go to ONNX.
    """

    def __init__(self, module: nn.Module, facts: ClipInput, outputs: Sequence[str], *, threads: int = 1) -> None:
        self._outputs = tuple(outputs)
        self.onnx = to_onnx(Piece("model.onnx", module, {"clip": torch.zeros(facts.shape)}, outputs))
        engines = [load_plugin("runtimes", name)() for name in ("openvino", "onnxruntime")]
        ready: Runtime | None = next((e for e in engines if e.available()), None)
        if ready is None:
            raise ModelError("no inference engine is installed", hint="pip install openvino")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            path.write_bytes(self.onnx)
            self._model = ready.load(path, threads=threads)
        names = [t.name for t in self._model.outputs]
        self._places = [names.index(name) for name in self._outputs]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._model.close()

    def look(self, clip: Clip) -> dict[str, Floats]:
        """What the module gives, by name."""
        made = self._model.run({"clip": clip.tensor})
        return {name: made[place] for name, place in zip(self._outputs, self._places, strict=True)}
