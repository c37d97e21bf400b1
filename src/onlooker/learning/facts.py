"""What a model is made for: the form of its inputs and what is known of its tasks, found in the training part.

They are kept in the run folder as ``facts.json``; with the recipe they are all that is needed to build the model again.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from pydantic import TypeAdapter, ValidationError

from onlooker.bundles.inputs import ClipInput, FrameInput, LogMelInput, SeriesInput, TextInput, WaveformInput
from onlooker.bundles.preprocess import sound_tensor
from onlooker.core.errors import UsageError
from onlooker.learning.datasets.clips import Clip
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Sample, Task
from onlooker.learning.datasets.preparation import Pictures, Preparation, Series, Sound
from onlooker.learning.datasets.preparing import column_moments
from onlooker.learning.datasets.targets import class_counts, identities_of, width_of
from onlooker.learning.datasets.typed_yaml import write_whole
from onlooker.learning.media_of import has_any
from onlooker.learning.parts import load_part
from onlooker.learning.recipe import Recipe, Spectrum
from onlooker.learning.task import HeadConfig, TaskFacts
from onlooker.learning.tasks._placed import Placed

__all__ = [
    "Facts",
    "InputFacts",
    "check_tasks",
    "find_facts",
    "load_facts",
    "preparation_of",
    "save_facts",
]

_SEEN = 256
_SENTENCE = 512
"""Numbers of a vector of the catalogue's encoder of sentences."""

