"""Voice activity: the probability of speech every 32 ms by Silero's network, with bounded memory.

Silero VAD (https://github.com/snakers4/silero-vad) carries a recurrent state over the whole recording. Here the state
begins anew every 25.6 s, at fixed places, each time a second before it is used: the result at any moment then rests on
at most half a minute of sound, and a run that goes on in the middle gives what an undisturbed run gives.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from onlooker import models
from onlooker.analyzers._sound_stream import RecentSound

__all__ = ["FRAME", "PERIOD", "SLACK", "VoiceActivity", "regions", "restart_frame"]

FRAME = 512
"""Samples of one frame at 16 kHz."""
PERIOD = 800
"""Frames from one place where the state begins anew to the next."""
SLACK = 64
"""Frames before a multiple of the period at which the new state is first used."""
_WARM = 32
_CONTEXT = 64
MODEL = "silero-vad"


def restart_frame(period: int) -> int:
    """The frame from which the network must hear to know the probabilities from ``period`` * PERIOD - SLACK on."""
    return max(0, period * PERIOD - SLACK - _WARM)


class VoiceActivity:
    """Probabilities of speech for consecutive frames.

    Args:
        threads: how many the engine may use.
    """

    def __init__(self, threads: int = 1) -> None:
        self._model = models.load(MODEL, threads=1 if threads else 0)
        self.restart(0)

    def restart(self, frame: int) -> None:
        """Go on with ``frame``, one of `restart_frame`."""
        self._next = frame
        self._state = np.zeros((2, 1, 128), np.float32)
        self._coming: NDArray[np.float32] | None = None

    @property
    def frame(self) -> int:
        """The next frame."""
        return self._next

    def hear(self, sound: RecentSound) -> list[float]:
        """The probabilities of the frames that are complete now."""
        found: list[float] = []
        while (self._next + 1) * FRAME <= sound.end:
            begin = self._next * FRAME
            samples = sound.samples(begin - _CONTEXT, begin + FRAME)[None]
            place = self._next % PERIOD
            if place == PERIOD - SLACK - _WARM:
                self._coming = np.zeros((2, 1, 128), np.float32)
            elif place == PERIOD - SLACK and self._coming is not None:
                self._state, self._coming = self._coming, None
            if self._coming is not None:
                self._coming = self._model.run([samples, self._coming])[1]
            output, self._state = self._model.run([samples, self._state])
            found.append(float(output[0, 0]))
            self._next += 1
        return found

    def close(self) -> None:
        """Release the model."""
        self._model.close()


def regions(
    probabilities: NDArray[np.floating], on: float, off: float, minimum: int, gap: int
) -> Iterator[tuple[int, int]]:
    """Stretches of speech as (first frame, frame after the last).

    Args:
        probabilities: one a frame.
        on: a stretch begins with at least this.
        off: it goes on while it is at least this.
        minimum: shortest stretch in frames.
        gap: interruptions of up to this many frames are bridged.
    """
    start = end = None
    inside = False
    for i, value in enumerate(probabilities):
        inside = value >= (off if inside else on)
        if inside:
            if start is None or end is None or i - end > gap:
                if start is not None and end is not None and end - start >= minimum:
                    yield start, end
                start = i
            end = i + 1
    if start is not None and end is not None and end - start >= minimum:
        yield start, end
