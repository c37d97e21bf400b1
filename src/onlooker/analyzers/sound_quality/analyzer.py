"""The analyzer ``sound_quality``; see README.md."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import ClassVar

import numpy as np

from onlooker.analyzers._spans import Stretch, StretchFinder
from onlooker.analyzers.sound_quality.config import SoundQualityConfig
from onlooker.core.analyzer import Analyzer, Context, Needs, Window
from onlooker.core.measurement import Measurement
from onlooker.core.media import AudioBlock
from onlooker.core.observation import Json, Observation
from onlooker.core.time import Timestamp

__all__ = ["SoundQuality"]

_STEP = Fraction(1, 10)
_FLOOR = -120.0


class SoundQuality(Analyzer[SoundQualityConfig]):
    """Spans in which the sound is silent, clipped, off centre or lacks a channel."""

    name: ClassVar[str] = "sound_quality"
    version: ClassVar[str] = "1"
    emits: ClassVar[tuple[str, ...]] = ("cue",)
    Config = SoundQualityConfig
    measurement_fields: ClassVar[frozenset[str] | None] = frozenset({"clip_level"})

    def __init__(self, config: SoundQualityConfig) -> None:
        super().__init__(config)
        self._restart()

    def needs(self) -> Needs:
        """Both channels at 48 kHz: mixing or resampling would hide clipping and a missing channel."""
        return Needs(audio_rate=48_000, audio_channels=2)

    def open(self, context: Context) -> None:
        """Start without memory."""
        self._restart()

    def _restart(self) -> None:
        config = self.config
        second, silence = Fraction(1), -config.silence_level
        self._end: Timestamp | None = None
        finders = {
            "silence": StretchFinder(silence, silence - 3, minimum=_f(config.silence_seconds)),
            "clipping": StretchFinder(
                config.clip_share, config.clip_share / 4, minimum=_f(config.clip_seconds), gap=second
            ),
            "dc_offset": StretchFinder(
                config.offset_level, config.offset_level * 0.7, minimum=_f(config.offset_seconds), gap=second
            ),
            "channel_missing": StretchFinder(
                config.missing_level, config.missing_level - 10, minimum=_f(config.missing_seconds), gap=second
            ),
        }
        self._finders = {label: find for label, find in finders.items() if label in config.cues}

    def hear(self, block: AudioBlock) -> Measurement:
        """A row for each tenth of a second: level in dB, peak, share at the limit, mean, and level of the weaker
        channel in dB.
        """
        size = int(block.rate * _STEP)
        samples = block.samples
        rows = [self._row(samples[i : i + size]) for i in range(0, max(len(samples), 1), size)]
        return Measurement(block.time, block.duration, np.array(rows, np.float32))

    def _row(self, samples: np.ndarray) -> list[float]:
        if not len(samples):
            return [_FLOOR, 0.0, 0.0, 0.0, _FLOOR]
        means = samples.mean(0)
        levels = 10 * np.log10(np.square(samples - means).mean(0) + 1e-12)
        size = np.abs(samples)
        at_limit = float((size >= self.config.clip_level).mean(0).max())
        offset = float(means[np.abs(means).argmax()])
        return [float(levels.max()), float(size.max()), at_limit, offset, float(levels.min())]

    def analyze(self, window: Window) -> Iterable[Observation]:
        """The cues that have ended."""
        made: list[Observation] = []
        for m in window.measurements:
            for i, row in enumerate(m.values.astype(float)):
                made += self._take(m.time + i * _STEP, *(float(v) for v in row))
            self._end = m.time + m.duration
        return made

    def _take(
        self, time: Timestamp, level: float, peak: float, at_limit: float, offset: float, weaker: float
    ) -> list[Observation]:
        values = {
            "silence": -level,
            "clipping": at_limit,
            "dc_offset": abs(offset),
            "channel_missing": level - weaker if level > -45 else 0.0,
        }
        more = {"level_db": level, "peak": peak, "at_limit": at_limit, "offset": offset, "weaker_db": weaker}
        made: list[Observation] = []
        for label, find in self._finders.items():
            made += self._made(label, find.feed(time, values[label], **more))
        return made

    def flush(self) -> Iterable[Observation]:
        """The cues that last to the end."""
        end, self._end = self._end, None
        return [o for label, find in self._finders.items() for o in self._made(label, find.flush(end))]

    def _made(self, label: str, stretches: list[Stretch]) -> list[Observation]:
        return [_cue(label, s) for s in stretches]


def _cue(label: str, stretch: Stretch) -> Observation:
    names = {
        "silence": ("level_db",),
        "clipping": ("at_limit", "peak"),
        "dc_offset": ("offset",),
        "channel_missing": ("level_db", "weaker_db"),
    }[label]
    scores = {
        "silence": stretch.peak / -_FLOOR,
        "clipping": 0.5 + stretch.peak * 10,
        "dc_offset": 0.5 + stretch.peak,
        "channel_missing": stretch.peak / 100,
    }
    data: dict[str, Json] = {name: round(stretch.mean(name), 4) for name in names}
    return Observation(stretch.span, "cue", score=round(min(1.0, scores[label]), 4), label=label, data=data)


def _f(seconds: float) -> Fraction:
    return Fraction(round(seconds * 1000), 1000)
