"""Observations: single facts about a source, each with its exact span and its producer."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeAlias

from onlooker.core.time import Span

__all__ = ["Attachment", "Box", "Json", "Observation", "Producer", "finite", "observation_id"]

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None


class Box(NamedTuple):
    """A rectangle on the displayed picture, in fractions of its width and height, 0..1.

    (0, 0) is the top left; ``right`` and ``bottom`` are outside edges.
    """

    left: float
    top: float
    right: float
    bottom: float

    @property
    def area(self) -> float:
        """Share of the picture that the box covers, 0..1."""
        return max(0.0, self.right - self.left) * max(0.0, self.bottom - self.top)


@dataclass(frozen=True, slots=True)
class Producer:
    """What made an observation.

    Args:
        analyzer: name of the analyzer.
        version: the analyzer's own version; a change makes its stored results stale.
        config: hex digest of everything that decides its output: configuration, quality,
            and the producers that it builds upon.
        bundle: hex digest of the model weights, or None where no model is used.
    """

    analyzer: str
    version: str
    config: str
    bundle: str | None = None

    def __str__(self) -> str:
        """``shots@1+3f2a9c01`` or, with a model, ``objects@1+3f2a9c01/9be77a10``."""
        tail = f"/{self.bundle[:8]}" if self.bundle else ""
        return f"{self.analyzer}@{self.version}+{self.config[:8]}{tail}"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A derived file that goes with an observation (a picture, a WebVTT file, ...).

    Args:
        name: file name inside the source's media folder, such as ``keyframes/000123.jpg``;
            relative, forward slashes, no ``..``.
        data: its bytes.
        mime: media type, such as ``image/jpeg``.
    """

    name: str
    data: bytes
    mime: str


@dataclass(frozen=True, slots=True)
class Observation:
    """One fact. Analyzers leave ``source``, ``producer`` and ``ordinal``; the pipeline fills them in.

    Args:
        span: when, half-open.
        kind: what sort of fact: ``shot``, ``object``, ``track``, ``cue``, ...
        score: confidence 0..1 or the kind's own measure; None where there is none.
        label: the class or sub-kind (``person``, ``black``), or None.
        box: where on the displayed picture, or None.
        track: name of the track within the source, or None.
        text: words that can be searched, or None.
        data: the kind's own fields, JSON values only.
        vector: an embedding for similarity search (float32, 1-d), or None; ``vector_space`` names
            the space that it lives in, and is required with it.
        attachments: files to store beside it; only the names survive in the store, as ``media``.
        media: paths of stored files, relative to the library folder.
        source: the source's id (content digest).
        producer: what made it.
        ordinal: number among observations of one producer with the same span and kind.

    >>> Observation(Span.of_seconds(0, 1), "cue", label="black").kind
    'cue'
    """

    span: Span
    kind: str
    score: float | None = None
    label: str | None = None
    box: Box | None = None
    track: str | None = None
    text: str | None = None
    data: Mapping[str, Json] = field(default_factory=dict[str, Json])
    vector: Any = None
    vector_space: str | None = None
    attachments: tuple[Attachment, ...] = ()
    media: tuple[str, ...] = ()
    source: str = ""
    producer: Producer | None = None
    ordinal: int = 0

    def __post_init__(self) -> None:
        if not self.kind:
            raise ValueError("kind: expected a name, got an empty text")
        if self.box is not None and not (self.box.left <= self.box.right and self.box.top <= self.box.bottom):
            raise ValueError(f"box: expected left <= right and top <= bottom, got {self.box}")
        if self.vector is not None and not self.vector_space:
            raise ValueError("vector_space: expected the name of the vector's space, got none")

    @property
    def id(self) -> str:
        """The deterministic id; see `observation_id`."""
        return observation_id(self)

    def of(self, source: str, producer: Producer, ordinal: int) -> Observation:
        """The same fact with where it comes from filled in."""
        return replace(self, source=source, producer=producer, ordinal=ordinal)

    def as_dict(self) -> dict[str, Json]:
        """The public JSON form, one line of the JSONL export.

        ``box`` is ``[left, top, right, bottom]`` in fractions of the displayed picture. The kind's
        own fields (``data``) stand beside the common ones, without hiding any of them. Numbers that JSON
        cannot hold (infinite, not a number) are None.
        """
        common: dict[str, Json] = {
            "id": self.id,
            "source": self.source,
            "kind": self.kind,
            "start_seconds": round(self.span.start.seconds, 6),
            "end_seconds": round(self.span.end.seconds, 6),
            "score": None if self.score is None else finite(round(self.score, 6)),
            "label": self.label,
            "box": None if self.box is None else [finite(round(v, 6)) for v in self.box],
            "track": self.track,
            "text": self.text,
            "media": list(self.media),
            "producer": str(self.producer) if self.producer else None,
        }
        return {**{k: finite(v) for k, v in self.data.items() if k not in common}, **common}


def finite(value: Json) -> Json:
    """The value with None for each number that JSON cannot hold, at any depth.

    >>> finite([1.5, float("nan"), {"a": float("-inf")}])
    [1.5, None, {'a': None}]
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [finite(v) for v in value]
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    return value


def observation_id(observation: Observation) -> str:
    """The id of an observation, from source, span, kind, producer and ordinal: 32 hex digits.

    The same analyzer with the same configuration on the same source gives the same ids, so writing
    twice stores once.
    """
    span, producer = observation.span, observation.producer
    key = json.dumps(
        [
            observation.source,
            str(span.start.value),
            str(span.end.value),
            observation.kind,
            [producer.analyzer, producer.version, producer.config, producer.bundle] if producer else None,
            observation.ordinal,
        ]
    )
    return hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
