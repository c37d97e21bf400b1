"""Drowsiness from closed eyes and yawns.

PERCLOS, the share of a minute in which the eyes are closed (Wierwille et al. 1994, DOT HS 808 247; Dinges and Grace
1998, FHWA-MCRT-98-006), single long closures, and yawns; the three are joined as independent hints.
"""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from typing import Any

import numpy as np

from onlooker.analyzers._spans import Stretch, StretchFinder
from onlooker.analyzers.attention.config import AttentionConfig
from onlooker.core.time import Timestamp

__all__ = ["Drowsiness"]

# a sample speaks for at most this long
_HOLD = Fraction(1)
# yawns of this stretch count, each with this weight
_YAWNS_SECONDS, _YAWN = 180, 0.25
# PERCLOS is not judged before this share of its window was seen
_LEAST_SEEN = 1 / 3
_FULL = 0.5


class Drowsiness:
    """Takes one moment of a face after another; a score of 0.5 or more is drowsy."""

    def __init__(self, config: AttentionConfig) -> None:
        self._config = config
        self._samples: deque[tuple[Timestamp, Fraction, bool]] = deque()
        self._seen = self._closed = Fraction(0)
        self._closures: deque[tuple[Timestamp, float]] = deque()
        self._yawns: deque[Timestamp] = deque()
        self._last: tuple[Timestamp, bool] | None = None
        self._finder = StretchFinder(
            0.5, 0.4, minimum=Fraction(1), gap=Fraction(2), hold=2 * _HOLD, longest=Fraction(60)
        )

    def take(self, time: Timestamp, closed: bool, closure: Fraction, yawns: int) -> list[Stretch]:
        """The next moment.

        Args:
            time: its moment.
            closed: whether the eyes are.
            closure: seconds for which they have been.
            yawns: how many ended here.
        """
        config = self._config
        if self._last is not None:
            before, was = self._last
            length = min(time - before, _HOLD)
            self._samples.append((before, length, was))
            self._seen += length
            self._closed += length if was else 0
        self._last = (time, closed)
        while self._samples and float(time - self._samples[0][0]) > config.perclos_seconds:
            _, length, was = self._samples.popleft()
            self._seen -= length
            self._closed -= length if was else 0
        if float(closure) >= config.blink_seconds:
            self._closures.append((time, float(closure)))
        while self._closures and float(time - self._closures[0][0]) > config.perclos_seconds:
            self._closures.popleft()
        self._yawns.extend([time] * yawns)
        while self._yawns and float(time - self._yawns[0]) > _YAWNS_SECONDS:
            self._yawns.popleft()
        return self._judge(time)

    def finish(self, end: Timestamp) -> list[Stretch]:
        """No more moments."""
        return self._finder.flush(end)

    def _judge(self, time: Timestamp) -> list[Stretch]:
        config = self._config
        enough = float(self._seen) >= _LEAST_SEEN * config.perclos_seconds
        perclos = float(self._closed / self._seen) if enough else 0.0
        longest = max((s for _, s in self._closures), default=0.0)
        hints = {
            "perclos": min(1.0, _FULL * perclos / config.perclos),
            "long_closure": min(1.0, _FULL * longest / config.closure_seconds),
            "yawns": min(1.0, _YAWN * len(self._yawns)),
        }
        score = 1 - float(np.prod([1 - v for v in hints.values()]))
        row = np.array([*hints.values(), perclos, longest, len(self._yawns)])
        return self._finder.feed(time, score, row=row)

    @staticmethod
    def reasons(stretch: Stretch) -> dict[str, Any]:
        """The data of a drowsy stretch: what spoke for it, most first, and the greatest values."""
        rows = np.stack(stretch.rows["row"])
        top = rows.max(0)
        names = ("perclos", "long_closure", "yawns")
        order = sorted((n for n, v in zip(names, top, strict=False) if v >= 0.2), key=lambda n: -top[names.index(n)])
        return {
            "reasons": list(order),
            "perclos": round(float(top[3]), 3),
            "longest_closure": round(float(top[4]), 2),
            "yawns": int(top[5]),
        }
