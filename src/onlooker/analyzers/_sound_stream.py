"""The sound of the last moments, as one array addressed by absolute sample numbers, the same after a resume.

The pipeline gives an analyzer block after block, but after a resume only those from the moment where it goes on. An
analyzer whose result for a block rests on sound before it asks here; what was not heard is read from the source again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from onlooker.core.media import AudioBlock, ReadItem, ReadRequest
from onlooker.core.time import Timestamp

__all__ = ["BLOCK", "RATE", "RecentSound"]

RATE = 16_000
BLOCK = Fraction(1)
"""Length of the blocks that all analyzers of sound ask for, so that one decode serves them."""

Reader = Callable[[ReadRequest], Iterator[ReadItem]]


class RecentSound:
    """A growing array of mono samples whose beginning is dropped when it is no longer needed.

    Args:
        read: opens another reader on the source, or None where that is impossible (live).
        rate: samples a second.
    """

    def __init__(self, read: Reader | None, rate: int = RATE) -> None:
        self._read, self._rate = read, rate
        self._first = 0
        self._parts: list[NDArray[np.float32]] = []
        self._end: int | None = None

    @property
    def end(self) -> int:
        """Number of the sample after the last one."""
        return self._end or 0

    def follows(self, block: AudioBlock) -> bool:
        """Whether the block continues what was heard last."""
        return self._end == round(block.time.value * self._rate)

    def restart(self, at: int, until: int) -> None:
        """Forget everything, and read the samples from ``at`` (at the latest) to ``until`` from the source."""
        at = max(0, at)
        begin = at // self._rate * self._rate
        self._first, self._end, self._parts = begin, begin, []
        if begin >= until:
            return
        if self._read is None:
            # a live stream that is joined late: what was before counts as silence
            self.add(np.zeros(until - begin, np.float32))
            return
        request = ReadRequest(
            frames="none",
            audio_rate=self._rate,
            audio_block=BLOCK,
            start=Timestamp(begin, Fraction(1, self._rate)),
            end=Timestamp(until, Fraction(1, self._rate)),
        )
        for item in self._read(request):
            if isinstance(item, AudioBlock):
                self.add(item.samples[:, 0])

    def add(self, samples: NDArray[np.float32]) -> None:
        """Append samples."""
        self._parts.append(samples)
        self._end = self.end + len(samples)

    def samples(self, start: int, end: int) -> NDArray[np.float32]:
        """The samples [start, end); silence before the source's zero. Not to be written into.

        Raises:
            ValueError: they were dropped, or did not come yet.
        """
        if end > self.end or (start < self._first and self._first > 0):
            raise ValueError(f"samples {start} to {end} are not here: {self._first} to {self.end}")
        if len(self._parts) > 1:
            self._parts = [np.concatenate(self._parts)]
        whole = self._parts[0] if self._parts else np.zeros(0, np.float32)
        part = whole[max(0, start - self._first) : max(0, end - self._first)]
        missing = (end - start) - len(part)
        return np.concatenate([np.zeros(missing, np.float32), part]) if missing else part

    def drop(self, before: int) -> None:
        """Samples before this number will not be asked for again."""
        while self._parts and self._first + len(self._parts[0]) <= before:
            self._first += len(self._parts.pop(0))
        if self._parts and before - self._first > 10 * self._rate:
            self._parts[0] = self._parts[0][before - self._first :].copy()
            self._first = before
