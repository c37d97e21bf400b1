"""What keyframes alone tell: whether this stream's encoder put them at cuts, and if so, where shots begin.

An encoder with scene-cut detection places a keyframe at a cut, so that intervals are irregular and the pictures
of neighbouring keyframes differ. One with a fixed interval says nothing about shots, however different its
keyframes are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers.shots.similarity import Similarity
from onlooker.core.time import Timestamp

__all__ = ["KeyStep", "KeyVerdict", "KeyWatch"]

_DIFFERENT = 12.0
_ALIKE = 0.9


@dataclass(frozen=True, slots=True)
class KeyStep:
    """A keyframe beside the one before: its time, the interval in seconds, and whether another picture is shown."""

    time: Timestamp
    interval: Fraction
    differs: bool
    distance: float


@dataclass(frozen=True, slots=True)
class KeyVerdict:
    """What the keyframes show.

    Args:
        label: ``keyframes_follow_cuts``, ``keyframes_regular`` or ``keyframes_too_few``.
        keyframes: how many there are.
        usual_seconds: the longest usual interval.
        early: keyframes that came before it was over.
        early_different: share of these that show another picture than the keyframe before, 0..1.
        shots: keyframes at which a shot begins; empty unless they follow cuts.
    """

    label: str
    keyframes: int
    usual_seconds: float
    early: int
    early_different: float
    shots: tuple[KeyStep, ...]


class KeyWatch:
    """Compares each keyframe with the one before; keeps a few numbers for each."""

    def __init__(self) -> None:
        self._similarity = Similarity(2)
        self._last: Timestamp | None = None
        self._steps: list[KeyStep] = []

    def push(self, time: Timestamp, grid: NDArray[np.uint8]) -> None:
        """Take the next keyframe."""
        self._similarity.push(grid[None])
        if self._last is not None:
            distance = float(np.sqrt(self._similarity.squared()[0, 1]))
            differs = distance > _DIFFERENT and float(self._similarity.correlation()[0, 1]) < _ALIKE
            self._steps.append(KeyStep(time, time - self._last, differs, distance))
        self._last = time

    def verdict(self) -> KeyVerdict:
        """What all keyframes together show."""
        count = len(self._steps) + (self._last is not None)
        if len(self._steps) < 3:
            return KeyVerdict("keyframes_too_few", count, 0.0, 0, 0.0, ())
        usual = _usual(self._steps)
        early = [s for s in self._steps if s.interval < usual * Fraction(97, 100)]
        share = sum(s.differs for s in early) / len(early) if early else 0.0
        irregular = len(early) >= 2 and len({round(s.interval, 2) for s in early}) > len(early) // 2
        if not irregular or share < 0.7:
            return KeyVerdict("keyframes_regular", count, float(usual), len(early), share, ())
        shots = tuple(s for s in early if s.differs)
        return KeyVerdict("keyframes_follow_cuts", count, float(usual), len(early), share, shots)


def _usual(steps: Sequence[KeyStep]) -> Fraction:
    """The interval after which a keyframe comes anyway: the longest that occurs more than once, else the longest."""
    counts = Counter(round(s.interval, 2) for s in steps)
    longest = max(counts)
    return max((interval for interval, n in counts.items() if n > 1 and n * 4 >= len(steps)), default=longest)
