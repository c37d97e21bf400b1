"""The export protocol and what the formats share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import BinaryIO, ClassVar, Protocol

from onlooker.core.errors import UsageError
from onlooker.core.observation import Box, Observation
from onlooker.core.store import Query, SourceStatus
from onlooker.core.time import Timestamp

__all__ = [
    "Export",
    "ExportRequest",
    "ExportSummary",
    "box_of",
    "chosen",
    "frame_number",
    "frame_rate",
    "millis",
    "one_line",
    "only_source",
    "score_of",
    "write_text",
]


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What to export.

    Args:
        sources: which sources, in order.
        observations: answers queries (``Store.query``).
        query: conditions of the user; its ``kinds`` are empty where the format may choose.
    """

    sources: Sequence[SourceStatus]
    observations: Callable[[Query], Iterator[Observation]]
    query: Query = field(default_factory=Query)

    def of(self, source: SourceStatus, kinds: Sequence[str] = ()) -> Iterator[Observation]:
        """The observations of one source in order of time, of these kinds unless the user chose others."""
        wanted = self.query.kinds or tuple(kinds)
        return self.observations(replace(self.query, sources=(source.info.id,), kinds=wanted))


@dataclass(slots=True)
class ExportSummary:
    """What was written, and what the format has no place for, by kind."""

    written: int = 0
    left_out: Counter[str] = field(default_factory=Counter[str])


class Export(Protocol):
    """One format. A plug-in of the group ``exports`` is a class of this form, created without arguments.

    Attributes:
        name: how ``--format`` calls it.
        extension: of its files, with the dot.
        description: one line for people.
        kinds: what it takes unless the user chooses; empty means all.
        single: whether a file holds one source only.
    """

    name: ClassVar[str]
    extension: ClassVar[str]
    description: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]]
    single: ClassVar[bool]

    def write(self, request: ExportRequest, out: BinaryIO) -> ExportSummary:
        """Write to ``out``, streaming.

        Raises:
            UsageError: the format can't hold what is asked for.
        """
        ...


def write_text(out: BinaryIO, text: str) -> None:
    """Write UTF-8; single surrogates of hostile names become question marks."""
    out.write(text.encode("utf-8", "replace"))


def only_source(request: ExportRequest, name: str) -> SourceStatus:
    """The one source of a format that holds one.

    Raises:
        UsageError: there are none or several.
    """
    if len(request.sources) != 1:
        raise UsageError(f"{name} holds one source, not {len(request.sources)}", hint="export them one by one")
    return request.sources[0]


def frame_number(observation: Observation, rate: Fraction) -> int:
    """The number, from 0, of the frame that is shown when the observation starts."""
    return round(observation.span.start.value * rate)


def frame_rate(source: SourceStatus) -> Fraction:
    """The source's average frame rate.

    Raises:
        UsageError: it has no video.
    """
    video = source.info.video
    if video is None or not video.frame_rate:
        raise UsageError(f"{source.info.path} has no frame rate", hint="this format counts frames")
    return video.frame_rate


def millis(time: Timestamp) -> int:
    """The moment in whole milliseconds, not before the start."""
    return max(0, round(time.value * 1000))


def score_of(observation: Observation) -> float | None:
    """The score, or None where there is none or it is not a finite number."""
    score = observation.score
    return None if score is None or not math.isfinite(score) else float(score)


def box_of(observation: Observation) -> Box | None:
    """The box, or None where there is none or a side is not a finite number."""
    box = observation.box
    return None if box is None or not all(math.isfinite(v) for v in box) else box


def one_line(text: str | None) -> str:
    """Text without line breaks and control characters; joiners of emoji and Arabic scripts stay."""
    kept = (c if c.isprintable() or c in "\u200c\u200d" else " " for c in text or "")
    return " ".join("".join(kept).split())


def chosen(observation: Observation) -> str:
    """Words for an observation: its text, else its label and track, else its kind."""
    parts = [p for p in (observation.label, observation.track) if p]
    return one_line(observation.text) or one_line(" ".join(parts)) or one_line(observation.kind)
