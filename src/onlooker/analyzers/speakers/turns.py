"""Makes turns of speakers out of the vectors of windows and the probability of speech."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers._sound_stream import RATE
from onlooker.analyzers._sound_voice import FRAME, regions
from onlooker.analyzers.speakers.clustering import group, smooth
from onlooker.analyzers.speakers.config import SpeakersConfig
from onlooker.analyzers.speakers.voices import DIMENSIONS, HOP, LENGTH
from onlooker.core.time import Span, Timestamp

__all__ = ["Speaker", "Turn", "Turns"]

_TICK = Fraction(1, RATE)
_BATCH = 1500
"""Windows that are grouped at once: about ten minutes of speech."""
_ROUNDS = 2
_NEAR = 2 * RATE
"""A stretch of speech without a window of its own takes the voice of a window within this many samples."""


@dataclass(slots=True)
class Speaker:
    """One voice.

    Args:
        number: from 1, in the order in which they were first heard.
        total: sum of the vectors of its windows.
        seconds: how long it spoke.
        start, end: from its first turn to its last, in samples.
    """

    number: int
    total: NDArray[np.float64] = field(default_factory=lambda: np.zeros(DIMENSIONS))
    seconds: float = 0.0
    start: int = 0
    end: int = 0

    @property
    def vector(self) -> NDArray[np.float32]:
        """Its mean voice, of length 1."""
        return (self.total / max(float(np.linalg.norm(self.total)), 1e-9)).astype(np.float32)

    @property
    def span(self) -> Span:
        """From its first turn to its last."""
        return Span(Timestamp(self.start, _TICK), Timestamp(self.end, _TICK))


@dataclass(frozen=True, slots=True)
class Turn:
    """A stretch in which one speaks: limits in samples, and how alike the voice is to the speaker's (cosine)."""

    speaker: Speaker
    start: int
    end: int
    score: float

    @property
    def span(self) -> Span:
        """Its limits."""
        return Span(Timestamp(self.start, _TICK), Timestamp(self.end, _TICK))


