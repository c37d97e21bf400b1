"""Follows tracks over a source: holds detections back until their track is certain, and sums up tracks that ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers._tracking import Track, Tracker
from onlooker.core.observation import Box
from onlooker.core.time import Span, Timestamp

__all__ = ["Ended", "Follower", "Moment", "Path"]

_PATH_POINTS = 32


@dataclass(slots=True)
class Path:
    """What is known of a track beside the tracker's state. Boxes are in fractions of the picture."""

    start: Timestamp
    end: Timestamp
    first: Box
    last: Box
    hull: Box
    points: list[tuple[float, float, float]]
    area: float = 0.0
    score: float = 0.0
    count: int = 0
    length: float = 0.0
    stride: int = 1

    def add(self, span: Span, box: Box, score: float) -> None:
        """Take the next box."""
        x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
        if self.count:
            before = ((self.last.left + self.last.right) / 2, (self.last.top + self.last.bottom) / 2)
            self.length += float(np.hypot(x - before[0], y - before[1]))
        self.end, self.last = span.end, box
        self.hull = Box(
            min(self.hull.left, box.left),
            min(self.hull.top, box.top),
            max(self.hull.right, box.right),
            max(self.hull.bottom, box.bottom),
        )
        self.area += box.area
        self.score += score
        if self.count % self.stride == 0:
            self.points.append((span.start.seconds, x, y))
            if len(self.points) > _PATH_POINTS:
                self.points, self.stride = self.points[::2], self.stride * 2
        self.count += 1

    @property
    def span(self) -> Span:
        """From its first box to its last."""
        return Span(self.start, self.end)

    def data(self) -> dict[str, Any]:
        """The fields that every ``track`` observation has."""
        return {
            "detections": self.count,
            "first_box": [round(v, 4) for v in self.first],
            "last_box": [round(v, 4) for v in self.last],
            "mean_area": round(self.area / self.count, 5),
            "distance": round(self.length, 4),
            "path": [[round(t, 3), round(x, 4), round(y, 4)] for t, x, y in self.points],
        }


@dataclass(slots=True)
class Moment:
    """The detections of one frame, whose tracks are now decided: ``names`` holds None for one without a track."""

    span: Span
    rows: NDArray[np.float32]
    names: list[str | None]


@dataclass(slots=True)
class Ended:
    """A track that has ended."""

    name: str
    votes: dict[int, float]
    path: Path


@dataclass(slots=True)
class _Pending:
    span: Span
    rows: NDArray[np.float32]
    tracks: list[Track | None]


class Follower:
    """Gives detections to a tracker and gives them out again once their tracks are certain or dead.

    Args:
        tracker: joins them.
        ratio: width of the picture over its height.
    """

    def __init__(self, tracker: Tracker, ratio: float) -> None:
        self._tracker, self._ratio = tracker, ratio
        self._pending: deque[_Pending] = deque()
        self._paths: dict[int, tuple[Track, Path]] = {}

    def take(
        self, span: Span, rows: NDArray[np.float32], kinds: NDArray[np.intp], *, cut: bool = False
    ) -> Iterable[Moment | Ended]:
        """Take the detections of a frame, later than the last.

        Args:
            span: of the frame.
            rows: (n, 5 or more): left, top, right, bottom (0..1), score, ...
            kinds: (n,) class numbers.
            cut: whether there was a cut before the frame: no track goes on over it.
        """
        if cut:
            self._tracker.finish()
        boxes = rows[:, :4].astype(np.float64)
        # the tracker compares sizes in both directions, so both are in picture widths
        boxes[:, [1, 3]] /= self._ratio
        tracks = self._tracker.update(span.start.seconds, boxes, rows[:, 4].astype(np.float64), kinds)
        self._pending.append(_Pending(span, rows, tracks))
        made: list[Moment | Ended] = []
        while self._pending and all(t is None or t.name is not None or t.dead for t in self._pending[0].tracks):
            made.append(self._moment(self._pending.popleft()))
        waiting = {id(t) for p in self._pending for t in p.tracks if t is not None}
        for key, (track, path) in list(self._paths.items()):
            if track.dead and key not in waiting:
                del self._paths[key]
                made.append(self._ended(track, path))
        return made

    @property
    def undecided(self) -> Timestamp | None:
        """The first moment whose detections it holds back, if there is one."""
        return self._pending[0].span.start if self._pending else None

    @property
    def under_way(self) -> Timestamp | None:
        """Where the earliest track begins that has not been given out, if there is one."""
        begins = [path.start for _, path in self._paths.values()]
        return min([*begins, *([self._pending[0].span.start] if self._pending else [])], default=None)

    def finish(self) -> Iterable[Moment | Ended]:
        """The source has ended."""
        self._tracker.finish()
        made: list[Moment | Ended] = [self._moment(p) for p in self._pending]
        made += [self._ended(track, path) for track, path in self._paths.values()]
        self._pending.clear()
        self._paths.clear()
        return made

    def _moment(self, pending: _Pending) -> Moment:
        names: list[str | None] = []
        for row, track in zip(pending.rows, pending.tracks, strict=True):
            if track is None or track.name is None:
                names.append(None)
                continue
            names.append(track.name)
            box = Box(*(float(v) for v in row[:4]))
            span = pending.span
            if id(track) not in self._paths:
                self._paths[id(track)] = (track, Path(span.start, span.end, box, box, box, []))
            self._paths[id(track)][1].add(span, box, float(row[4]))
        return Moment(pending.span, pending.rows, names)

    def _ended(self, track: Track, path: Path) -> Ended:
        return Ended(track.name or "", track.votes, path)
