"""What a network's outputs mean and what is observed by them: one class for each task."""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from onlooker.bundles.values import Label, Name, Part, Seconds, Share, TensorName, Words

__all__ = [
    "Anomaly",
    "Classification",
    "Dense",
    "Detection",
    "Embedding",
    "Events",
    "Grid",
    "MultiLabel",
    "Ordinal",
    "Output",
    "Reasons",
    "Regression",
    "Rows",
    "Scored",
    "Spans",
    "emitted",
    "tensors",
    "wanted_size",
    "wanted_sizes",
]

Labels = Annotated[tuple[Label, ...], Field(min_length=1, max_length=100_000)]
Temperature = Annotated[float, Field(gt=0, le=1000)]


class _Output(Part):
    name: Name
    rests_on: Name | None = None


class Spans(Part):
    """How a series of scores becomes spans.

    Attributes:
        smooth_seconds: scores are averaged over so much of the past before they are compared; 0: they are not.
        hold: a span goes on while its score is at least this share of the threshold that began it.
        minimum_seconds: shorter spans are dropped.
        gap_seconds: interruptions up to this length are bridged.
    """

    smooth_seconds: Seconds = 0.0
    hold: Annotated[float, Field(gt=0, le=1)] = 0.8
    minimum_seconds: Seconds = 0.0
    gap_seconds: Seconds = 0.5


class _Scored(_Output):
    tensor: TensorName
    labels: Labels
    ignore: tuple[Label, ...] = ()
    threshold: Share = 0.5
    thresholds: dict[Label, Share] = Field(default_factory=dict[str, float])
    temperature: Temperature = 1.0
    spans: Spans = Spans()

    @model_validator(mode="after")
    def _known(self) -> Self:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels: one stands twice")
        if unknown := sorted({*self.ignore, *self.thresholds} - set(self.labels)):
            raise ValueError(f"there is no label {unknown[0]!r} among labels")
        return self

    @property
    def size(self) -> int:
        """Numbers of the tensor for one moment."""
        return len(self.labels)


class Classification(_Scored):
    """One of several classes, as spans of the class with the highest score.

    Attributes:
        name: of the task.
        rests_on: a network without which nothing is observed, where a head joins several; None: any is enough.
        tensor: (1, classes).
        kind: of the observations.
        labels: of the classes.
        ignore: labels that are not observed (background).
        activation: ``softmax``: the numbers are logits, divided by ``temperature``; ``none``: probabilities.
        threshold: a class is observed from this probability on; ``thresholds`` for single ones.
        temperature: of the calibration (Guo et al. 2017, arXiv 1706.04599).
        spans: see `Spans`.
    """

    task: Literal["classification"]
    kind: Name = "action"
    activation: Literal["softmax", "none"] = "softmax"


class MultiLabel(_Scored):
    """Labels that hold side by side, each as spans of its own.

    Attributes:
        tensor: (1, labels).
        activation: ``sigmoid``: the numbers are logits, divided by ``temperature``; ``none``: probabilities.

    The other attributes are those of `Classification`.
    """

    task: Literal["multi_label"]
    kind: Name = "action"
    activation: Literal["sigmoid", "none"] = "sigmoid"


class Ordinal(_Scored):
    """One of several levels in order, as spans of one level.

    Attributes:
        tensor: (1, levels - 1) logits of 'higher than this level' (CORAL: Cao et al. 2020, arXiv 1901.07884) with the
            activation ``cumulative``; (1, levels) with ``softmax`` or ``none``, of which the middle of the distribution
            counts.

    The other attributes are those of `Classification`.
    """

    task: Literal["ordinal"]
    kind: Name = "level"
    activation: Literal["cumulative", "softmax", "none"] = "cumulative"

    @property
    def size(self) -> int:
        """Numbers of the tensor for one moment."""
        return len(self.labels) - (self.activation == "cumulative")

    @model_validator(mode="after")
    def _two(self) -> Self:
        if len(self.labels) < 2:
            raise ValueError("labels: expected at least two levels")
        return self


class Dense(_Scored):
    """Labels at each of several steps of a look, as spans.

    Attributes:
        tensor: (1, steps, labels), the steps evenly over the look's time.
        steps: how many.
        activation: as of `MultiLabel`, or ``softmax``.

    The other attributes are those of `Classification`.
    """

    task: Literal["dense"]
    kind: Name = "action"
    steps: Annotated[int, Field(ge=1, le=10_000)]
    activation: Literal["sigmoid", "softmax", "none"] = "sigmoid"


