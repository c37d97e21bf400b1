"""What a dataset is: tasks, samples, media and labels, as typed models of its two files.

``dataset.yaml`` says what is learned; ``samples.jsonl`` (or ``samples.parquet``) holds one sample a line. A sample may
lack the label of any task.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator, model_validator

from onlooker.learning.datasets.preparation import Preparation

__all__ = [
    "KINDS",
    "NAMES",
    "DatasetInfo",
    "Kind",
    "LabelledBox",
    "LabelledSpan",
    "Media",
    "MediaKind",
    "Sample",
    "Task",
    "info_schema",
    "is_name",
    "sample_schema",
]

Kind = Literal["class", "multi-label", "boxes", "spans", "regression", "identity", "text", "ordinal"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MediaKind = Literal["video", "image", "audio", "text", "series"]
_NAME = r"^[^\s:=/\\][^:=/\\\n]*$"
Name: TypeAlias = Annotated[str, Field(pattern=_NAME, max_length=100)]
NAMES = "names have no : = / or \\, begin with no blank and have at most 100 characters"
Finite: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]
_WITH_CLASSES = frozenset(("class", "multi-label", "boxes", "spans", "ordinal"))


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LabelledBox(_Model):
    """A box on the displayed picture.

    Attributes:
        label: its class.
        box: left, top, right, bottom in fractions of the picture; parts outside of 0..1 are off the picture.
        at: seconds of the frame that it lies on, in the medium's time; None where the sample is one picture.
        track: the same thing over frames.
        crowd: many things in one box, not to be learned as one.
        score: of a proposal.
    """

    label: str
    box: tuple[Finite, Finite, Finite, Finite]
    at: Finite | None = None
    track: str | None = None
    crowd: bool = False
    score: Finite | None = None

    @model_validator(mode="after")
    def _ordered(self) -> LabelledBox:
        left, top, right, bottom = self.box
        if not (left <= right and top <= bottom):
            raise ValueError(f"box: expected left <= right and top <= bottom, got {list(self.box)}")
        return self


class LabelledSpan(_Model):
    """A stretch of the medium, half-open, in seconds; ``score`` is that of a proposal."""

    label: str
    start: Finite
    end: Finite
    score: Finite | None = None

    @model_validator(mode="after")
    def _ordered(self) -> LabelledSpan:
        if self.end < self.start:
            raise ValueError(f"span: expected start <= end, got {self.start} .. {self.end}")
        return self


class Task(_Model):
    """One thing to learn.

    Attributes:
        kind: ``class`` (one of), ``multi-label`` (any of), ``boxes``, ``spans`` (events in time), ``regression`` (a
            number or several), ``identity`` (who, without a closed list), ``text``, ``ordinal`` (one of, in order).
        classes: names, in the order of their numbers; for ordinal from least to most.
        unit: of a regression, for people.
        language: of a text.
        description: for people.
    """

    kind: Kind
    classes: tuple[str, ...] = ()
    unit: str | None = None
    language: str | None = None
    description: str = ""

    @model_validator(mode="after")
    def _classes_fit(self) -> Task:
        if self.classes and self.kind not in _WITH_CLASSES:
            raise ValueError(f"classes: a task of kind {self.kind} has none")
        if len(set(self.classes)) != len(self.classes):
            twice = next(c for c in self.classes if self.classes.count(c) > 1)
            raise ValueError(f"classes: {twice!r} is there twice")
        return self

    @property
    def has_classes(self) -> bool:
        """Whether labels are names out of a list."""
        return self.kind in _WITH_CLASSES

    def parse(self, value: Any) -> Any:
        """A label of this task from its JSON form.

        Raises:
            ValueError, ValidationError: it is none.
        """
        label = self.shape(value)
        for name in self.names(label):
            if name not in self.classes:
                known = ", ".join(self.classes[:12]) + (", ..." if len(self.classes) > 12 else "")
                raise ValueError(f"there is no class {name!r}; there are {known or 'none'}")
        return label

    def shape(self, value: Any) -> Any:
        """A label in the kind's form; its classes may be any.

        Raises:
            ValidationError: it has not that form.
        """
        return _adapter(self.kind).validate_python(value)

    def names(self, label: Any) -> list[str]:
        """The classes that a label names, one for each mention; none for kinds without classes."""
        match self.kind:
            case "class" | "ordinal":
                return [label]
            case "multi-label":
                return [*label]
            case "boxes" | "spans":
                return [part.label for part in label]
            case _:
                return []


@cache
def _adapter(kind: Kind) -> TypeAdapter[Any]:
    forms: dict[str, Any] = {
        "class": Annotated[str, Field(min_length=1)],
        "ordinal": Annotated[str, Field(min_length=1)],
        "identity": Annotated[str, Field(min_length=1)],
        "text": str,
        "multi-label": tuple[str, ...],
        "boxes": tuple[LabelledBox, ...],
        "spans": tuple[LabelledSpan, ...],
        "regression": Finite | tuple[Finite, ...],
    }
    return TypeAdapter(forms[kind])


class Media(_Model):
    """One file of a sample.

    Attributes:
        path: relative to the dataset's root, forward slashes, never out of it.
        kind: what of it is used.
        name: tells media of one kind apart.
        digest: the first 32 hex digits of the SHA-256 of its content.
        width, height: pixels as displayed.
        rate: frames a second, as a fraction.
        seconds: its length.
        sound: samples a second of its first audio stream, or None where it has none.
        rotation: degrees by which its pictures are turned for display; None: not looked at.
        numbered: how many pictures it has, where they have no times of their own: they are shown at an even ``rate``.
        columns: of a series, what was measured.
    """

    path: str = Field(min_length=1)
    kind: MediaKind
    name: str = ""
    digest: str | None = Field(default=None, pattern="^[0-9a-f]{32}$")
    width: int | None = Field(default=None, gt=0)
    height: int | None = Field(default=None, gt=0)
    rate: str | None = None
    seconds: Finite | None = Field(default=None, ge=0)
    sound: int | None = Field(default=None, gt=0)
    rotation: Literal[0, 90, 180, 270] | None = None
    numbered: int | None = Field(default=None, gt=0)
    columns: tuple[str, ...] | None = None

    @field_validator("path")
    @classmethod
    def _inside(cls, value: str) -> str:
        path = PurePosixPath(value)
        if path.is_absolute() or ".." in path.parts or "\0" in value or "\\" in value:
            raise ValueError(f"expected a path inside the dataset's root, got {value!r}")
        return value

    @field_validator("rate")
    @classmethod
    def _fraction(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                good = Fraction(value) > 0
            except (ValueError, ZeroDivisionError):
                good = False
            if not good:
                raise ValueError(f"expected frames a second such as 25 or 30000/1001, got {value!r}")
        return value

    @property
    def frame_rate(self) -> Fraction | None:
        """Frames a second, exactly."""
        return None if self.rate is None else Fraction(self.rate)


class Sample(_Model):
    """One thing to learn from.

    Attributes:
        id: its name in the dataset.
        media: its files: one video, or a picture and a sound, and so on.
        span: start and end in seconds: the part of video, audio and series that is meant; None: all.
        at: seconds of the one frame of a video that is meant.
        text: words that belong to the sample as input.
        groups: what it came from, by sort: ``source``, ``person``, ...; samples that share one stay on one side.
        split: which side: ``train``, ``val``, ``test``, ``fold1``, ...
        labels: by task; a task that is not there is not labelled.
        weight: how much it counts.
        weights: by task, on top of ``weight``.
        status: ``proposed`` where the labels await a look by a person.
        origin: where it was taken from, such as observations of a library.
        notes: for people.
    """

    id: str = Field(min_length=1, max_length=500)
    media: tuple[Media, ...] = ()
    span: tuple[Finite, Finite] | None = None
    at: Finite | None = None
    text: str | None = None
    groups: dict[Name, str] = Field(default_factory=dict)
    split: Name | None = None
    labels: dict[str, Any] = Field(default_factory=dict)
    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    weights: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(default_factory=dict)
    status: Literal["labelled", "proposed"] = "labelled"
    origin: dict[str, Any] = Field(default_factory=dict)
    notes: str = ""

    @model_validator(mode="after")
    def _makes_sense(self) -> Sample:
        if not self.media and self.text is None:
            raise ValueError("media: expected a file, or a text")
        if self.span is not None and not 0 <= self.span[0] < self.span[1]:
            raise ValueError(f"span: expected 0 <= start < end, got {list(self.span)}")
        if self.span is not None and self.at is not None:
            raise ValueError("at: a sample is a span or a frame, not both")
        if self.at is not None and self.at < 0:
            raise ValueError(f"at: expected seconds from 0, got {self.at}")
        return self

    def of_kind(self, *kinds: MediaKind) -> Media | None:
        """The first medium of one of these kinds."""
        return next((m for m in self.media if m.kind in kinds), None)

    @property
    def timed(self) -> Media | None:
        """The medium whose time is the sample's: a video or sound, else a series."""
        return self.of_kind("video", "audio") or self.of_kind("series")

    def with_labels(self, tasks: Mapping[str, Task]) -> Sample:
        """The same with its labels checked and typed; None counts as missing.

        Raises:
            ValueError: with the task's name in front.
        """
        typed: dict[str, Any] = {}
        for name, value in self.labels.items():
            if name not in tasks:
                raise ValueError(f"labels.{name}: there is no such task; there are {', '.join(tasks) or 'none'}")
            if value is None:
                continue
            try:
                typed[name] = tasks[name].parse(value)
            except ValueError as error:
                raise ValueError(f"labels.{name}: {_first(error)}") from None
        return self.model_copy(update={"labels": typed})


