"""Joins an analyzer's own rows with the tracked boxes that another analyzer made of the same frames.

The heavy part of, say, ``expression`` measures one row for each face that ``faces`` measured in the same frame, the box
first; only later does the light part of ``faces`` say which track each box belongs to. `TrackJoin` brings both together
in whatever order they arrive.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from numpy.typing import NDArray

from onlooker.core.analyzer import Window
from onlooker.core.observation import Box, Observation
from onlooker.core.time import Span, Timestamp

__all__ = ["Joined", "TrackEnd", "TrackJoin"]

_Key = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Joined:
    """A row and the track that its box belongs to. The rows of one track come in order of time; the order among tracks
    is not fixed.
    """

    track: str
    span: Span
    row: NDArray[Any]
    observation: Observation


@dataclass(frozen=True, slots=True)
class TrackEnd:
    """A track has ended, and all its rows were given."""

    track: str
    observation: Observation


def _key(box: Box | NDArray[Any]) -> _Key:
    left, top, right, bottom = (round(float(v) * 100_000) for v in box[:4])
    return left, top, right, bottom


class TrackJoin:
    """See the module's docstring.

    Args:
        kind: of the observations with a box and a track, one for each frame (``face``, ``object``).
        end_kind: of those that say that a track has ended (``face_track``, ``track``).
    """

    def __init__(self, kind: str, end_kind: str) -> None:
        self._kind, self._end_kind = kind, end_kind
        self._rows: deque[tuple[Fraction, Span, dict[_Key, NDArray[Any]]]] = deque()
        self._boxes: deque[tuple[Fraction, list[Observation]]] = deque()
        self._ends: list[Observation] = []

    def take(self, window: Window | None) -> Iterator[Joined | TrackEnd]:
        """What can be joined with this window; None: the source has ended, nothing more will come."""
        if window is not None:
            for m in window.measurements:
                if len(m.values):
                    self._rows.append((m.time.value, m.span, {_key(row): row for row in m.values}))
            for o in window.observations:
                if o.kind == self._kind:
                    self._see(o)
                elif o.kind == self._end_kind:
                    self._ends.append(o)
        end = None if window is None else window.end.value
        yield from self._match(end)
        yield from self._finish(end)

    @property
    def since(self) -> Timestamp | None:
        """The first moment that still waits for its rows or boxes, if there is one."""
        times = [waiting[0][0] for waiting in (self._rows, self._boxes) if waiting]
        return Timestamp.of_seconds(min(times)) if times else None

    def _see(self, observation: Observation) -> None:
        time = observation.span.start.value
        if not self._boxes or self._boxes[-1][0] != time:
            self._boxes.append((time, []))
        self._boxes[-1][1].append(observation)

    def _match(self, end: Fraction | None) -> Iterator[Joined]:
        """All boxes of a moment come with one window, and moments come in order."""
        while self._boxes:
            time, boxes = self._boxes[0]
            while self._rows and self._rows[0][0] < time:
                self._rows.popleft()  # no box of that moment has a track
            if not self._rows and end is not None and time >= end:
                return  # its rows are still to come
            self._boxes.popleft()
            if not self._rows or self._rows[0][0] != time:
                continue  # that frame was not measured
            _, span, rows = self._rows.popleft()
            for o in boxes:
                row = rows.get(_key(o.box)) if o.box is not None else None
                if row is not None and o.track is not None:
                    yield Joined(o.track, span, row, o)

    def _finish(self, end: Fraction | None) -> Iterator[TrackEnd]:
        """Ends whose boxes and rows were all given. An end that comes out of the store comes before its boxes, so the
        watermark must have passed it.
        """
        first = self._boxes[0][0] if self._boxes else None
        waiting: list[Observation] = []
        for o in self._ends:
            last = o.span.end.value
            if end is None or (end >= last and (first is None or first >= last)):
                yield TrackEnd(o.track or "", o)
            else:
                waiting.append(o)
        self._ends = waiting