class Events(_Scored):
    """Moments: an observation at each peak of a label's score.

    Attributes:
        tensor: (1, steps, labels), or (1, labels) with one step.
        steps: how many.
        apart_seconds: of two peaks of one label that are nearer than this, the lower one is dropped.
        length_seconds: of the observation, with the peak in its middle.

    The other attributes are those of `Classification`; spans are not used.
    """

    task: Literal["events"]
    kind: Name = "moment"
    steps: Annotated[int, Field(ge=1, le=10_000)] = 1
    activation: Literal["sigmoid", "softmax", "none"] = "sigmoid"
    apart_seconds: Annotated[float, Field(gt=0, le=3600)] = 1.0
    length_seconds: Annotated[float, Field(gt=0, le=3600)] = 1.0


class Regression(_Output):
    """Numbers, as one observation with their mean, least and greatest every few seconds.

    Attributes:
        tensor: (1, numbers).
        kind: of the observations.
        labels: what each number is called; an observation for each.
        unit: of the numbers, for people.
        low, high: what they are limited to.
        every_seconds: length of the observations.
    """

    task: Literal["regression"]
    tensor: TensorName
    kind: Name = "measure"
    labels: Labels
    unit: Words = ""
    low: float | None = None
    high: float | None = None
    every_seconds: Annotated[float, Field(gt=0, le=3600)] = 1.0

    @property
    def size(self) -> int:
        """Numbers of the tensor for one moment."""
        return len(self.labels)


class Embedding(_Output):
    """A vector for similarity search, the mean over every few seconds.

    Attributes:
        tensor: (1, size).
        size: of the vector.
        space: name of the vector space; vectors of other spaces are not compared with it.
        unit_length: whether the vector is brought to length 1.
        every_seconds: length of the observations.
    """

    task: Literal["embedding"]
    tensor: TensorName
    kind: Literal["embedding"] = "embedding"
    size: Annotated[int, Field(ge=1, le=65_536)]
    space: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$")]
    unit_length: bool = True
    every_seconds: Annotated[float, Field(gt=0, le=3600)] = 1.0


class Reasons(Part):
    """What a score rests on: ``tensor`` (1, labels) is the share of each label, such as speed or size."""

    tensor: TensorName
    labels: Labels


class Anomaly(_Output):
    """A score of how unusual a moment is, as spans above a threshold.

    Attributes:
        tensor: (1, 1); higher is more unusual.
        region: a tensor (1, 4) that says where: left, top, right, bottom as shares of the input; or None.
        reasons: why, or None. Where and why of the highest score go to the observation; the largest share names it.
        kind: of the observations.
        threshold: in the score's own measure.
        false_alarms: (spans an hour on normal footage, threshold) pairs, by which a stated budget becomes a threshold.
        spans: see `Spans`; ``hold`` is a share of the threshold.
    """

    task: Literal["anomaly"]
    tensor: TensorName
    region: TensorName | None = None
    reasons: Reasons | None = None
    kind: Name = "anomaly"
    threshold: float
    false_alarms: tuple[tuple[Annotated[float, Field(ge=0)], float], ...] = ()
    spans: Spans = Spans()

    @property
    def size(self) -> int:
        """Numbers of the tensor for one moment."""
        return 1

    @property
    def sizes(self) -> dict[str, int]:
        """Numbers of each tensor for one moment: the score, then where and why, as far as the bundle says."""
        where = {} if self.region is None else {self.region: 4}
        why = {} if self.reasons is None else {self.reasons.tensor: len(self.reasons.labels)}
        return {self.tensor: 1, **where, **why}

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if len(self.sizes) != 1 + (self.region is not None) + (self.reasons is not None):
            raise ValueError("tensor, region, reasons: expected a tensor of its own for each")
        return self

    def threshold_for(self, budget: float) -> float:
        """The lowest threshold that made at most ``budget`` false alarms an hour on normal footage.

        Raises:
            ValueError: none did.
        """
        fitting = [threshold for rate, threshold in self.false_alarms if rate <= budget]
        if not fitting:
            least = min((rate for rate, _ in self.false_alarms), default=None)
            known = "no table of false alarms" if least is None else f"no threshold below {least:g} an hour"
            raise ValueError(f"the bundle has {known}")
        return min(fitting)


