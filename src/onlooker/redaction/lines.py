"""Looks for lines of text in few frames, and follows them by their strokes through those between.

Looking costs a hundred times as much as following. So every eighth frame or so is looked at, and both sides of a cut;
each line is followed from there forwards and backwards by correlation. Where that fails, where strokes flash up that
are in neither frame looked at, the frame is looked at too.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers.text.strokes import stroke_density
from onlooker.core.media import Frame
from onlooker.redaction.again import Grey, alike, find_again

__all__ = ["Find", "LineWatch"]

Rows: TypeAlias = NDArray[np.float32]
Find: TypeAlias = Callable[[Frame, Rows], Rows]
"""(n, 5) lines in a frame: box in fractions of the picture, score. The second argument is what `add` was given."""
_SIDE = 640
"""Longer side of the grey picture in which lines are followed."""
_SECONDS = 0.7
"""A frame is looked at after at most so long."""
_MOST_BYTES = 150_000_000
_STILL_SECONDS = 2.0
"""A picture without a visible change is looked at again after so long."""
_CHANGED = 12
_CARRIED_SECONDS = 1.0
"""How long a line is followed on its strokes alone where looking misses it."""
_REACH = 0.04
"""Share of the longer side by which a line may depart between two frames from where it is expected."""
_STAYS, _LOST = 0.92, 0.5
"""Correlations: from which a line is where it is expected without a search, and below which it is lost."""
_SAME, _COVERED = 0.3, 0.5
_DENSE, _DENSER, _LETTER = 0.3, 0.2, 5
"""Density of a cell of strokes that flash up, by how much it exceeds what was around, and how many lie side by side."""
_LOOKS = 3
"""At most so many more frames are looked at between two."""


@dataclass(slots=True)
class _Held:
    """A frame that waits until what comes after it is known."""

    frame: Frame | None
    number: int
    time: float
    grey: Grey
    density: Rows | None
    near: Rows
    cut: bool


@dataclass(slots=True)
class _Line:
    """A line: what it and the room around it looked like when it was found, and where that is now in the small grey
    picture. ``inset`` leads from the sides of the part to those of the line.
    """

    left: float
    top: float
    part: Grey
    inset: NDArray[np.float64]
    found: float
    across: float = 0.0
    down: float = 0.0

    @property
    def box(self) -> NDArray[np.float64]:
        high, wide = self.part.shape
        return np.array([self.left, self.top, self.left + wide, self.top + high]) + self.inset


class LineWatch:
    """Gives for each frame where lines are.

    Args:
        find: looks at a frame.
        every: a frame is looked at after at most so many.
        flashes: whether frames are looked at too in which strokes flash up.
        room: share of its lesser side by which what is followed is larger than the line: more than the line itself
            stays alike where it stands on something.

    Attributes:
        rows: (n, 5) of each frame that is decided, see ``Find``.
        looked: how many frames were looked at.
    """

    def __init__(self, find: Find, *, every: int = 8, flashes: bool = True, room: float = 0.0) -> None:
        self._find, self._every, self._flashes, self._room = find, every, flashes, room
        self._held: list[_Held] = []
        self._lines: dict[int, list[_Line]] = {}
        self._looked_at = -1e9
        self._spare = 0
        self.rows: list[Rows] = []
        self.looked = 0

    def add(self, frame: Frame, near: Rows, *, cut: bool = False) -> None:
        """Take the next frame.

        Args:
            frame: the frame.
            near: what ``find`` is given with it.
            cut: it looks nothing like the one before.
        """
        scale = min(1.0, _SIDE / max(frame.width, frame.height))
        size = max(8, round(frame.width * scale)), max(8, round(frame.height * scale))
        grey = frame.image(*size, "gray").astype(np.float32)
        density = stroke_density(frame) if self._flashes else None
        if self._held and self._held[0].grey.shape != grey.shape:
            self.finish()
        held = _Held(frame, len(self.rows) + len(self._held), frame.time.seconds, grey, density, near, cut)
        self._held.append(held)
        if len(self._held) == 1:
            self._look(held)
            return
        first = self._held[0]
        bytes_held = 3 * frame.width * frame.height * len(self._held) // 2
        full = len(self._held) > self._every or held.time - first.time >= _SECONDS
        if full or bytes_held > _MOST_BYTES:
            self._close()

    def finish(self) -> list[Rows]:
        """The rows of all frames."""
        if len(self._held) > 1:
            self._close()
        for held in self._held:
            self._emit(held, (line.box for line in self._lines[held.number]))
        self._held, self._lines = [], {}
        return self.rows

    def _close(self) -> None:
        """Decide on all frames held but the last, which begins what follows."""
        held = self._held
        self._spare = _LOOKS
        if self._is_still(held):
            for one in held[1:]:
                self._lines[one.number] = [replace(line) for line in self._lines[held[0].number]]
        else:
            self._look(held[-1])
            for place in range(1, len(held)):
                if held[place].cut:
                    self._look(held[place - 1])
                    self._look(held[place])
        marks = [n for n, one in enumerate(held) if one.number in self._lines]
        found: dict[int, list[NDArray[np.float64]]] = {}
        for first, last in itertools.pairwise(marks):
            self._between(held[first : last + 1], found)
        for one in held[:-1]:
            lines = self._lines.pop(one.number, None)
            self._emit(one, found.get(one.number, []) if lines is None else (line.box for line in lines))
        last = held[-1]
        last.frame = None
        self._held = [last]

    def _is_still(self, held: Sequence[_Held]) -> bool:
        """Whether nothing that can be seen changed since a frame was looked at, not long ago."""
        first = held[0].grey
        if held[-1].time - self._looked_at > _STILL_SECONDS:
            return False
        for one in held[1:]:
            # single pixels are noise
            change = np.abs(one.grey - first) >= _CHANGED
            if (change[:, 1:] & change[:, :-1]).any():
                return False
        return True

    def _look(self, held: _Held) -> None:
        if held.number in self._lines:
            return
        assert held.frame is not None
        self.looked += 1
        self._looked_at = max(self._looked_at, held.time)
        high, wide = held.grey.shape
        boxes = self._find(held.frame, held.near)[:, :4] * np.array([wide, high, wide, high], np.float32)
        self._lines[held.number] = [_cut_out(box.astype(np.float64), held, self._room) for box in boxes]

    def _between(self, held: Sequence[_Held], found: dict[int, list[NDArray[np.float64]]]) -> None:
        """Follow the lines of the first and of the last frame, which were looked at, through those between."""
        place = self._flash(held)
        ahead: list[list[_Line]] = []
        if place is None:
            ahead = [_followed(line, held[1:]) for line in self._lines[held[0].number]]
            back = [_followed(line, held[-2:0:-1]) for line in self._lines[held[-1].number]]
            place = _lost(ahead, back, len(held) - 2)
            if place is None or not self._spare or len(held) <= 3:
                self._join(held, ahead, back, found)
                return
        self._spare -= 1
        self._look(held[place])
        self._between(held[: place + 1], found)
        self._between(held[place:], found)

    def _join(
        self,
        held: Sequence[_Held],
        ahead: Sequence[Sequence[_Line]],
        back: Sequence[Sequence[_Line]],
        found: dict[int, list[NDArray[np.float64]]],
    ) -> None:
        count = len(held) - 2
        for number in range(count):
            forward = [steps[number].box for steps in ahead if number < len(steps)]
            backward = [steps[count - 1 - number].box for steps in back if count - 1 - number < len(steps)]
            found[held[number + 1].number] = _joined(forward, backward)
        if held[-1].cut:
            return
        last = self._lines[held[-1].number]
        seen = [line.box for line in last]
        for steps in ahead:
            carried = len(steps) == count + 1 and held[-1].time - steps[-1].found <= _CARRIED_SECONDS
            if carried and _covered(steps[-1].box, seen) < _COVERED:
                last.append(steps[-1])

    def _flash(self, held: Sequence[_Held]) -> int | None:
        """Which frame between has most strokes where neither the first nor the last have any."""
        first, last = held[0].density, held[-1].density
        if first is None or last is None or not self._spare or len(held) <= 2 or first.shape != last.shape:
            return None
        around = np.maximum(_spread(first), _spread(last))
        known = [line.box for one in (held[0], held[-1]) for line in self._lines[one.number]]
        most, best = 0, None
        for place in range(1, len(held) - 1):
            now = held[place].density
            if now is None or now.shape != around.shape:
                continue
            new = (now >= _DENSE) & (now - around >= _DENSER)
            count = _side_by_side(_without(new, known, held[0].grey.shape))
            if count > most:
                most, best = count, place
        return best

    def _emit(self, held: _Held, boxes: Iterable[NDArray[np.float64]]) -> None:
        high, wide = held.grey.shape
        every = list(boxes)
        rows = np.ones((len(every), 5), np.float32)
        if every:
            rows[:, :4] = np.clip(np.stack(every) / np.array([wide, high, wide, high]), 0, 1)
        self.rows.append(rows)


def _cut_out(box: NDArray[np.float64], held: _Held, room: float) -> _Line:
    high, wide = held.grey.shape
    more = room * min(box[3] - box[1], box[2] - box[0])
    left, top = (int(min(max(0, side - more), length - 3)) for side, length in zip(box[:2], (wide, high), strict=True))
    right, bottom = max(left + 3, int(np.ceil(box[2] + more))), max(top + 3, int(np.ceil(box[3] + more)))
    part = held.grey[top:bottom, left:right]
    sides = np.array([left, top, left + part.shape[1], top + part.shape[0]])
    return _Line(left, top, part, box - sides, held.time)


def _followed(line: _Line, through: Sequence[_Held]) -> list[_Line]:
    """The line in one frame after another, until it is lost."""
    made: list[_Line] = []
    now = line
    for step, held in enumerate(through):
        reach = round(_REACH * max(held.grey.shape)) * (1 if step or now.across or now.down else 2)
        moved = _step(now, held.grey, reach)
        if moved is None:
            break
        made.append(moved)
        now = moved
    return made


def _step(line: _Line, grey: Grey, reach: int) -> _Line | None:
    high, wide = line.part.shape
    for x, y in ((line.left + line.across, line.top + line.down), (line.left, line.top)):
        left, top = round(x), round(y)
        there = grey[max(0, top) : top + high, max(0, left) : left + wide]
        if there.shape == line.part.shape and alike(line.part, there) >= _STAYS:
            return replace(line, left=left, top=top, across=left - line.left, down=top - line.top)
    expected = round(line.left + line.across), round(line.top + line.down)
    left, top, likeness = find_again(line.part, grey, *expected, reach)
    if likeness < _LOST:
        return None
    return replace(line, left=left, top=top, across=left - line.left, down=top - line.top)


def _lost(ahead: Sequence[Sequence[_Line]], back: Sequence[Sequence[_Line]], count: int) -> int | None:
    """The first place, counted from the frame looked at first, at which a line is lost that the other side does not
    know either.
    """
    lost: list[int] = []
    for mine, others, turned in ((ahead, back, False), (back, ahead, True)):
        for steps in mine:
            reached = len(steps)
            if reached >= count or (turned and not reached):
                continue
            facing = count - 1 - reached
            theirs = [other[facing].box for other in others if len(other) > facing]
            last = steps[-1].box if reached else None
            if last is None or _covered(last, theirs) < _SAME:
                lost.append(count - reached if turned else reached + 1)
    return min(lost, default=None)


def _covered(box: NDArray[np.float64], others: Sequence[NDArray[np.float64]]) -> float:
    """Share of a box that others cover; where two of them overlap it counts twice."""
    if not others:
        return 0.0
    every = np.stack(others)
    sides = np.minimum(box[2:], every[:, 2:]) - np.maximum(box[:2], every[:, :2])
    return float(np.clip(sides, 0, None).prod(1).sum() / max(1e-9, float((box[2:] - box[:2]).prod())))


def _joined(
    forward: Sequence[NDArray[np.float64]], backward: Sequence[NDArray[np.float64]]
) -> list[NDArray[np.float64]]:
    """Boxes of both ways; two of the same line become one around both."""
    made = list(forward)
    for box in backward:
        for place, other in enumerate(made):
            if min(_covered(box, [other]), _covered(other, [box])) >= _SAME:
                made[place] = np.concatenate([np.minimum(box[:2], other[:2]), np.maximum(box[2:], other[2:])])
                break
        else:
            made.append(box)
    return made


def _spread(density: Rows) -> Rows:
    """The densest of each cell and its neighbours."""
    high, wide = density.shape
    edged = np.pad(density, 1)
    views = [edged[y : y + high, x : x + wide] for y in range(3) for x in range(3)]
    return np.max(np.stack(views), 0)


def _without(
    cells: NDArray[np.bool_], boxes: Sequence[NDArray[np.float64]], shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Cells that no box, in pixels of a picture of this shape, touches."""
    across, down = cells.shape[1] / shape[1], cells.shape[0] / shape[0]
    for left, top, right, bottom in boxes:
        rows = slice(int(top * down), int(bottom * down) + 1)
        cells[rows, int(left * across) : int(right * across) + 1] = False
    return cells


def _side_by_side(cells: NDArray[np.bool_]) -> int:
    """How many cells lie in a row, or one below the other, with as many neighbours as a letter has."""
    along = [cells[:, n : cells.shape[1] - _LETTER + 1 + n] for n in range(_LETTER)]
    below = [cells[n : cells.shape[0] - _LETTER + 1 + n] for n in range(_LETTER)]
    return int(np.logical_and.reduce(along).sum() + np.logical_and.reduce(below).sum())
