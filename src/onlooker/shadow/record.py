"""What a camera records of a pair: a file of JSON lines.

A line is an observation of either side, the beginning or end of a sitting of the candidate, or a failure: from then on,
to the sitting's end, that side could not look.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from onlooker.core.observation import Box, Observation
from onlooker.core.time import NANOSECONDS, Span, Timestamp
from onlooker.shadow.candidate import Pair

__all__ = ["Blind", "Record", "Side", "failure_line", "folder_of", "observation_line", "read_record", "sitting_line"]

Side: TypeAlias = Literal["used", "candidate"]


@dataclass(slots=True)
class Blind:
    """A stretch in which one side could not look.

    Args:
        side: which.
        message: why.
        start, end: nanoseconds; end None: it is not over, as far as is recorded.
        last: the last moment that is recorded.
    """

    side: Side
    message: str
    start: int
    end: int | None = None
    last: int = 0

    @property
    def span(self) -> Span:
        """As far as is recorded."""
        end = self.last if self.end is None else self.end
        return Span(Timestamp(self.start, NANOSECONDS), Timestamp(max(self.start, end), NANOSECONDS))

    def holds(self, o: Observation) -> bool:
        """Whether an observation reaches into it."""
        start, end = o.span.start.nanoseconds, o.span.end.nanoseconds
        return (end > self.start or start >= self.start) and (self.end is None or start < self.end)


@dataclass(slots=True)
class Record:
    """What is in a file.

    Args:
        used, candidate: observations of either side.
        blind: when one could not look.
    """

    used: list[Observation] = field(default_factory=list[Observation])
    candidate: list[Observation] = field(default_factory=list[Observation])
    blind: list[Blind] = field(default_factory=list[Blind])

    def seen_by_both(self) -> tuple[list[Observation], list[Observation]]:
        """The observations of both, without those of stretches in which one could not look."""
        return self._seen(self.used), self._seen(self.candidate)

    def _seen(self, observations: Sequence[Observation]) -> list[Observation]:
        return [o for o in observations if not any(b.holds(o) for b in self.blind)]


def folder_of(library: Path, pair: Pair) -> Path:
    """Where cameras record a pair."""
    return library / "shadow" / pair.name / f"{pair.used.digest[:16]}-{pair.candidate.digest[:16]}"


def observation_line(side: Side, o: Observation) -> str:
    """What one side observed."""
    values: dict[str, Any] = {
        "side": side, "kind": o.kind, "label": o.label, "score": o.score,
        "start": o.span.start.nanoseconds, "end": o.span.end.nanoseconds,
        "box": None if o.box is None else [float(v) for v in o.box],
        "value": o.data.get("value"), "task": o.data.get("task"),
    }  # fmt: skip
    return json.dumps({k: v for k, v in values.items() if v is not None}, ensure_ascii=False)


def failure_line(side: Side, message: str, at: int) -> str:
    """One side cannot look from a moment on, in nanoseconds."""
    return json.dumps({"side": side, "failed": message, "at": at}, ensure_ascii=False)


def sitting_line(what: Literal["open", "end"], at: int) -> str:
    """The candidate is opened, or closed, at a moment in nanoseconds."""
    return json.dumps({"sitting": what, "at": at})


def read_record(file: Path) -> Record:
    """What was recorded; files of before tell of no failures."""
    made, going, last = Record(), list[Blind](), 0
    for values in _lines(file):
        last = max(last, int(values.get("end", values.get("at", 0))))
        if "sitting" in values:
            # a process that was killed has written no end
            for blind in going:
                blind.end = max(blind.start, int(values["at"]))
            going = []
        elif "failed" in values:
            going.append(Blind(values["side"], str(values["failed"]), int(values["at"])))
            made.blind.append(going[-1])
        else:
            (made.used if values["side"] == "used" else made.candidate).append(_observation(values))
    for blind in going:
        blind.last = last
    return made


def _observation(values: dict[str, Any]) -> Observation:
    start, end = (Timestamp(int(values[n]), NANOSECONDS) for n in ("start", "end"))
    box = values.get("box")
    return Observation(
        Span(start, end), values["kind"], values.get("score"), values.get("label"),
        None if box is None else Box(*box), data={k: values[k] for k in ("value", "task") if k in values},
    )  # fmt: skip


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    """The lines; one that was being written when the process ended is no line yet."""
    for line in file.read_text(encoding="utf-8").split("\n"):
        if line:
            try:
                yield json.loads(line)
            except ValueError:
                continue