def _first(error: ValueError) -> str:
    """One line for what pydantic or this module found."""
    found: Any = getattr(error, "errors", None)
    if found is None:
        return str(error)
    first = found()[0]
    where = ".".join(str(p) for p in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


class SplitMade(_Model):
    """How the splits were made, so that they can be made again."""

    seed: int
    by: tuple[str, ...]
    parts: dict[str, float] = Field(default_factory=dict)
    folds: int | None = None
    stratify: str | None = None
    near_duplicates: bool = True


class DatasetInfo(_Model):
    """``dataset.yaml``.

    Attributes:
        version: of this format.
        name: what people call it.
        description: for people: where it is from, under which licence.
        root: folder that media paths start from, relative to the dataset's own folder or absolute.
        samples: the file of samples.
        tasks: what there is to learn, by name.
        splits: names of the sides that there are.
        overlap: sorts of groups that may be on several sides, such as ``person`` where known people are told apart.
        split_made: how the splits were made.
        prepare: how samples become arrays.
    """

    version: Literal[1] = 1
    name: str = Field(min_length=1, max_length=200)
    description: str = ""
    root: str = "."
    samples: Literal["samples.jsonl", "samples.parquet"] = "samples.jsonl"
    tasks: dict[Name, Task] = Field(default_factory=dict)
    splits: tuple[Name, ...] = ()
    overlap: tuple[str, ...] = ()
    split_made: SplitMade | None = None
    prepare: Preparation | None = None


def is_name(text: str) -> bool:
    """Whether it can name a task, a split or a sort of group.

    >>> is_name("train"), is_name("train/1")
    (True, False)
    """
    return re.fullmatch(_NAME, text) is not None and len(text) <= 100


def info_schema() -> dict[str, Any]:
    """JSON Schema of ``dataset.yaml``, for editors."""
    return DatasetInfo.model_json_schema()


def sample_schema() -> dict[str, Any]:
    """JSON Schema of one line of ``samples.jsonl``; labels may have any of the kinds' forms."""
    schema = Sample.model_json_schema()
    forms: list[dict[str, Any]] = []
    for kind in KINDS:
        form = _adapter(kind).json_schema()
        schema.setdefault("$defs", {}).update(form.pop("$defs", {}))
        forms.append({"title": kind, **form})
    schema["properties"]["labels"] = {
        "type": "object",
        "additionalProperties": {"anyOf": [*forms, {"type": "null"}]},
        "description": "by task, in the form of the task's kind",
    }
    return schema