class Rows(Part):
    """Boxes as rows of one tensor (1, n, columns) or (n, columns), doubles already dropped or not.

    Attributes:
        tensor: the rows.
        box: what the first four of ``columns`` are: corners, or centre and size.
        unit: ``pixels`` of the network's input, or its ``share`` (0..1).
        first: number of the first column of the box.
        score: number of the column of the score, or None: the best class score.
        label: number of the column of the class, or None: ``first_class`` on, one column for each class.
        first_class: see ``label``.
    """

    form: Literal["rows"]
    tensor: TensorName
    box: Literal["corners", "centre"] = "corners"
    unit: Literal["pixels", "share"] = "pixels"
    first: Annotated[int, Field(ge=0, le=10_000)] = 0
    score: Annotated[int, Field(ge=0, le=10_000)] | None = 4
    label: Annotated[int, Field(ge=0, le=10_000)] | None = 5
    first_class: Annotated[int, Field(ge=0, le=10_000)] = 5

    @property
    def tensors(self) -> tuple[str, ...]:
        """The names of the tensors it reads."""
        return (self.tensor,)


class Grid(Part):
    """Boxes of an anchor-free head: at each cell of a grid class scores and the distances to the four sides.

    Attributes:
        strides: pixels of a cell, of each level.
        scores: tensor of each level, (1, cells, classes).
        distances: tensor of each level, (1, cells, 4 * bins); with one bin the distance itself, with more the logits
            of its distribution (generalised focal loss: Li et al. 2020, arXiv 2006.04388).
        bins: see ``distances``.
        logits: whether the scores need a sigmoid.
    """

    form: Literal["grid"]
    strides: Annotated[tuple[Annotated[int, Field(ge=1, le=1024)], ...], Field(min_length=1, max_length=8)]
    scores: Annotated[tuple[TensorName, ...], Field(min_length=1, max_length=8)]
    distances: Annotated[tuple[TensorName, ...], Field(min_length=1, max_length=8)]
    bins: Annotated[int, Field(ge=1, le=256)] = 1
    logits: bool = False

    @property
    def tensors(self) -> tuple[str, ...]:
        """The names of the tensors it reads."""
        return (*self.scores, *self.distances)

    @model_validator(mode="after")
    def _levels(self) -> Self:
        if not len(self.strides) == len(self.scores) == len(self.distances):
            raise ValueError("strides, scores, distances: expected one of each for every level")
        return self


class Detection(_Output):
    """Objects in single pictures and their tracks.

    Attributes:
        labels: of the classes.
        boxes: how the boxes stand in the tensors.
        kind: of single boxes: ``object``, which makes a ``track`` besides; both are as of the analyzer ``objects``.
        threshold: least score of an object, and of what begins a track.
        keep_score: least score of what is kept to prolong tracks.
        overlap: of two boxes of a class that overlap more than this (IoU), the weaker one is dropped.
        groups: by label, such as person or vehicle; tracks take boxes of their own group alone.
    """

    task: Literal["detection"]
    labels: Labels
    boxes: Annotated[Rows | Grid, Field(discriminator="form")]
    kind: Literal["object"] = "object"
    threshold: Share = 0.45
    keep_score: Share = 0.3
    overlap: Annotated[float, Field(gt=0, le=1)] = 0.5
    groups: dict[Label, Name] = Field(default_factory=dict[str, str])


Scored: TypeAlias = Classification | MultiLabel | Ordinal | Dense | Events
Output = Annotated[
    Classification | MultiLabel | Ordinal | Dense | Events | Regression | Embedding | Anomaly | Detection,
    Field(discriminator="task"),
]


def tensors(output: Output) -> tuple[str, ...]:
    """The names of the tensors that an output reads."""
    return output.boxes.tensors if isinstance(output, Detection) else tuple(wanted_sizes(output))


def wanted_size(output: Output) -> int | None:
    """Numbers of the output's tensor, or None where that is not fixed (detections)."""
    return None if isinstance(output, Detection) else wanted_sizes(output)[output.tensor]


def wanted_sizes(output: Output) -> dict[str, int]:
    """Numbers of each of the output's tensors; empty where they are not fixed (detections)."""
    if isinstance(output, Detection):
        return {}
    if isinstance(output, Anomaly):
        return output.sizes
    steps = output.steps if isinstance(output, Dense | Events) else 1
    return {output.tensor: output.size * steps}


def emitted(output: Output) -> tuple[str, ...]:
    """The kinds of observation that an output makes."""
    return ("object", "track") if isinstance(output, Detection) else (output.kind,)
