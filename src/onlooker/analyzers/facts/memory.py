"""What the rules remember together: whose lips moved when, who was on screen, what was said and by which voice.

Everything that lies more than a given time behind the newest is forgotten, so memory is bounded. Moments are kept in
bins of `BIN` seconds.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from onlooker.core.observation import Json, Observation
from onlooker.core.time import Span

__all__ = ["BIN", "KINDS", "Face", "Lips", "Memory", "bins_of"]

BIN = 0.2
"""Seconds."""
KINDS = ("attention", "face_track", "identity", "speech", "speaker")
"""Kinds that the memory takes."""
_STEP = 0.15
_TRIM = 4096
_WORD_GAP = 0.4
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Lips:
    """How movement of the lips is told from rest.

    Args:
        level: change of the opening a second at which talking is as probable as not.
        slope: how fast the probability rises with the logarithm of it.
        around: seconds before and after a moment that are looked at.
        gap: moments of a face further apart than this say nothing of the time between.
    """

    level: float
    slope: float
    around: float
    gap: float

    def talking(self, times: Floats, opens: Floats, at: Floats) -> Floats:
        """Probability that the face talks at each moment of ``at``; NaN where it was not seen."""
        if len(times) < 2:
            return np.full(len(at), np.nan)
        steps = np.diff(times)
        known = steps <= self.gap
        moved = np.concatenate([[0.0], np.cumsum(np.where(known, np.abs(np.diff(opens)), 0.0))])
        watched = np.concatenate([[0.0], np.cumsum(np.where(known, steps, 0.0))])
        early, late = at - self.around, at + self.around
        total = np.interp(late, times, moved) - np.interp(early, times, moved)
        seconds = np.interp(late, times, watched) - np.interp(early, times, watched)
        inside = np.searchsorted(times, at, "right") - 1
        last = np.clip(inside, 0, len(steps) - 1)
        seen = (at >= times[0] - BIN) & (at <= times[-1] + BIN) & (known[last] | (seconds >= self.around))
        rate = np.where(seconds > 1e-3, total / np.maximum(seconds, 1e-3), 0.0)
        probability = 1 / (1 + (self.level / np.maximum(rate, 1e-6)) ** self.slope)
        return np.where(seen & (seconds > 1e-3), probability, np.nan)


@dataclass(slots=True)
class Face:
    """One track of a face: when its mouth was how far open."""

    track: str
    times: array[float] = field(default_factory=lambda: array("d"))
    opens: array[float] = field(default_factory=lambda: array("f"))
    ended: Observation | None = None
    identity: Observation | None = None

    def add(self, time: float, opening: float) -> None:
        """The next moment; those that follow too closely are passed over."""
        if self.times and time - self.times[-1] < _STEP:
            return
        self.times.append(time)
        self.opens.append(opening)

    def trim(self, oldest: float) -> None:
        """Forget moments before ``oldest``."""
        count = bisect_left(self.times, oldest)
        del self.times[:count], self.opens[:count]

    @property
    def start(self) -> float:
        """When it was first seen."""
        return self.ended.span.start.seconds if self.ended is not None else self.times[0]

    @property
    def end(self) -> float:
        """When it was last seen."""
        return self.ended.span.end.seconds if self.ended is not None else self.times[-1] + BIN

    @property
    def person(self) -> str | None:
        """Name of the person, or of somebody unknown, where identity says one."""
        return self.identity.label if self.identity is not None else None

    @property
    def name(self) -> str | None:
        """Name of the person where it is known."""
        person = self.person
        return None if person in (None, "unknown") or person.startswith("unknown-") else person

    def evidence(self, span: Span | None = None) -> Observation | dict[str, Json]:
        """What a fact that used it rests on: its lips in ``span``, else the whole track."""
        if span is None and self.ended is not None:
            return self.ended
        start, end = (self.start, self.end) if span is None else (span.start.seconds, span.end.seconds)
        return {
            "kind": "attention",
            "track": self.track,
            "start_seconds": round(start, 3),
            "end_seconds": round(end, 3),
        }


def bins_of(start: float, end: float) -> slice:
    """The bins whose middles lie in [start, end)."""
    first, last = int(np.ceil(start / BIN - 0.5)), int(np.ceil(end / BIN - 0.5))
    return slice(max(0, first), max(0, first, last))


class Memory:
    """See the module's docstring.

    Args:
        lips: tells talking from rest.
        seconds: how far back it reaches.
        kinds: of observation that are given in the run.
    """

    def __init__(self, lips: Lips, seconds: float, kinds: frozenset[str]) -> None:
        self.lips, self._seconds, self.kinds = lips, seconds, kinds
        self.faces: dict[str, Face] = {}
        self.turns: list[Observation] = []
        self.sentences: list[Observation] = []
        self._newest = 0.0
        self._talking: dict[str, Floats] | None = None

    def take(self, observation: Observation) -> None:
        """The next observation of one of `KINDS`."""
        end = observation.span.end.seconds
        self._newest = max(self._newest, end)
        kind = observation.kind
        if kind == "speech":
            self.sentences.append(observation)
        elif kind == "speaker":
            self.turns.append(observation)
        elif observation.track:
            self._face(kind, observation)
        if kind != "attention":
            self._forget()

    def _face(self, kind: str, observation: Observation) -> None:
        face = self.faces.setdefault(observation.track or "", Face(observation.track or ""))
        if kind == "face_track":
            face.ended = observation
        elif kind == "identity":
            face.identity = observation
        else:
            opening: Any = observation.data.get("mouth_open")
            if opening is not None:
                face.add(observation.span.start.seconds, float(opening))
                if len(face.times) % _TRIM == 0:
                    face.trim(self.oldest)

    @property
    def oldest(self) -> float:
        """What ended before this is forgotten."""
        return self._newest - self._seconds

    def _forget(self) -> None:
        oldest = self.oldest
        for kept in (self.turns, self.sentences):
            if kept and kept[0].span.end.seconds < oldest:
                kept[:] = [o for o in kept if o.span.end.seconds >= oldest]
        for track in [t for t, f in self.faces.items() if f.ended is not None and f.end < oldest]:
            del self.faces[track]

    def finish(self) -> None:
        """Nothing more comes: what is kept no longer depends on how it arrived."""
        oldest = self.oldest
        for kept in (self.turns, self.sentences):
            kept[:] = sorted((o for o in kept if o.span.end.seconds >= oldest), key=_order)
        for track, face in list(self.faces.items()):
            face.trim(oldest)
            if (face.ended is None and not face.times) or face.end < oldest:
                del self.faces[track]
        self.faces = dict(sorted(self.faces.items(), key=lambda item: (item[1].start, item[0])))

    # -- what the rules ask, once it is finished --

    @property
    def count(self) -> int:
        """How many bins there are."""
        return int(np.ceil(self._newest / BIN)) + 1

    @property
    def middles(self) -> Floats:
        """(count,) the middle of each bin in seconds."""
        return (np.arange(self.count, dtype=np.float64) + 0.5) * BIN

    def talking(self) -> dict[str, Floats]:
        """By face, in the order in which they came: (count,) probability that it talks; 0.5 where it is on screen but
        its lips are not known, NaN where it is not on screen.
        """
        if self._talking is None:
            self._talking = {f.track: self._probability(f) for f in self.faces.values()}
        return self._talking

    def _probability(self, face: Face) -> Floats:
        known = np.full(self.count, np.nan)
        part = bins_of(face.start, face.end)
        known[part] = 0.5
        if len(face.times) >= 2:
            times, opens = np.array(face.times, np.float64), np.array(face.opens, np.float64)
            found = self.lips.talking(times, opens, self.middles[part])
            known[part] = np.where(np.isnan(found), 0.5, found)
        return known

    def spoken(self, margin: float = 0.0) -> Flags:
        """(count,) whether somebody speaks, as far as speech and speakers say; ``margin`` seconds more on each side."""
        said = np.zeros(self.count, bool)
        for start, end in self.utterances():
            said[bins_of(start - margin, end + margin)] = True
        for turn in self.turns:
            said[bins_of(turn.span.start.seconds - margin, turn.span.end.seconds + margin)] = True
        return said

    def utterances(self) -> Iterator[tuple[float, float]]:
        """(start, end) in seconds of words without a pause between them."""
        for sentence in self.sentences:
            yield from _runs(sentence)

    @property
    def voices(self) -> Literal["speaker", "speech"] | None:
        """What says when somebody speaks: turns of speakers, else sentences."""
        return "speaker" if "speaker" in self.kinds else "speech" if "speech" in self.kinds else None


def _order(observation: Observation) -> tuple[float, float, str]:
    span = observation.span
    return span.start.seconds, span.end.seconds, observation.track or observation.text or ""


def _runs(sentence: Observation) -> Iterable[tuple[float, float]]:
    words: Any = sentence.data.get("words")
    if not words:
        return [(sentence.span.start.seconds, sentence.span.end.seconds)]
    runs: list[tuple[float, float]] = []
    for word in words:
        start, end = float(word[0]), float(word[1])
        if runs and start - runs[-1][1] <= _WORD_GAP:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((start, end))
    return runs
