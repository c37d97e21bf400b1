"""Events: what rules make of observations."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from onlooker.core.observation import Box, Json, finite

__all__ = ["Event", "State", "event_id"]

State = Literal["new", "update", "end"]


@dataclass(frozen=True, slots=True)
class Event:
    """One state of an event; `id` is the same from its beginning to its end.

    Args:
        id: 32 hex digits, from rule, source, beginning and subject.
        rule: id of the rule.
        source: id of the source.
        camera: name of the camera.
        state: ``new``, then any number of ``update``, then ``end``.
        start, end: nanoseconds of the source; ``end`` is None until the event has ended.
        severity: as the rule says.
        score: the least confidence that it rests on, or None.
        label, box: of the subject.
        tracks: names of the tracks in it.
        data: fields that the conditions add (count, direction, distance, ...).
        observations: ids of observations that it rests on, the latest few.
        evidence: which stretch to keep: ``from_seconds``, ``to_seconds``, ``snapshot_seconds``.
        wall: wall time of the beginning, where it is known.
        channels: names of the sinks that are told; none: all.
        number: counts the states of one event from 0: (``id``, ``number``) names a state for good.
    """

    id: str
    rule: str
    source: str
    camera: str
    state: State
    start: int
    end: int | None
    severity: str
    score: float | None = None
    label: str | None = None
    box: Box | None = None
    tracks: tuple[str, ...] = ()
    data: Mapping[str, Json] = field(default_factory=dict[str, Json])
    observations: tuple[str, ...] = ()
    evidence: Mapping[str, Json] = field(default_factory=dict[str, Json])
    wall: datetime | None = None
    channels: tuple[str, ...] = ()
    number: int = 0

    def as_dict(self) -> dict[str, Json]:
        """The public JSON form; times in seconds of the source."""
        return {
            "id": self.id,
            "rule": self.rule,
            "source": self.source,
            "camera": self.camera,
            "state": self.state,
            "number": self.number,
            "start": round(self.start / 1e9, 6),
            "end": None if self.end is None else round(self.end / 1e9, 6),
            "wall_start": None if self.wall is None else self.wall.isoformat(),
            "severity": self.severity,
            "score": None if self.score is None else finite(round(self.score, 6)),
            "label": self.label,
            "box": None if self.box is None else [round(v, 6) for v in self.box],
            "tracks": [*self.tracks],
            "data": {k: finite(v) for k, v in self.data.items()},
            "observations": [*self.observations],
            "evidence": dict(self.evidence),
        }


def event_id(rule: str, source: str, start: int, subject: str) -> str:
    """The id of an event: the same rule on the same observations gives the same ids, live and over what is stored.

    >>> len(event_id("door", "ab", 0, "")), event_id("door", "ab", 0, "") == event_id("door", "ab", 1, "")
    (32, False)
    """
    return hashlib.blake2b(json.dumps([rule, source, start, subject]).encode(), digest_size=16).hexdigest()
