"""Sound of a live camera as blocks of one length on a grid of the camera's time."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from onlooker.core.media import AudioBlock
from onlooker.core.time import Timestamp

__all__ = ["LiveSound"]


class LiveSound:
    """Mixes down, resamples and cuts into blocks that lie on multiples of their length.

    Short gaps are filled with silence; the clock's drift is taken up by leaving out or putting in what is more than a
    twentieth of a second off. After a gap of more than a block the sound begins anew, in the block in which it comes.
    Serves one connection.

    Args:
        rate: samples a second that are wanted.
        block: length of a block in seconds.
        after: nanoseconds of the camera before which no block may begin.
    """

    def __init__(self, rate: int, block: Fraction, after: int = 0) -> None:
        self._rate, self._size = rate, int(block * rate)
        self._near = rate // 20
        self._given: int | None = None
        self._first = -(-after * rate // (1_000_000_000 * self._size)) * self._size
        self._resampler = AudioResampler(format="fltp", layout="mono", rate=self._rate)
        self._held: list[NDArray[np.float32]] = []
        self._count = 0
        self._skip = 0

    @property
    def after(self) -> int:
        """Nanoseconds of the camera up to which blocks were given."""
        return (self._first if self._given is None else self._given) * 1_000_000_000 // self._rate

    def take(self, frame: Any, time: int) -> list[AudioBlock]:
        """The blocks that became complete.

        Args:
            frame: PyAV's audio frame.
            time: nanoseconds of the camera at which it begins.
        """
        made = self._place(time * self._rate // 1_000_000_000)
        frame.pts = None
        for part in self._resampler.resample(frame):
            self._append(np.ascontiguousarray(part.to_ndarray().T, np.float32))
        return made + self._cut()

    def _place(self, at: int) -> list[AudioBlock]:
        """Fill up or skip to where the next samples belong: sample ``at`` of the camera's time."""
        made: list[AudioBlock] = []
        if self._given is None or at - self._given - self._count > self._size:
            if self._count:
                self._silence(self._size - self._count)
                made = self._cut()
            self._given = max(at // self._size * self._size, self._given or self._first)
        gap = at - self._given - self._count
        if gap > self._near or (gap > 0 and not self._count):
            self._silence(gap)
        elif gap < -self._near:
            self._skip = -gap
        return made

    def _silence(self, samples: int) -> None:
        self._append(np.zeros((samples, 1), np.float32))

    def _append(self, samples: NDArray[np.float32]) -> None:
        dropped = min(self._skip, len(samples))
        self._skip -= dropped
        if len(samples) > dropped:
            self._held.append(samples[dropped:])
            self._count += len(samples) - dropped

    def _cut(self) -> list[AudioBlock]:
        if self._count < self._size or self._given is None:
            return []
        samples = np.concatenate(self._held)
        whole = len(samples) // self._size * self._size
        made = [
            AudioBlock(Timestamp(self._given + at, Fraction(1, self._rate)), samples[at : at + self._size], self._rate)
            for at in range(0, whole, self._size)
        ]
        self._given += whole
        self._held, self._count = [samples[whole:]], len(samples) - whole
        return made
