"""Tracking by detection over irregular times.

Association in two steps, certain detections first and weak ones only to prolong tracks, as in ByteTrack (Zhang et al.
2022, arXiv 2110.06864); boxes are grown before they are compared, so that fast or small objects still meet at a few
frames a second (buffered IoU: Yang et al. 2023, arXiv 2211.14317); motion is a constant-velocity Kalman filter of each
side of the box in real time, not in frames; after a gap the velocity is taken from the observations on both sides of it
(observation-centric re-update: Cao et al. 2023, arXiv 2203.14360).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import lap
import numpy as np
from numpy.typing import NDArray

__all__ = ["Track", "Tracker", "grown_iou"]

Floats = NDArray[np.float64]
# spread of a detected side and of its change in a second, in heights of the object
_MEASURE, _DRIFT = 0.1, 0.2


def grown_iou(first: Floats, second: Floats, margin: float) -> Floats:
    """(n, m) IoU of boxes (n, 4) and (m, 4), each grown by ``margin`` of its size on every side.

    >>> grown_iou(np.array([[0.0, 0, 1, 1]]), np.array([[1.0, 0, 2, 1]]), 0.0).tolist()
    [[0.0]]
    """

    def grow(boxes: Floats) -> Floats:
        size = boxes[:, 2:] - boxes[:, :2]
        return np.concatenate([boxes[:, :2] - margin * size, boxes[:, 2:] + margin * size], axis=1)

    a, b = grow(first)[:, None], grow(second)[None]
    shared = np.prod(np.maximum(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0), axis=-1)
    areas = [np.prod(np.maximum(x[..., 2:] - x[..., :2], 0), axis=-1) for x in (a, b)]
    return shared / np.maximum(areas[0] + areas[1] - shared, 1e-12)


@dataclass(slots=True, eq=False)
class Track:
    """One object over time.

    Attributes:
        name: given when it is certain, else None.
        box: (4,) where the filter places it.
        speed: (4,) change of each side in a second.
        times, boxes, scores: of the detections it was made of.
        votes: summed scores by class number.
        dead: whether it has ended.
    """

    box: Floats
    speed: Floats
    spread: Floats
    time: float
    name: str | None = None
    votes: dict[int, float] = field(default_factory=dict[int, float])
    last_time: float = 0.0
    last_box: Floats = field(default_factory=lambda: np.zeros(4))
    hits: int = 0
    missed: int = 0
    dead: bool = False
    data: Any = None

    def predict(self, time: float) -> None:
        """Move to a later moment."""
        step = max(0.0, time - self.time)
        self.time = time
        self.box = self.box + self.speed * step
        scale = max(self.box[3] - self.box[1], 1e-3)
        position, both, speed = self.spread
        noise = (_DRIFT * scale) ** 2
        self.spread = np.array(
            [
                position + 2 * step * both + step**2 * speed + noise * step**3 / 3,
                both + step * speed + noise * step**2 / 2,
                speed + noise * step,
            ]
        )

    def update(self, time: float, box: Floats, score: float, kind: int) -> None:
        """Take a detection at the moment to which it was moved."""
        scale = max(box[3] - box[1], 1e-3)
        position, both, speed = self.spread
        total = position + (_MEASURE * scale) ** 2
        gain, follow = position / total, both / total
        surprise = box - self.box
        self.box = self.box + gain * surprise
        self.speed = self.speed + follow * surprise
        self.spread = np.array([position * (1 - gain), both * (1 - gain), speed - follow * both])
        gap = time - self.last_time
        if self.missed and gap > 0:
            # between the two observations it went straight: what the filter dreamt meanwhile is forgotten
            self.speed = (box - self.last_box) / gap
            self.box = box.copy()
        self.last_time, self.last_box = time, box
        self.votes[kind] = self.votes.get(kind, 0.0) + score
        self.hits += 1
        self.missed = 0


class Tracker:
    """Joins detections to tracks, moment by moment.

    Args:
        score: least score that starts a track.
        confirm: detections that make a track certain.
        lost_seconds: a track that was not seen for longer has ended.
        match: least `grown_iou` by which a detection goes on a track.
        margin: see `grown_iou`.
        groups: class number to group number; a track takes detections of its own group alone.
        prefix: of the tracks' names, before their number.
    """

    def __init__(
        self,
        *,
        score: float = 0.45,
        confirm: int = 3,
        lost_seconds: float = 2.5,
        match: float = 0.15,
        margin: float = 0.2,
        groups: Sequence[int] = (),
        prefix: str = "t",
    ) -> None:
        self._score, self._confirm, self._lost = score, confirm, lost_seconds
        self._match, self._margin, self._groups, self._prefix = match, margin, groups, prefix
        self.tracks: list[Track] = []
        self._count = 0

    def update(self, time: float, boxes: Floats, scores: Floats, kinds: NDArray[np.intp]) -> list[Track | None]:
        """Take the detections of one moment.

        Args:
            time: seconds, later than the last call's.
            boxes: (n, 4), in any unit that is the same in both directions.
            scores: (n,).
            kinds: (n,) class numbers.

        Returns:
            The track of each detection, or None; a track whose ``name`` is None may still become certain or die.
        """
        for track in self.tracks:
            track.predict(time)
        found: list[Track | None] = [None] * len(boxes)
        strong = [i for i in range(len(boxes)) if scores[i] >= self._score]
        weak = [i for i in range(len(boxes)) if scores[i] < self._score]
        certain = [t for t in self.tracks if t.name is not None]
        left = self._join(time, certain, strong, (boxes, scores, kinds), found, self._match)
        seen = [t for t in left if t.missed == 0]
        self._join(time, seen, weak, (boxes, scores, kinds), found, max(self._match, 0.4))
        fresh = [t for t in self.tracks if t.name is None]
        open_ = [i for i in strong if found[i] is None]
        self._join(time, fresh, open_, (boxes, scores, kinds), found, self._match)
        for index in strong:
            if found[index] is None:
                found[index] = self._start(time, boxes[index], float(scores[index]), int(kinds[index]))
        self._age(time, {id(t) for t in found if t is not None})
        return found

    def finish(self) -> list[Track]:
        """End all tracks; returns those that were certain."""
        ended = [t for t in self.tracks if t.name is not None]
        for track in self.tracks:
            track.dead = True
        self.tracks = []
        return ended

    def _start(self, time: float, box: Floats, score: float, kind: int) -> Track:
        scale = max(box[3] - box[1], 1e-3)
        spread = np.array([(2 * _MEASURE * scale) ** 2, 0.0, (_DRIFT * scale) ** 2])
        track = Track(box.copy(), np.zeros(4), spread, time)
        track.update(time, box, score, kind)
        self._name(track)
        self.tracks.append(track)
        return track

    def _name(self, track: Track) -> None:
        if track.name is None and track.hits >= self._confirm:
            self._count += 1
            track.name = f"{self._prefix}{self._count}"

    def _join(
        self,
        time: float,
        tracks: list[Track],
        indices: list[int],
        detections: tuple[Floats, Floats, NDArray[np.intp]],
        found: list[Track | None],
        least: float,
    ) -> list[Track]:
        """Give detections to tracks so that the summed overlap is greatest; returns the tracks left without."""
        if not tracks or not indices:
            return tracks
        boxes, scores, kinds = detections
        overlap = grown_iou(np.array([t.box for t in tracks]), boxes[indices], self._margin)
        cost = 1 - overlap * (0.5 + 0.5 * scores[indices])[None]
        cost[overlap < least] = 2.0
        if len(self._groups):
            mine = np.array([self._groups[max(t.votes, key=t.votes.__getitem__)] for t in tracks])
            cost[mine[:, None] != np.array([self._groups[kinds[i]] for i in indices])[None]] = 2.0
        _, rows, _ = lap.lapjv(cost, extend_cost=True, cost_limit=1.5)
        left: list[Track] = []
        for track, column in zip(tracks, rows, strict=True):
            if column < 0 or cost[tracks.index(track), column] >= 2.0:
                left.append(track)
                continue
            index = indices[int(column)]
            track.update(time, boxes[index], float(scores[index]), int(kinds[index]))
            self._name(track)
            found[index] = track
        return left

    def _age(self, time: float, taken: set[int]) -> None:
        alive: list[Track] = []
        for track in self.tracks:
            if id(track) not in taken:
                track.missed += 1
            waits = self._lost if track.name is not None else min(self._lost, 0.0)
            if track.missed and (track.name is None or time - track.last_time > waits):
                track.dead = True
            else:
                alive.append(track)
        self.tracks = alive