class Turns:
    """Collects windows and probabilities and gives turns, about ten minutes of speech at a time.

    Voices of a batch that are like a speaker of an earlier one are that speaker.
    """

    def __init__(self, config: SpeakersConfig) -> None:
        self._config = config
        self.speakers: list[Speaker] = []
        self._voice: list[int] = []
        self._first = 0
        self._places: list[int] = []
        self._vectors: list[NDArray[np.float32]] = []

    def add(self, voice: NDArray[np.uint8], places: NDArray[np.int64], vectors: NDArray[np.float32]) -> list[Turn]:
        """Take the probabilities of the next frames and the windows that they complete."""
        self._voice += voice.tolist()
        self._places += places.tolist()
        self._vectors += list(vectors)
        quiet = not any(v >= self._config.voice_off * 255 for v in self._voice[-(RATE // FRAME) :])
        if len(self._places) >= _BATCH and (quiet or len(self._places) >= 2 * _BATCH):
            return self.flush()
        return []

    def flush(self) -> list[Turn]:
        """The turns of what was collected."""
        config = self._config
        places = np.array(self._places, np.int64)
        vectors = np.stack(self._vectors) if self._vectors else np.zeros((0, DIMENSIONS), np.float32)
        voice = np.array(self._voice, np.float64) / 255
        found = list(regions(voice, config.voice_on, config.voice_off, 4, 8))
        first = self._first
        self._first += len(self._voice)
        self._voice, self._places, self._vectors = [], [], []
        if not len(places) or not found:
            return []
        labels, centres = self._label(places, vectors)
        likeness = np.einsum("ij,ij->i", vectors, centres[labels])
        pieces = list(self._pieces(found, first, places, labels))
        return self._named(pieces, places, labels, vectors, likeness)

    def _label(self, places: NDArray[np.int64], vectors: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray]:
        """The number of each window's voice, and the voices' mean vectors."""
        config = self._config
        groups = group(vectors, config.threshold, config.most)
        counts = np.bincount(groups)
        seconds = min(config.most_seconds, max(config.least_seconds, config.share * len(vectors) * HOP / RATE))
        kept = np.flatnonzero(counts >= min(seconds * RATE / HOP, int(counts.max())))
        centres = _means(vectors, groups, kept)
        for _ in range(_ROUNDS):
            nearest = (vectors @ centres.T).argmax(1)
            centres = _means(vectors, nearest, np.unique(nearest))
        centres = _merged(vectors, centres, config.merge)
        follows = np.concatenate([[False], np.diff(places) == 1])
        path = smooth((vectors @ centres.T).astype(np.float64), follows, config.switch)
        return path, centres

    @staticmethod
    def _pieces(
        found: list[tuple[int, int]], first: int, places: NDArray[np.int64], labels: NDArray[np.int64]
    ) -> Iterator[tuple[int, int, int]]:
        """(first sample, sample after the last, voice) of stretches with one voice each."""
        middles = places * HOP + LENGTH // 2
        for begin, end in found:
            frames = np.arange(begin + first, end + first)
            samples = frames * FRAME + FRAME // 2
            after = np.clip(np.searchsorted(middles, samples), 1, max(1, len(middles) - 1))
            before = after - 1
            after = np.minimum(after, len(middles) - 1)
            nearest = np.where(samples - middles[before] <= middles[after] - samples, before, after)
            near = np.abs(middles[nearest] - samples) <= _NEAR
            for (known, label), part in groupby(
                zip(frames.tolist(), labels[nearest].tolist(), near.tolist(), strict=True), key=lambda p: (p[2], p[1])
            ):
                stretch = [p[0] for p in part]
                if known:
                    yield stretch[0] * FRAME, (stretch[-1] + 1) * FRAME, label

    def _named(
        self,
        pieces: list[tuple[int, int, int]],
        places: NDArray[np.int64],
        labels: NDArray[np.int64],
        vectors: NDArray[np.float32],
        likeness: NDArray[np.float32],
    ) -> list[Turn]:
        """Turns of the pieces, with the speakers that the voices are."""
        names: dict[int, Speaker] = {}
        for _, _, label in pieces:
            if label not in names:
                names[label] = self._speaker(vectors[labels == label])
        middles = places * HOP + LENGTH // 2
        turns: list[Turn] = []
        for start, end, label in self._joined(pieces):
            inside = (labels == label) & (middles >= start - HOP) & (middles < end + HOP)
            score = float(likeness[inside].mean()) if inside.any() else float(likeness[labels == label].mean())
            speaker = names[label]
            speaker.start = start if not speaker.seconds else speaker.start
            speaker.end = max(speaker.end, end)
            speaker.seconds += (end - start) / RATE
            turns.append(Turn(speaker, start, end, min(1.0, max(0.0, score))))
        return turns

    def _speaker(self, vectors: NDArray[np.float32]) -> Speaker:
        """The known speaker whose voice it is, or a new one."""
        total = vectors.astype(np.float64).sum(0)
        mean = total / np.linalg.norm(total)
        known = [(float(s.vector @ mean), s) for s in self.speakers]
        likeness, speaker = max(known, key=lambda pair: pair[0], default=(0.0, None))
        if speaker is None or likeness < self._config.merge:
            speaker = Speaker(len(self.speakers) + 1)
            self.speakers.append(speaker)
        speaker.total = speaker.total + total
        return speaker

    def _joined(self, pieces: list[tuple[int, int, int]]) -> Iterator[tuple[int, int, int]]:
        """Pieces of one voice joined over short pauses; those that stay short are left out."""
        joined: list[tuple[int, int, int]] = []
        for start, end, label in pieces:
            if joined and joined[-1][2] == label and start - joined[-1][1] <= self._config.pause_seconds * RATE:
                joined[-1] = (joined[-1][0], end, label)
            else:
                joined.append((start, end, label))
        yield from (p for p in joined if p[1] - p[0] >= self._config.turn_seconds * RATE)


def _means(vectors: NDArray[np.float32], labels: NDArray[np.int64], kept: NDArray[np.int64]) -> NDArray[np.float32]:
    """The mean vectors, of length 1, of the groups in ``kept``."""
    means = np.stack([vectors[labels == k].mean(0) for k in kept])
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def _merged(vectors: NDArray[np.float32], centres: NDArray[np.float32], least: float) -> NDArray[np.float32]:
    """The mean vectors after groups were joined whose means are at least so similar, the most similar first."""
    labels = (vectors @ centres.T).argmax(1)
    while len(centres) > 1:
        likeness = centres @ centres.T
        np.fill_diagonal(likeness, -1)
        a, b = divmod(int(likeness.argmax()), len(centres))
        if likeness[a, b] < least:
            break
        labels[labels == b] = a
        present = np.unique(labels)
        labels = np.searchsorted(present, labels)
        centres = _means(vectors, labels, np.arange(len(present)))
    return centres
