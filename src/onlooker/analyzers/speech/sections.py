"""Cuts the sound into sections of about 26 s at quiet moments, each a window for the transcribing network.

A section ends at the quietest frame within 2 s of each multiple of 25.6 s. Where it ends rests on the sound around that
place alone, never on where earlier sections ended, so a run that goes on in the middle finds the same sections.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers._sound_stream import RecentSound
from onlooker.analyzers._sound_voice import FRAME, PERIOD, SLACK, VoiceActivity, restart_frame
from onlooker.core.media import AudioBlock

__all__ = ["Section", "Sections"]

_SMOOTH = 7
_DECIBELS = 40.0


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of sound, in frames of 32 ms from the source's zero.

    Args:
        start, end: its limits.
        voice: the probability of speech in each frame, 0..255.
        complete: whether it ends where sections end, not with the sound.
    """

    start: int
    end: int
    voice: NDArray[np.uint8]
    complete: bool


class Sections:
    """Takes blocks, gives the probabilities of speech and the sections that are complete.

    Args:
        sound: keeps the samples.
        voice: hears the speech.
    """

    def __init__(self, sound: RecentSound, voice: VoiceActivity) -> None:
        self.sound, self._voice = sound, voice
        self._probabilities: list[int] = []
        self._first = 0
        self._start = 0
        self._heard = False

    def hear(self, block: AudioBlock) -> tuple[NDArray[np.uint8], list[Section]]:
        """The probabilities of the frames that the block completes, and the sections that it does."""
        if not (self._heard and self.sound.follows(block)):
            self._restart(round(block.time.value * block.rate))
        self._heard = True
        self.sound.add(block.samples[:, 0])
        found = self._listen()
        return np.array(found, np.uint8), self._complete()

    def rest(self) -> Section | None:
        """The section that has begun, as far as its sound came."""
        end = self._first + len(self._probabilities)
        return None if end <= self._start else self._section(self._start, end, complete=False)

    def _listen(self) -> list[int]:
        found = [round(p * 255) for p in self._voice.hear(self.sound)]
        self._probabilities += found
        return found

    def _restart(self, until: int) -> None:
        """Hear again what the next results rest on."""
        period = max(0, until // FRAME - SLACK) // PERIOD
        first = restart_frame(period)
        self._voice.restart(first)
        self._first, self._probabilities = first, []
        self.sound.restart(first * FRAME - FRAME, until)
        self._listen()
        self._start = self._cut(period) if period else 0

    def _cut(self, period: int) -> int:
        """The quietest frame near a multiple of the period: little speech, little sound."""
        middle = period * PERIOD
        begin, end = middle - SLACK, middle + SLACK
        values = np.array(self._probabilities[begin - self._first : end - self._first], np.float64) / 255
        samples = self.sound.samples(begin * FRAME, end * FRAME).reshape(-1, FRAME)
        kernel = np.full(_SMOOTH, 1 / _SMOOTH)
        power = np.convolve(np.square(samples.astype(np.float64)).mean(1), kernel, "same")
        level = 10 * np.log10(power / max(float(power.max()), 1e-12) + 1e-12)
        speech = np.convolve(values, kernel, "same")
        cost = speech + np.maximum(level, -_DECIBELS) / _DECIBELS
        inner = slice(_SMOOTH // 2, len(cost) - _SMOOTH // 2)
        away = np.abs(np.arange(len(cost)) - SLACK)
        order = np.lexsort((away[inner], cost[inner]))
        return begin + _SMOOTH // 2 + int(order[0])

    def _complete(self) -> list[Section]:
        done: list[Section] = []
        period = (self._start + SLACK) // PERIOD + 1
        while self._first + len(self._probabilities) >= period * PERIOD + SLACK:
            end = self._cut(period)
            done.append(self._section(self._start, end, complete=True))
            self._start, period = end, period + 1
        return done

    def _section(self, start: int, end: int, *, complete: bool) -> Section:
        part = self._probabilities[start - self._first : end - self._first]
        return Section(start, end, np.array(part, np.uint8), complete)

    def forget(self) -> None:
        """Drop what complete sections were made of."""
        keep = max(self._first, self._start - SLACK)
        del self._probabilities[: keep - self._first]
        self._first = keep
        self.sound.drop(keep * FRAME - FRAME)