InputFacts: TypeAlias = FrameInput | ClipInput | LogMelInput | WaveformInput | TextInput | SeriesInput
_INPUTS: TypeAdapter[Any] = TypeAdapter(FrameInput | ClipInput | LogMelInput | WaveformInput | TextInput | SeriesInput)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a model is made for.

    Args:
        inputs: by name, as a bundle tells them.
        tasks: by name.
        seconds: length of a clip or window, None for single pictures.
    """

    inputs: Mapping[str, InputFacts]
    tasks: Mapping[str, TaskFacts]
    seconds: float | None

    def shape(self, name: str) -> tuple[int, ...]:
        """Of one sample of an input, without the batch; a picture is a clip of one frame, a text of one vector."""
        facts = self.inputs[name]
        return facts.shape if isinstance(facts, FrameInput | TextInput) else facts.shape[1:]


def preparation_of(recipe: Recipe, dataset: Dataset) -> Preparation:
    """How samples become arrays, only with the senses that the recipe's networks have.

    Raises:
        UsageError: clips have no fixed length.
    """
    base = recipe.prepare or dataset.info.prepare or Preparation()
    takes = {load_part("networks", n.network).takes for n in recipe.inputs.values()}
    pictures = (base.pictures or Pictures(frames=16)) if "pictures" in takes else None
    sound = (base.sound or Sound()) if takes & {"log_mel", "waveform"} else None
    series = (base.series or Series()) if "series" in takes else None
    if pictures is not None and pictures.frames is None:
        raise UsageError(
            "prepare.pictures.frames: a network needs clips of one length", hint="--set prepare.pictures.frames=16"
        )
    if sound is not None and sound.seconds is None:
        sound = sound.model_copy(update={"seconds": min(_usual_seconds(dataset.samples), sound.longest)})
    if series is not None and series.seconds is None:
        series = series.model_copy(update={"seconds": min(_usual_seconds(dataset.samples), series.longest)})
    if series is not None and not series.columns:
        series = series.model_copy(update={"columns": _columns(dataset.samples)})
    return Preparation(pictures=pictures, sound=sound, series=series)


def _usual_seconds(samples: Sequence[Sample]) -> float:
    """The length of the sample in the middle."""
    spans = [s.span[1] - s.span[0] for s in samples if s.span]
    lengths = [m.seconds for s in samples if (m := s.timed) is not None and m.seconds]
    return round(statistics.median(spans or lengths or [1.0]), 3)


def _columns(samples: Sequence[Sample]) -> tuple[str, ...]:
    """The columns of all series.

    Raises:
        UsageError: they differ, or there are none.
    """
    found = {frozenset(m.columns): m.columns for s in samples if (m := s.of_kind("series")) is not None and m.columns}
    if not found:
        raise UsageError("no sample has a series", hint="give the dataset media of the kind series")
    if len(found) > 1:
        one, other = list(found.values())[:2]
        raise UsageError(
            f"series of the dataset have different columns: {', '.join(one)}, and {', '.join(other)}",
            hint="prepare.series.columns names those to take",
        )
    return next(iter(found.values()))


def find_facts(
    recipe: Recipe, dataset: Dataset, samples: Sequence[Sample], preparation: Preparation, clips: Iterable[Clip]
) -> Facts:
    """What the training part tells.

    Args:
        recipe: the networks and tasks.
        dataset: the labels' meaning.
        samples: of the training part.
        preparation: from `preparation_of`.
        clips: some of the samples as arrays, for means and deviations.

    Raises:
        UsageError: dataset and recipe do not fit each other.
    """
    seen = _Moments()
    placed = [Placed(name, head.of or name) for name, head in recipe.tasks.items() if head.head == "detection"]
    for clip in clips:
        seen.take(clip)
        for boxes in placed:
            boxes.take(clip)
    for boxes in placed:
        boxes.check()
    seconds = _seconds(samples, preparation)
    takes: dict[str, str] = {n: load_part("networks", config.network).takes for n, config in recipe.inputs.items()}
    inputs: dict[str, InputFacts] = {}
    for name, config in recipe.inputs.items():
        try:
            if takes[name] == "text":
                inputs[name] = _text(recipe, name, config.words())
            else:
                inputs[name] = _input(recipe, preparation, seen, seconds, takes[name])
        except ValidationError as error:
            said = "; ".join(e["msg"].removeprefix("Value error, ") for e in error.errors())
            raise UsageError(f"inputs.{name}: {said}", hint="see prepare, spectrum and export in the recipe") from None
    crop = preparation.pictures.crop if preparation.pictures is not None else "none"
    tasks: dict[str, TaskFacts] = {}
    for name, head in recipe.tasks.items():
        own = {i: takes[i] for i in head.inputs or takes if i in takes}
        tasks[name] = replace(_task(name, head, dataset, samples, seconds, own), crop=crop)
    return Facts(inputs, tasks, seconds)


def _input(recipe: Recipe, preparation: Preparation, seen: _Moments, seconds: float | None, takes: str) -> InputFacts:
    """The form of the input of a network that takes ``takes``."""
    if takes == "pictures":
        return _pictures(recipe, preparation, seen, seconds)
    if takes in ("log_mel", "waveform"):
        return _sound(recipe, preparation, seen, takes)
    return _series(recipe, preparation, seen)


def _text(recipe: Recipe, name: str, words: int | None) -> TextInput:
    if words is None:
        return TextInput(kind="text", size=_SENTENCE)
    for setting in ("mixup", "cutmix", "corrupt"):
        if getattr(recipe.augment, setting):
            raise UsageError(
                f"augment.{setting}: numbers of words, which inputs.{name} takes, cannot be mixed",
                hint=f"--set augment.{setting}=0, or give vectors: --set inputs.{name}.embedding=frozen",
            )
    return TextInput(kind="text", encoder="hashed-words", size=words)


class _Moments:
    """Sums over some clips."""

    def __init__(self) -> None:
        self.pictures: list[np.ndarray] = []
        self.sounds: list[np.ndarray] = []
        self.rows: list[np.ndarray] = []
        self.unheard: str | None = None

    def take(self, clip: Clip) -> None:
        if clip.pictures is not None:
            self.pictures.append(clip.pictures.reshape(-1, clip.pictures.shape[-1])[::7].astype(np.float64) / 255)
        if clip.sound is not None and float(np.abs(clip.sound).max(initial=0)) > 0:
            self.sounds.append(clip.sound[:, 0])
        if clip.sound is None and has_any(clip.sample, ["waveform"]):
            self.unheard = clip.sample.id
        if clip.series is not None:
            self.rows.append(clip.series)


def _seconds(samples: Sequence[Sample], preparation: Preparation) -> float | None:
    """The time that a clip covers."""
    how = preparation.pictures
    if how is not None and how.frames is not None and how.frames > 1:
        if how.rate is not None:
            return how.frames / how.rate
        lengths = [
            s.span[1] - s.span[0] if s.span else m.seconds for s in samples for m in s.media if m.kind == "video"
        ]
        known = [length for length in lengths if length]
        return round(statistics.median(known), 3) if known else None
    if preparation.sound is not None:
        return preparation.sound.seconds
    return preparation.series.seconds if preparation.series is not None else None


def _pictures(recipe: Recipe, preparation: Preparation, seen: _Moments, seconds: float | None) -> InputFacts:
    how = preparation.pictures
    if how is None or not seen.pictures:
        raise UsageError("no sample of the training part has pictures", hint="leave the networks of pictures out")
    values = np.concatenate(seen.pictures)
    fits = {"none": "stretch", "centre": "crop", "box": "crop", "pad": "pad"}
    common: dict[str, Any] = {
        "width": how.width,
        "height": how.height,
        "fit": fits[how.crop],
        "colour": "gray" if how.colour == "grey" else "rgb",
        "scale": 1 / 255,
        "mean": tuple(round(v, 5) for v in values.mean(0).tolist()),
        "std": tuple(round(max(v, 1e-3), 5) for v in values.std(0).tolist()),
    }
    # bars at the sides are mid-grey in datasets; the same in the network's measure
    common["fill"] = (128 / 255 - common["mean"][0]) / common["std"][0] if how.crop == "pad" else 0.0
    if how.frames is None or how.frames == 1:
        return FrameInput(kind="frame", rate=recipe.export.rate, **common)
    rate = round(how.frames / (seconds or how.frames / 8), 4)
    stride = recipe.export.stride * rate if recipe.export.stride else how.frames / 4
    return ClipInput(kind="clip", rate=rate, frames=how.frames, stride=max(1, round(stride)), **common)


def _sound(recipe: Recipe, preparation: Preparation, seen: _Moments, takes: str) -> InputFacts:
    how = preparation.sound
    if how is not None and not seen.sounds and seen.unheard is not None:
        raise UsageError(
            "no sample of the training part has sound around the middle of its video, where "
            f"{how.seconds:g} s of it are heard: that of {seen.unheard} ends before",
            hint="a longer prepare.sound.seconds hears more; sound and video begin together",
        )
    if how is None or how.seconds is None or not seen.sounds:
        raise UsageError("no sample of the training part has sound", hint="leave the networks of sound out")
    count = round(how.seconds * how.rate)
    hop = max(1, round((recipe.export.stride or how.seconds / 4) * how.rate))
    if takes == "waveform":
        loud = math.sqrt(float(np.mean([np.mean(s.astype(np.float64) ** 2) for s in seen.sounds])))
        return WaveformInput(
            kind="waveform", sample_rate=how.rate, samples=count, hop=hop, gain=round(0.1 / max(loud, 1e-4), 4)
        )
    bare = _spectrum(recipe.spectrum, how.rate, count, hop)
    mels = np.stack([sound_tensor(_fitted(s, bare.length), bare) for s in seen.sounds[:_SEEN]])
    return bare.model_copy(update={"mean": round(float(mels.mean()), 4), "std": round(max(float(mels.std()), 1e-3), 4)})


def _series(recipe: Recipe, preparation: Preparation, seen: _Moments) -> InputFacts:
    how = preparation.series
    if how is None or how.seconds is None or not seen.rows:
        raise UsageError("no sample of the training part has a series", hint="leave the networks of series out")
    mean, deviation = column_moments(seen.rows)
    never = [c for n, c in enumerate(how.columns) if all(np.isnan(r[:, n]).all() for r in seen.rows)]
    if never:
        raise UsageError(
            f"prepare.series.columns: {never[0]} has no value in the training part", hint="name those that have"
        )
    steps = how.steps(how.seconds)
    stride = recipe.export.stride * how.rate if recipe.export.stride else steps / 4
    return SeriesInput(
        kind="series", rate=how.rate, steps=steps, stride=max(1, round(stride)), columns=how.columns,
        mean=tuple(mean.tolist()), std=tuple(np.maximum(deviation, 1e-6).tolist()), hold_seconds=how.hold,
    )  # fmt: skip


def _spectrum(how: Spectrum, rate: int, count: int, hop: int) -> LogMelInput:
    if how.high is not None and how.high > rate / 2:
        raise UsageError(
            f"spectrum.high: {how.high:g} Hz is above {rate / 2:g} Hz, half of the sample rate",
            hint="lower it, or give prepare.sound.rate",
        )
    if how.low >= (how.high or rate / 2):
        raise UsageError(f"spectrum.low: expected less than high, {how.high or rate / 2:g} Hz, got {how.low:g}")
    window, step = round(how.window * rate), round(how.step * rate)
    frames = max(1, (count - window) // step + 1)
    return LogMelInput(
        kind="log_mel", sample_rate=rate, frames=frames, hop=hop, window=window, step=step,
        fft=1 << (window - 1).bit_length(), bands=how.bands, low=how.low, high=how.high or rate / 2, power=2,
        floor=1e-8, layout="N1FM",
    )  # fmt: skip


def _fitted(samples: np.ndarray, count: int) -> np.ndarray:
    """Exactly ``count`` samples: cut, or silence after them."""
    return samples[:count] if len(samples) >= count else np.pad(samples, (0, count - len(samples)))


def check_tasks(recipe: Recipe, dataset: Dataset) -> None:
    """Try that the dataset has what the recipe's tasks learn from, and that they can be tried as it says.

    Raises:
        UsageError: it has not.
    """
    for name, head in recipe.tasks.items():
        of = head.of or name
        if of not in dataset.info.tasks:
            known = ", ".join(dataset.info.tasks) or "none"
            hint = f"tasks.{name}.of says which"
            raise UsageError(f"tasks.{name}: the dataset has no task {of!r}; it has {known}", hint=hint)
        kind, kinds = dataset.info.tasks[of].kind, load_part("tasks", head.head).kinds
        if kind not in kinds:
            raise UsageError(f"tasks.{name}: {head.head} learns from {', '.join(kinds)}; {of} is of kind {kind}")
        if head.head == "detection" and recipe.training.test_time:
            hint = "--set training.test_time=[]"
            raise UsageError(f"tasks.{name}: boxes cannot be averaged over views of a picture", hint=hint)


def _task(
    name: str,
    head: HeadConfig,
    dataset: Dataset,
    samples: Sequence[Sample],
    seconds: float | None,
    takes: Mapping[str, str],
) -> TaskFacts:
    """What is known of a task by the samples that it is learned from, which have one of the inputs that it takes."""
    of = head.of or name
    task = dataset.info.tasks[of]
    labelled = [s for s in samples if of in s.labels]
    if not labelled:
        raise UsageError(f"tasks.{name}: no sample of the training part has a label of {of}")
    labelled = [s for s in labelled if has_any(s, takes.values())]
    if not labelled:
        raise UsageError(f"tasks.{name}: no sample of the training part with a label of {of} has {' or '.join(takes)}")
    classes, counts = task.classes, ()
    if task.kind == "identity":
        classes = tuple(identities_of(labelled, of))
        numbers = [s.labels[of] for s in labelled]
        counts = tuple(numbers.count(c) for c in classes)
    elif task.has_classes:
        counts = tuple(class_counts(labelled, of, task).values())
    if task.kind != "regression":
        return TaskFacts(name, task, tuple(classes), counts, seconds=seconds)
    width_of(labelled, of)
    rows = np.array([np.atleast_1d(s.labels[of]) for s in labelled], np.float64)
    deviation = np.maximum(rows.std(0), 1e-6)
    return TaskFacts(
        name,
        task,
        seconds=seconds,
        width=rows.shape[1],
        mean=tuple(rows.mean(0).tolist()),
        deviation=tuple(deviation.tolist()),
    )


def save_facts(facts: Facts, path: Path) -> None:
    """Write them as JSON."""
    inputs = {n: f.model_dump(mode="json") for n, f in facts.inputs.items()}
    tasks = {n: {**asdict_of(t), "task": t.task.model_dump(mode="json")} for n, t in facts.tasks.items()}
    write_whole(
        path, json.dumps({"inputs": inputs, "tasks": tasks, "seconds": facts.seconds}, ensure_ascii=False, indent=1)
    )


def asdict_of(facts: TaskFacts) -> dict[str, Any]:
    """The fields of a task's facts, the task itself left out."""
    return {name: getattr(facts, name) for name in facts.__dataclass_fields__ if name != "task"}


def _task_of(told: dict[str, Any]) -> TaskFacts:
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in told.items()}
    return TaskFacts(**{**fields, "task": Task(**told["task"])})


def load_facts(path: Path) -> Facts:
    """Facts that were saved.

    Raises:
        UsageError: they cannot be read.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        inputs = {n: _INPUTS.validate_json(json.dumps(f)) for n, f in found["inputs"].items()}
        tasks = {n: _task_of(t) for n, t in found["tasks"].items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"cannot read {path}: {error}", hint="is this the folder of a run?") from None
    return Facts(inputs, tasks, found["seconds"])
