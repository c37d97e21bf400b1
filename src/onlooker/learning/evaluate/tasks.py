"""Which head of training an output of a bundle belongs to, and its numbers and labels in that head's form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.bundles.inputs import ClipInput
from onlooker.bundles.manifest import Manifest
from onlooker.bundles.outputs import Anomaly, Dense, Detection, Embedding, Events, Ordinal, Output, Regression, tensors
from onlooker.core.errors import UsageError
from onlooker.learning.datasets.clips import Clip
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import LabelledBox, LabelledSpan, Sample, Task
from onlooker.learning.parts import load_part, part_names
from onlooker.learning.task import Array, Calibration, Head, HeadConfig, TaskFacts

__all__ = ["Judge", "judges_of"]

_FITS: dict[str, Any] = {"stretch": "none", "crop": "centre"}
_LEAST = 1e-6


@dataclass(frozen=True, slots=True)
class Judge:
    """What judges one output.

    Args:
        output: of the bundle.
        of: the dataset's task that it is compared with.
        head: the head of training that makes such an output.
        config: its settings, as far as labels need them.
        facts: of the task, with the bundle's labels.
        calibration: temperature, thresholds and what else is known.
        size: height and width of the pictures that the bundle looks at, (1, 1) where it sees nothing.
        frames: pictures of a look.
    """

    output: Output
    of: str
    head: type[Head]
    config: HeadConfig
    facts: TaskFacts
    calibration: Calibration
    size: tuple[int, int] = (1, 1)
    frames: int = 1

    @property
    def name(self) -> str:
        """Of the output."""
        return self.output.name

    @property
    def per_look(self) -> bool:
        """Whether each look is a row of its own."""
        return isinstance(self.output, Dense | Events)

    def covered(self, sample: Sample, times: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
        """Seconds in the medium that each row speaks of.

        Of steps in time each begins at its picture's time, as in training and where the analyzer says it; the pictures
        of looks are the middles of their shares.

        Args:
            sample: whose.
            times: that its looks cover.
        """
        if not self.per_look:
            return ((times[0][0], times[-1][1]),)
        if self.size == (1, 1) or sample.of_kind("video") is None:
            return tuple(times)
        late = [(until - since) / self.frames / 2 for since, until in times]
        return tuple((since + by, until + by) for (since, until), by in zip(times, late, strict=True))

    def raw(self, numbers: Array) -> Array:
        """Numbers of the bundle (rows, ...) as the head gives them: probabilities become logits again."""
        activation = getattr(self.output, "activation", None)
        if isinstance(self.output, Regression):
            low, high = self.output.low, self.output.high
            return np.clip(numbers, -np.inf if low is None else low, np.inf if high is None else high)
        if isinstance(self.output, Ordinal) and activation != "cumulative":
            shares = _softmax(numbers) if activation == "softmax" else numbers
            above = np.cumsum(shares[:, ::-1], 1)[:, ::-1][:, 1:]
            return _logit(above)
        if activation != "none":
            return numbers
        if self.output.task == "classification":
            return np.log(np.clip(numbers, _LEAST, 1)).astype(np.float32)
        return _logit(numbers)

    def encode(
        self, samples: Sequence[Sample], times: Sequence[tuple[float, float]]
    ) -> tuple[Array, NDArray[np.bool_]]:
        """Labels (n, ...) of samples and where there are any; classes that the bundle does not know are none.

        Args:
            samples: or parts of them.
            times: seconds in the medium that the last look of each covers.
        """
        if not samples:
            return np.zeros((0, 1)), np.zeros(0, np.bool_)
        clips = [self._clip(self._known(s), *covered) for s, covered in zip(samples, times, strict=True)]
        values, known = self.head.encode(self.facts, self.config, clips)
        return values, np.asarray(known, np.bool_)

    def check(self, samples: Sequence[Sample]) -> None:
        """See that labels have the form of the output.

        Raises:
            UsageError: they are of another number of numbers.
        """
        if not isinstance(self.output, Regression):
            return
        wide = {int(np.size(s.labels[self.of])) for s in samples if self.of in s.labels}
        if other := sorted(wide - {self.facts.width}):
            raise UsageError(
                f"the output {self.name} is of width {self.facts.width}, labels of {self.of} are of width {other[0]}",
                hint="--task says with which task it is compared",
            )

    def _clip(self, sample: Sample, since: float, until: float) -> Clip:
        """A sample as heads know it; only those of boxes ask for the pictures, and of them for size and time alone."""
        if not isinstance(self.output, Detection):
            return Clip(sample, None, None, None, sample.text)
        last = until - (until - since) / self.frames / 2
        moving = until > since
        pictures = np.broadcast_to(np.uint8(0), (1, *self.size, 1))
        return Clip(sample, pictures, np.array([last]) if moving else None, None, sample.text)

    def _known(self, sample: Sample) -> Sample:
        """The sample without labels of classes that the bundle does not know."""
        label = sample.labels.get(self.of)
        if not isinstance(label, tuple) or not self.facts.task.has_classes:
            return sample
        classes = set(self.facts.classes)
        kept = tuple(p for p in label if not _named(p) or _named(p) in classes)
        return sample if len(kept) == len(label) else sample.model_copy(update={"labels": {self.of: kept}})

    def unknown(self, samples: Sequence[Sample]) -> dict[str, int]:
        """How often classes are labelled that the bundle does not know."""
        task, made = self.facts.task, dict[str, int]()
        for sample in samples:
            if self.of in sample.labels:
                for name in task.names(sample.labels[self.of]):
                    if name not in self.facts.classes:
                        made[name] = made.get(name, 0) + 1
        return made


def _named(part: Any) -> str | None:
    """The class that a part of a label names."""
    if isinstance(part, LabelledSpan | LabelledBox):
        return part.label
    return part if isinstance(part, str) else None


def _softmax(numbers: Array) -> Array:
    powers = np.exp(numbers - numbers.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def _logit(shares: Array) -> NDArray[np.float32]:
    held = np.clip(shares.astype(np.float64), _LEAST, 1 - _LEAST)
    return (np.log(held) - np.log1p(-held)).astype(np.float32)


def judges_of(
    manifest: Manifest,
    dataset: Dataset,
    names: Mapping[str, str],
    calibration: Mapping[str, Calibration],
    heads: Mapping[str, Any],
) -> list[Judge]:
    """What judges each output that the dataset has a task for.

    Args:
        manifest: of the bundle.
        dataset: with the labels.
        names: by output, the dataset's task, where they differ.
        calibration: by task of the run's recipe, what it knows beyond the bundle.
        heads: by task, the settings of a run's recipe.

    Raises:
        UsageError: a name is of no output or task, or no output has a task.
    """
    outputs = {o.name: o for o in manifest.outputs}
    for name, task in names.items():
        if name not in outputs:
            raise UsageError(f"the bundle has no output {name!r}", hint=f"it has {', '.join(outputs)}")
        if task not in dataset.info.tasks:
            known = ", ".join(dataset.info.tasks) or "none"
            raise UsageError(f"the dataset has no task {task!r}", hint=f"it has {known}")
    made: list[Judge] = []
    for name, output in outputs.items():
        # a run calls the tensor as its recipe calls the task; the output's name is a plain form of it
        task = tensors(output)[0]
        own = heads.get(task) or {}
        of = names.get(name) or next((n for n in (own.get("of"), name, task) if n in dataset.info.tasks), None)
        if of is not None and not isinstance(output, Anomaly):
            made.append(_judge(output, of, dataset, manifest, calibration.get(task, {}), own))
    if not made:
        raise UsageError(
            f"no output of the bundle ({', '.join(outputs)}) is a task of the dataset "
            f"({', '.join(dataset.info.tasks) or 'none'})",
            hint="--task OUTPUT=TASK says which belongs to which",
        )
    return made


def _judge(
    output: Output, of: str, dataset: Dataset, manifest: Manifest, calibration: Calibration, own: Mapping[str, Any]
) -> Judge:
    head = _head(output)
    task = dataset.info.tasks[of]
    if task.kind not in head.kinds:
        raise UsageError(
            f"the output {output.name} is a {output.task}, the dataset's {of} is of the kind {task.kind}",
            hint=f"it can be compared with {', '.join(head.kinds)}; --task says with which task",
        )
    labels: tuple[str, ...] = tuple(getattr(output, "labels", ()))
    classes = () if isinstance(output, Regression | Embedding) else labels
    if task.has_classes:
        task = Task(kind=task.kind, classes=classes or task.classes, description=task.description)
        if not isinstance(output, Embedding) and not set(classes) & set(dataset.info.tasks[of].classes):
            raise UsageError(
                f"the labels of {output.name} ({', '.join(classes[:8])}) are none of {of}'s "
                f"({', '.join(dataset.info.tasks[of].classes[:8])})",
                hint="rename them: onlooker dataset prepare --rename",
            )
    steps = output.steps if isinstance(output, Dense | Events) else 1
    crop = _FITS.get(manifest.pictures.fit, "pad") if manifest.pictures is not None else "none"
    facts = TaskFacts(of, task, tuple(classes), steps=steps, width=max(1, len(labels)), crop=crop)
    known = {**calibration, **_calibration(output)}
    fields = {k: v for k, v in own.items() if k in head.Config.model_fields and k not in ("inputs", "of")}
    try:
        config = head.Config(**{**fields, "head": part_of(head), "of": of})
    except ValueError:
        # a recipe of another version: only labels need the settings, and the usual ones do
        config = head.Config(head=part_of(head), of=of)
    seen = manifest.pictures
    size = (1, 1) if seen is None else (seen.height, seen.width)
    frames = seen.frames if isinstance(seen, ClipInput) else 1
    return Judge(output, of, head, config, facts, known, size, frames)


def part_of(head: type[Head]) -> str:
    """The name of the module that a head is in."""
    return head.__module__.rsplit(".", 1)[1]


def _head(output: Output) -> type[Head]:
    for name in part_names("tasks"):
        head: type[Head] = load_part("tasks", name)
        if head.task == output.task:
            return head
    raise UsageError(f"the output {output.name}: nothing here judges the task {output.task}")


def _calibration(output: Output) -> Calibration:
    """What the bundle itself says."""
    made: Calibration = {}
    if hasattr(output, "temperature"):
        made["temperature"] = output.temperature  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(output, Detection):
        return {"threshold": output.threshold}
    if output.task in ("multi_label", "dense", "events"):
        given = output.thresholds  # pyright: ignore[reportAttributeAccessIssue]
        made["thresholds"] = {label: given.get(label, output.threshold) for label in output.labels}  # pyright: ignore[reportAttributeAccessIssue]
    return made


def part_sample(sample: Sample, since: float, until: float) -> Sample:
    """The part of a sample that a look covers, for labels that are places in time."""
    if until <= since:
        return sample
    return sample.model_copy(update={"span": (max(0.0, since), until), "at": None})
