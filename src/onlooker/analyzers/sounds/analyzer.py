"""The analyzer ``sounds``; see README.md."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from onlooker import models
from onlooker.analyzers._sound_stream import BLOCK, RATE, RecentSound
from onlooker.analyzers._spans import Stretch, StretchFinder
from onlooker.analyzers.sounds.config import SoundsConfig
from onlooker.analyzers.sounds.labels import CLASSES, LABELS, THRESHOLDS
from onlooker.analyzers.sounds.listener import HOP, LENGTH, MODEL, Listener
from onlooker.core.analyzer import Analyzer, Context, Needs, Window
from onlooker.core.measurement import Measurement
from onlooker.core.media import AudioBlock
from onlooker.core.observation import Json, Observation
from onlooker.core.time import Span, Timestamp

__all__ = ["Sounds"]

_TICK = Fraction(1, RATE)
_LEAD = (LENGTH - HOP) // 2
"""A patch speaks for the HOP samples in its middle."""
_TOP = 5
_LEAST_TAIL = RATE // 4
_HEAD = 2  # columns before the scores: number of the patch, loudness
_MEMBERS = [np.array(CLASSES[label]) for label in LABELS]


class Sounds(Analyzer[SoundsConfig]):
    """Spans of sounds, with their AudioSet classes and loudness."""

    name: ClassVar[str] = "sounds"
    version: ClassVar[str] = "1"
    emits: ClassVar[tuple[str, ...]] = ("sound",)
    Config = SoundsConfig
    measurement_fields: ClassVar[frozenset[str] | None] = frozenset({"every"})

    def __init__(self, config: SoundsConfig) -> None:
        super().__init__(config)
        self._listener: Listener | None = None
        self._names: tuple[str, ...] = ()
        self._restart()

    def needs(self) -> Needs:
        """Blocks of a second at 16 kHz, and the model."""
        return Needs(audio_rate=RATE, audio_block=BLOCK, models=(MODEL,))

    def bundle_digest(self) -> str:
        """Digest of the network."""
        return models.bundle_digest(MODEL)

    def open(self, context: Context) -> None:
        """Load the model."""
        self._restart()
        self._sound = RecentSound(context.read)
        self._names = models.entry(MODEL).labels
        self._duration = context.source.duration
        if context.source.audio:
            self._listener = Listener(context.threads)

    def _restart(self) -> None:
        config = self.config
        self._sound = RecentSound(None)
        self._heard = False
        self._duration: Fraction | None = None
        self._next = 0
        self._place = -1
        self._end: Timestamp | None = None
        self._finders: dict[str, StretchFinder] = {}
        for label in config.labels:
            threshold = config.thresholds.get(label, THRESHOLDS[label]) / config.sensitivity
            self._finders[label] = StretchFinder(
                threshold,
                threshold * config.hold,
                minimum=_fraction(config.minimum_seconds),
                gap=_fraction(config.gap_seconds),
                hold=Fraction(HOP * config.every, RATE),
                longest=None if config.longest_seconds is None else _fraction(config.longest_seconds),
            )

    # -- the heavy part --

    def hear(self, block: AudioBlock) -> Measurement | None:
        """A row for each patch that the block completes: its number counted from the block's start, its loudness, the
        score of each label, and the most probable classes with their scores.
        """
        if self._listener is None:
            return None
        begin = round(block.time.value * RATE)
        if not (self._heard and self._sound.follows(block)):
            self._next = self._first_after(begin)
            self._sound.restart(self._next * HOP, begin)
        self._heard = True
        self._sound.add(block.samples[:, 0])
        rows: list[NDArray[np.float16]] = []
        while self._next * HOP + LENGTH <= self._sound.end:
            start = self._next * HOP
            rows.append(self._row(self._sound.samples(start, start + LENGTH), begin))
            self._next += self.config.every
        start = self._next * HOP
        # what is left at the end of the source, filled up with silence
        if self._is_last(block) and self._sound.end - start - (_LEAD if self._next else 0) >= _LEAST_TAIL:
            tail = self._sound.samples(start, self._sound.end)
            rows.append(self._row(np.concatenate([tail, np.zeros(LENGTH - len(tail), np.float32)]), begin))
        self._sound.drop(self._next * HOP)
        values = np.stack(rows) if rows else np.zeros((0, _HEAD + len(LABELS) + 2 * _TOP), np.float16)
        return Measurement(block.time, block.duration, values)

    def _is_last(self, block: AudioBlock) -> bool:
        """Whether nothing seems to come after it."""
        duration = self._duration
        if duration is None or block.duration < BLOCK:
            return block.duration < BLOCK
        return block.time.value < duration <= block.time.value + block.duration

    def _first_after(self, begin: int) -> int:
        """The first patch that is not complete with the samples before ``begin``."""
        first = max(0, (begin - LENGTH) // HOP + 1)
        every = self.config.every
        return -(-first // every) * every

    def _row(self, patch: NDArray[np.float32], begin: int) -> NDArray[np.float16]:
        assert self._listener is not None
        scores, loudness = self._listener.scores(patch)
        top = np.argsort(-scores, kind="stable")[:_TOP]
        labels = [scores[members].max() for members in _MEMBERS]
        row = np.concatenate([[self._next - begin // HOP, loudness], labels, top, scores[top]])
        return row.astype(np.float16)

    # -- the light part --

    def analyze(self, window: Window) -> Iterable[Observation]:
        """The sounds that have ended."""
        made: list[Observation] = []
        for m in window.measurements:
            begin = round(m.time.value * RATE) // HOP
            for row in m.values.astype(np.float64):
                made += self._take(begin + round(row[0]), row)
            self._end = m.time + m.duration
        return made

    def _take(self, place: int, row: NDArray[np.float64]) -> list[Observation]:
        if place <= self._place:
            # the source went on after what seemed to be its end
            return []
        self._place = place
        time = Timestamp(place * HOP + _LEAD if place else 0, _TICK)
        scores = row[_HEAD : _HEAD + len(LABELS)]
        classes, loudness = row[-2 * _TOP :], np.array([row[1]])
        made: list[Observation] = []
        for label, score in zip(LABELS, scores.tolist(), strict=True):
            if finder := self._finders.get(label):
                found = finder.feed(time, score, classes=classes, loudness=loudness)
                made += [self._observation(label, s) for s in found]
        return made

    def held(self, kind: str) -> Timestamp | None:
        """What lasts; and what the next patch hears may begin with it, before the end of what was heard."""
        begins = [since for finder in self._finders.values() if (since := finder.since) is not None]
        return min([*begins, *([Timestamp((self._place + 1) * HOP, _TICK)] if self._place >= 0 else [])], default=None)

    def flush(self) -> Iterable[Observation]:
        """The sounds that last to the end."""
        end, self._end = self._end, None
        found = [(label, s) for label, finder in self._finders.items() for s in finder.flush(end)]
        return [self._observation(label, s) for label, s in found]

    def _observation(self, label: str, stretch: Stretch) -> Observation:
        best: dict[int, float] = {}
        for row in stretch.rows["classes"]:
            for number, score in zip(row[:_TOP].astype(int).tolist(), row[_TOP:].tolist(), strict=True):
                best[number] = max(best.get(number, 0.0), score)
        members = set(CLASSES[label])
        ranked = sorted((n for n in best if n in members), key=lambda n: (-best[n], n))
        loudness = np.concatenate(stretch.rows["loudness"])
        data: dict[str, Json] = {
            "classes": [[self._names[n], round(best[n], 4)] for n in ranked[:3]],
            "loudness_lufs": round(float(10 * np.log10(np.mean(10 ** (loudness / 10)))), 2),
            "loudest_lufs": round(float(loudness.max()), 2),
        }
        end = stretch.end if stretch.end > stretch.start else stretch.start + Fraction(HOP, RATE)
        return Observation(
            Span(stretch.start, end), "sound", score=round(min(1.0, stretch.peak), 4), label=label, data=data
        )

    def close(self) -> None:
        """Release the model."""
        if self._listener is not None:
            self._listener.close()
        self._listener = None


def _fraction(seconds: float) -> Fraction:
    return Fraction(round(seconds * 1000), 1000)
