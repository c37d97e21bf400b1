"""Boundaries of shots from a stream of grids: bounded memory, and a result that does not depend on the portions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers.shots import cuts, gradual
from onlooker.analyzers.shots.similarity import Similarity

__all__ = ["Boundary", "BoundaryDetector", "Transition"]

Transition = Literal["cut", "fade", "dissolve"]
_BLOCK, _BACK, _AHEAD = 32, 40, 64


@dataclass(frozen=True, slots=True)
class Boundary:
    """Where a shot begins.

    Args:
        frame: number of the first frame of the new shot (of a gradual one: the middle).
        transition: how it begins.
        first: first frame of the transition (``frame`` for a cut).
        last: last frame of the transition (``frame`` for a cut).
        score: how sure, 0..1.
    """

    frame: int
    transition: Transition
    first: int
    last: int
    score: float


@dataclass(slots=True)
class _FlatRun:
    """Flat frames under way, in frame numbers: ``start`` the first flat one, ``out`` the last full one before."""

    start: int
    out: int
    soft: bool
    depth: float


class BoundaryDetector:
    """Finds cuts, dissolves and fades.

    Args:
        frame_rate: frames a second, or None where unknown (taken as 25).
        min_shot: shortest shot, in seconds.
        cut_threshold: least probability of a cut.
        dissolve_threshold: least score of a dissolve.
        sparse: whether every other frame or so is left out.
    """

    def __init__(
        self,
        frame_rate: float | None,
        *,
        min_shot: float = 0.25,
        cut_threshold: float = 0.5,
        dissolve_threshold: float = 0.5,
        sparse: bool = False,
    ) -> None:
        self._sparse = sparse
        rate = frame_rate or 25.0
        self._pace = min(4, max(1, round(rate / 30)))
        self._min_frames = max(1, round(min_shot * rate))
        self._flat_frames = round(0.5 * rate)
        self._join_frames = self._min_frames + gradual.LENGTHS[-1] * self._pace
        self._cut_threshold, self._dissolve_threshold = cut_threshold, dissolve_threshold
        self._block, self._back, self._ahead = (n * self._pace for n in (_BLOCK, _BACK, _AHEAD))
        self._similarity = Similarity(self._back + self._block + self._ahead)
        self._waiting: list[NDArray[np.uint8]] = []
        self._count = 0
        self._primed = False
        self._next = 0
        """First frame whose boundary is not decided yet."""
        self._taken = 0
        """Frames in the matrix."""
        self._flat: _FlatRun | None = None
        self._held: Boundary | None = None
        self._dark_so_far = True
        """Whether nothing but flat frames was shown yet."""

    def push(self, grids: Iterable[NDArray[np.uint8]]) -> list[Boundary]:
        """Take the next frames' grids; returns the boundaries that are decided now, in order."""
        for grid in grids:
            self._waiting.append(grid)
            self._count += 1
        return self._work()

    def finish(self) -> list[Boundary]:
        """The stream has ended; returns the boundaries that were still held back."""
        if not self._count:
            return []
        total = self._count
        last = self._waiting[-1] if self._waiting else self._similarity.grids[-1].copy()
        made: list[Boundary] = []
        while self._next < total:
            missing = self._block if self._primed else self._block + self._ahead
            self._waiting += [last] * max(0, missing - len(self._waiting))
            made += self._work(total)
        return made

    def _work(self, total: int | None = None) -> list[Boundary]:
        made: list[Boundary] = []
        while len(self._waiting) >= (self._block if self._primed else self._block + self._ahead):
            count = self._block if self._primed else self._block + self._ahead
            portion, self._waiting = np.stack(self._waiting[:count]), self._waiting[count:]
            if not self._primed:
                self._similarity.push(np.repeat(portion[:1], self._back, axis=0))
                self._primed = True
            for start in range(0, count, self._block):
                self._similarity.push(portion[start : start + self._block])
            self._taken += count
            made += self._decide(total)
            if total is not None and self._next >= total:
                self._waiting = []
        return made

    def _decide(self, total: int | None) -> list[Boundary]:
        """Decide the frames [next, next + block)."""
        sim, pace = self._similarity, self._pace
        base = self._taken - sim.size
        squared, correlation = sim.squared(), sim.correlation()
        deviation = sim.deviation()
        step = np.zeros(sim.size)
        index = np.arange(1, sim.size)
        step[1:] = np.sqrt(squared[index - 1, index])
        first, last = self._back, self._back + self._block
        edges = gradual.flat_edges(deviation, correlation, pace)
        fading = self._fading(deviation, edges)
        cut_at = self._cuts(squared, correlation, step)
        made = self._fades(edges, base, first, last)
        blocked = fading.copy()
        blocked[[at for at, _ in cut_at]] = True
        stands = gradual.without_flashes(squared, step, pace)
        steady = squared[np.ix_(stands, stands)]
        steady_step = np.zeros(sim.size)
        steady_step[1:] = np.sqrt(steady[index - 1, index])
        for found in gradual.dissolve_candidates(
            sim,
            steady,
            correlation[np.ix_(stands, stands)],
            steady_step,
            blocked,
            first,
            last,
            pace,
            self._dissolve_threshold,
            sparse=self._sparse,
        ):
            begin, end = base + found.first, base + found.last
            made.append(Boundary(base + found.middle, "dissolve", begin, end, found.score))
        swallowed = self._swallowed(edges)
        self._dark_so_far = self._dark_so_far and bool((deviation[:last] < gradual.FLAT).all())
        for at, score in cut_at:
            if first <= at < last and at not in swallowed:
                made.append(Boundary(base + at, "cut", base + at, base + at, score))
        self._next += self._block
        return self._spaced(made, total)

    def _cuts(self, squared: NDArray, correlation: NDArray, step: NDArray) -> list[tuple[int, float]]:
        """(position, probability) of the cuts anywhere in the matrix."""
        margin = cuts.MARGIN * self._pace
        at = cuts.cut_candidates(step, margin, self._similarity.size - margin, self._pace)
        if not len(at):
            return []
        score = cuts.cut_scores(cuts.cut_features(self._similarity, squared, correlation, step, at, self._pace))
        return [(int(a), float(s)) for a, s in zip(at, score, strict=True) if s >= self._cut_threshold]

    @staticmethod
    def _fading(deviation: NDArray, edges: list[gradual.FlatEdge]) -> NDArray[np.bool_]:
        """Which frames are flat or on the way to or from flat."""
        fading = deviation < gradual.FLAT
        for edge in edges:
            low, high = sorted((edge.at, edge.far if edge.soft else edge.at))
            fading[low : high + 1] = True
        return fading

    def _swallowed(self, edges: list[gradual.FlatEdge]) -> set[int]:
        """Positions at which a cut belongs to a fade, or is the first half of a cut by way of a few flat frames."""
        inside: set[int] = set()
        if self._dark_so_far and edges and not edges[0].begins:
            # a video that starts black (or flat) has not shown a first shot yet
            inside.add(edges[0].at)
        for edge, following in zip(edges, [*edges[1:], None] if edges else [], strict=True):
            if edge.soft:
                inside.update(range(edge.far + 1, edge.at + 1) if edge.begins else range(edge.at, edge.far + 1))
            if edge.begins and following is not None:
                short = following.at - edge.at < self._flat_frames
                if following.soft or short:
                    inside.add(edge.at)
                if edge.soft:
                    inside.add(following.at)
        return inside

    def _fades(self, edges: list[gradual.FlatEdge], base: int, first: int, last: int) -> list[Boundary]:
        """Fades whose flat frames end in the block; remembers those that have not ended."""
        made: list[Boundary] = []
        for edge in edges:
            if not first <= edge.at < last:
                continue
            at, far = base + edge.at, base + edge.far
            if edge.begins:
                self._flat = _FlatRun(at, far, edge.soft, edge.depth)
                continue
            run, self._flat = self._flat, None
            if run is None or run.start <= 0 or not (run.soft or edge.soft) or max(run.depth, edge.depth) < 8:
                continue
            long = at - run.start >= self._ahead - gradual.FADE * self._pace
            begin = run.out + 1 if run.soft else (at if long else run.start)
            end = far - 1 if edge.soft else at
            middle = (max(begin, run.start) + at) // 2 if edge.soft else at
            score = min(1.0, 0.5 + max(run.depth, edge.depth) / 60)
            made.append(Boundary(middle, "fade", begin, max(end, middle), score))
        return made

    def _halves(self, a: Boundary, b: Boundary) -> bool:
        """Whether two boundaries are the halves of one fade, through a colour that is not flat all the way."""
        kinds = {a.transition, b.transition}
        return "fade" in kinds and "cut" not in kinds and b.first - a.last <= self._min_frames

    def _spaced(self, made: list[Boundary], total: int | None) -> list[Boundary]:
        """Keep shots from being too short: of two boundaries too near to each other the surer one stays."""
        ready: list[Boundary] = []
        for boundary in sorted(made, key=lambda b: b.frame):
            if boundary.frame < self._min_frames or (total is not None and boundary.frame > total - self._min_frames):
                continue
            held = self._held
            if held is not None and self._halves(held, boundary):
                self._held = _joined(held, boundary)
                continue
            if held is not None and boundary.frame - held.frame < self._min_frames:
                if boundary.score > held.score:
                    self._held = boundary
                continue
            if held is not None:
                ready.append(held)
            self._held = boundary
        done = total is not None and self._next >= total
        if self._held is not None and (done or self._next - self._held.last >= self._join_frames):
            ready.append(self._held)
            self._held = None
        return ready


def _joined(a: Boundary, b: Boundary) -> Boundary:
    """The fade that two halves make."""
    fade = a if a.transition == "fade" else b
    return Boundary(fade.frame, "fade", min(a.first, b.first), max(a.last, b.last), max(a.score, b.score))
