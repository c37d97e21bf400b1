"""The analyzer ``motion``; see README.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers._spans import Stretch, StretchFinder
from onlooker.analyzers.motion.config import MotionConfig
from onlooker.core.analyzer import Analyzer, Context, Needs, Window
from onlooker.core.measurement import Measurement
from onlooker.core.media import Frame
from onlooker.core.observation import Box, Observation
from onlooker.core.time import Span, Timestamp

__all__ = ["GRID", "SHARE", "Motion"]

SHARE, GAIN, BOX, GRID = 0, 1, slice(2, 6), slice(6, 70)
"""Where in a measurement's values stand: share of changed pixels 0..1 (NaN where there is nothing to compare with);
change of the light in grey levels where the whole picture became brighter or darker but kept its structure, else 0;
left, top, right and bottom of what changed, in shares of the picture; share of changed pixels in 8 x 8 fields."""
_WIDTH = 160
_LIGHT = 6


class Motion(Analyzer[MotionConfig]):
    """Spans in which something moves, where, and how much.

    Its measurement of the same frame serves others as a gate: ``given["motion"].values[SHARE]``.
    """

    name: ClassVar[str] = "motion"
    version: ClassVar[str] = "1"
    emits: ClassVar[tuple[str, ...]] = ("motion",)
    Config = MotionConfig
    measurement_fields: ClassVar[frozenset[str] | None] = frozenset({"rate", "difference"})

    def __init__(self, config: MotionConfig) -> None:
        super().__init__(config)
        self._rate = Fraction(round(config.rate * 1000), 1000)
        self._look_back = max(Fraction(2), 3 / self._rate)
        self._before: tuple[Timestamp, NDArray[np.int16]] | None = None
        self._restart()

    def needs(self) -> Needs:
        """A small grey picture a few times a second."""
        return Needs(frames="all", rate=self._rate, image=((_WIDTH, 0, "gray"),), look_back=self._look_back)

    def open(self, context: Context) -> None:
        """Start without memory."""
        self._before = None
        self._restart()

    def _restart(self) -> None:
        config = self.config
        self._find = StretchFinder(
            config.on_share,
            config.off_share,
            minimum=Fraction(round(config.shortest_seconds * 1000), 1000),
            gap=Fraction(round(config.gap_seconds * 1000), 1000),
            longest=Fraction(round(config.longest_seconds * 1000), 1000),
        )
        self._end: Timestamp | None = None
        self._last: Timestamp | None = None

    def measure(self, frame: Frame, given: Mapping[str, Measurement]) -> Measurement:
        """Compare with the picture before; see `SHARE` for the values."""
        grey = frame.image(_WIDTH, 0, "gray").astype(np.int16)
        before, self._before = self._before, (frame.time, grey)
        # what is further back than half the look-back may be unknown at a segment's start
        if before is None or frame.time - before[0] > self._look_back / 2:
            values = np.full(70, np.nan, np.float16)
        else:
            values = compare(grey, before[1], self.config.difference)
        return Measurement(frame.time, frame.duration, values)

    def analyze(self, window: Window) -> Iterable[Observation]:
        """Activity that has ended."""
        made: list[Observation] = []
        for m in window.measurements:
            made += self._take(m)
        return made

    def _take(self, m: Measurement) -> list[Observation]:
        values = m.values.astype(np.float64)
        share, gain = float(values[SHARE]), float(values[GAIN])
        last, self._last = self._last, m.time
        self._end = m.time + m.duration
        if last is None or np.isnan(share):
            return self._made(self._find.feed(m.time, 0.0))
        made: list[Observation] = []
        if gain:
            span = Span(last, m.time)
            made.append(Observation(span, "motion", label="light_change", data={"levels": round(gain, 1)}))
            if not self._find.pending:
                share = 0.0  # a lamp that is switched on lights up unevenly, which is no movement
        # what differs between two pictures happened since the first of them
        return self._made(self._find.feed(last, share, values=values)) + made

    def held(self, kind: str) -> Timestamp | None:
        """What lasts; and what the next picture differs in happened since this one."""
        return self._find.since or self._last

    def flush(self) -> Iterable[Observation]:
        """Activity that lasts to the end."""
        end, self._end, self._last = self._end, None, None
        return self._made(self._find.flush(end))

    def _made(self, stretches: list[Stretch]) -> list[Observation]:
        return [_activity(s) for s in stretches]


def _activity(stretch: Stretch) -> Observation:
    rows = np.array(stretch.rows["values"])
    boxes = rows[:, BOX]
    grid = rows[:, GRID].mean(0)
    # a tenth of the moments may reach further: one flicker at an edge is not where it happened
    left, top = np.percentile(boxes[:, :2], 10, axis=0)
    right, bottom = np.percentile(boxes[:, 2:], 90, axis=0)
    data: dict[str, Any] = {
        "mean_share": round(float(rows[:, SHARE].mean()), 4),
        "grid": [[round(float(v), 3) for v in row] for row in grid.reshape(8, 8)],
    }
    box = Box(*(round(float(v), 4) for v in (left, top, max(left, right), max(top, bottom))))
    return Observation(stretch.span, "motion", score=round(stretch.peak, 4), label="active", box=box, data=data)


def compare(now: NDArray[np.int16], before: NDArray[np.int16], difference: int) -> NDArray[np.float16]:
    """The values of one measurement; see `SHARE`.

    Args:
        now: (height, width) grey levels.
        before: the picture before, of the same size.
        difference: levels by which a pixel must change.
    """
    values = np.zeros(70, np.float16)
    change = now - before
    gain = int(np.median(change[::3, ::3]))
    changed = _together(np.abs(change - gain) >= difference)
    share = np.count_nonzero(changed) / changed.size
    if abs(gain) >= _LIGHT and _one_way(change, gain) and _likeness(now, before) >= 0.85:
        values[GAIN] = gain
    values[SHARE] = share
    if not share:
        return values
    height, width = changed.shape
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    values[BOX] = columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height
    at_rows, at_columns = np.arange(8) * height // 8, np.arange(8) * width // 8
    counts = np.add.reduceat(np.add.reduceat(changed.astype(np.uint16), at_rows, 0), at_columns, 1)
    sizes = np.outer(np.diff(at_rows, append=height), np.diff(at_columns, append=width))
    values[GRID] = (counts / np.maximum(sizes, 1)).ravel()
    return values


def _together(changed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Changed pixels of which at least two of the eight neighbours changed too: noise is alone."""
    if not changed.any():
        return changed
    padded = np.pad(changed.astype(np.uint8), 1)
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    around = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    return changed & (around >= 3)


def _one_way(change: NDArray[np.int16], gain: int) -> bool:
    """Whether nearly all of the picture became brighter, or darker."""
    part = change[::3, ::3]
    same = np.count_nonzero(part > 0 if gain > 0 else part < 0)
    return bool(same >= 0.8 * part.size)


def _likeness(now: NDArray[np.int16], before: NDArray[np.int16]) -> float:
    """Correlation of the two pictures' gradients: light changes them little, movement much."""
    a = np.clip(np.diff(now[::2, ::2], axis=1), -40, 40).astype(np.float32).ravel()
    b = np.clip(np.diff(before[::2, ::2], axis=1), -40, 40).astype(np.float32).ravel()
    return float(a @ b) / (float(np.sqrt(float(a @ a) * float(b @ b))) + 1e-6)
