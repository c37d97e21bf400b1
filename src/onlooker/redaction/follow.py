"""Decides over time what is hidden in which frame, so that no frame leaks what others show.

All detections of the whole stretch are known, so each one is followed both ways: a weak detection counts where it goes
on a stronger one, before it or after it. Where something was missed between two sightings it is filled in from both
sides; before the first sighting and after the last it stays hidden a while longer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import lap
import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers._tracking import grown_iou
from onlooker.redaction.cover import grown
from onlooker.redaction.look import THRESHOLDS, Thing

__all__ = ["Follow", "Path", "boxes_by_frame", "follow"]

Rows: TypeAlias = NDArray[np.float32]
_TINY = 1e-6


@dataclass(frozen=True, slots=True)
class Follow:
    """How things are followed.

    Args:
        match: least overlap, of boxes grown by ``reach`` of their size, by which a sighting goes on a path.
        reach: see ``match``.
        gap_seconds: a path goes on after at most so long without a sighting.
        hold_seconds: how long before the first and after the last sighting the place stays hidden.
        steady_seconds: a box covers all that the path covers within so long before and after.
        margin: share of its size by which a box is grown on every side.
        sightings: a path that is seen at least so often is hidden even where no sighting is sure.
    """

    match: float = 0.15
    reach: float = 0.3
    gap_seconds: float = 1.0
    hold_seconds: float = 0.5
    steady_seconds: float = 0.1
    margin: float = 0.2
    sightings: int = 8


@dataclass(slots=True)
class Path:
    """One thing over time: where it was seen.

    Attributes:
        thing: what it is.
        frames: numbers of the frames in which it was seen, growing.
        boxes: left, top, right, bottom of each.
        scores: of each.
        rows: its number among the sightings of its frame.
        shown: numbers of frames in which it is not hidden after all (somebody whom the user wants to see).
    """

    thing: Thing
    frames: list[int] = field(default_factory=list[int])
    boxes: list[Rows] = field(default_factory=list[Rows])
    scores: list[float] = field(default_factory=list[float])
    rows: list[int] = field(default_factory=list[int])
    shown: set[int] = field(default_factory=set[int])


def follow(thing: Thing, times: Sequence[float], seen: Sequence[Rows], options: Follow) -> list[Path]:
    """Paths of one thing.

    Args:
        thing: what was looked for.
        times: seconds of each frame.
        seen: (n, 5) of each frame, see `onlooker.redaction.look.Look.at`.
        options: how.
    """
    ended: list[Path] = []
    open_: list[Path] = []
    for number, (time, rows) in enumerate(zip(times, seen, strict=True)):
        still = [p for p in open_ if time - times[p.frames[-1]] <= options.gap_seconds]
        ended += [p for p in open_ if not any(p is q for q in still)]
        taken = _joined(still, rows, times, time, options)
        open_ = still
        for index, row in enumerate(rows):
            path = taken.get(index)
            if path is None:
                path = Path(thing)
                open_.append(path)
            path.frames.append(number)
            path.boxes.append(row[:4])
            path.scores.append(float(row[4]))
            path.rows.append(index)
    sure = THRESHOLDS[thing].sure
    return [p for p in (*ended, *open_) if max(p.scores) >= sure or len(p.frames) >= options.sightings]


def _joined(paths: Sequence[Path], rows: Rows, times: Sequence[float], now: float, options: Follow) -> dict[int, Path]:
    """Which path each row goes on, so that the summed overlap is greatest."""
    if not paths or not len(rows):
        return {}
    ahead = np.stack([_expected(p, times, now) for p in paths])
    now_at = rows[:, :4].astype(np.float64)
    overlap = np.maximum(
        grown_iou(ahead, now_at, options.reach),
        grown_iou(np.stack([p.boxes[-1] for p in paths]).astype(np.float64), now_at, options.reach),
    )
    cost = 1 - overlap
    cost[overlap < options.match] = 2.0
    _, columns, _ = lap.lapjv(cost, extend_cost=True, cost_limit=1.5)
    return {int(c): p for p, c in zip(paths, columns, strict=True) if c >= 0}


def _expected(path: Path, times: Sequence[float], now: float) -> NDArray[np.float64]:
    """Where a path would be now if it went on as over its last fifth of a second."""
    last = path.boxes[-1].astype(np.float64)
    end = times[path.frames[-1]]
    for frame, box in zip(reversed(path.frames), reversed(path.boxes), strict=True):
        if end - times[frame] >= 0.2:
            return last + (last - box) / (end - times[frame]) * min(now - end, 0.5)
    return last


def boxes_by_frame(
    paths: Iterable[Path], times: Sequence[float], options: Follow, cuts: Collection[int] = ()
) -> list[list[Rows]]:
    """What is hidden in each frame: boxes (4,), filled in, held and grown.

    ``cuts``: numbers of frames that begin a new shot; nothing is held over them.
    """
    hidden: list[list[Rows]] = [[] for _ in times]
    for path in paths:
        for frame, box in _filled(path, times, options, cuts):
            if frame not in path.shown:
                hidden[frame].append(box)
    return hidden


def _filled(path: Path, times: Sequence[float], options: Follow, cuts: Collection[int]) -> list[tuple[int, Rows]]:
    """A grown box for every frame from a while before the first sighting to a while after the last."""
    first, last = path.frames[0], path.frames[-1]
    begin, end = first, last
    while begin > 0 and begin not in cuts and times[first] - times[begin - 1] <= options.hold_seconds + _TINY:
        begin -= 1
    while end + 1 < len(times) and end + 1 not in cuts and times[end + 1] - times[last] <= options.hold_seconds + _TINY:
        end += 1
    at = np.array([times[f] for f in path.frames])
    seen = np.stack(path.boxes)
    moments = np.array(times[begin : end + 1])
    whole = np.stack([np.interp(moments, at, seen[:, side]) for side in range(4)], 1).astype(np.float32)
    # what moves goes on moving while it is held: the box covers both where it was and where it would be
    for held, edge in ((moments < at[0], 0), (moments > at[-1], -1)):
        whole[held] = _carried(whole[held], moments[held] - at[edge], at, seen, edge)
    steady = _widened(whole, moments, options.steady_seconds)
    return list(zip(range(begin, end + 1), grown(steady, options.margin), strict=True))


def _carried(boxes: Rows, away: NDArray[np.float64], at: NDArray[np.float64], seen: Rows, edge: int) -> Rows:
    near = np.flatnonzero(np.abs(at - at[edge]) <= 0.2)
    if not len(boxes) or len(near) < 2:
        return boxes
    start, stop = near[0], near[-1]
    speed = (seen[stop] - seen[start]) / max(at[stop] - at[start], 1e-6)
    moved = boxes + speed[None] * away[:, None].astype(np.float32)
    return np.concatenate([np.minimum(boxes[:, :2], moved[:, :2]), np.maximum(boxes[:, 2:], moved[:, 2:])], 1)


def _widened(boxes: Rows, moments: NDArray[np.float64], seconds: float) -> Rows:
    """Each box together with those shortly before and after it."""
    out = boxes.copy()
    first = np.searchsorted(moments, moments - seconds - _TINY)
    after = np.searchsorted(moments, moments + seconds + _TINY)
    for number in range(len(boxes)):
        near = boxes[first[number] : after[number]]
        out[number] = np.concatenate([near[:, :2].min(0), near[:, 2:].max(0)])
    return out
