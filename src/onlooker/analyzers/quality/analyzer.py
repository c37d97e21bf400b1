"""The analyzer ``quality``; see README.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers.quality.camera import Camera, thumb
from onlooker.analyzers.quality.config import QualityConfig
from onlooker.analyzers.quality.detectors import (
    Bars,
    Black,
    Blur,
    Detector,
    Exposure,
    Flicker,
    Frozen,
    Letterbox,
    Shake,
    earliest,
    exact,
)
from onlooker.analyzers.quality.features import BASE, SHIFT, SLOW, Profiles, compare, sample, shift, slow
from onlooker.core.analyzer import Analyzer, Context, Needs, Window
from onlooker.core.measurement import Measurement
from onlooker.core.media import Frame
from onlooker.core.observation import Observation
from onlooker.core.time import Timestamp

__all__ = ["Quality"]

_SHIFT_RATE, _SLOW_RATE, _THUMB_RATE = Fraction(8), Fraction(2), Fraction(1)
_NAMES: tuple[str, ...] = (*BASE, *SHIFT, *SLOW)
_LOOK_BACK = Fraction(1)
_RECENT = _LOOK_BACK / 2
"""Frames further apart than this are not compared, so that a segment's start knows all that it needs."""


class Quality(Analyzer[QualityConfig]):
    """Technical cues: spans in which the picture is black, frozen, blurred, ... with the values measured."""

    name: ClassVar[str] = "quality"
    version: ClassVar[str] = "1"
    emits: ClassVar[tuple[str, ...]] = ("cue",)
    Config = QualityConfig
    measurement_fields: ClassVar[frozenset[str] | None] = frozenset({"black_level"})

    def needs(self) -> Needs:
        """Every frame, on its own planes, and a small grey picture twice a second."""
        return Needs(frames="all", image=((0, 0, "luma"), (160, 0, "gray")), look_back=_LOOK_BACK)

    def open(self, context: Context) -> None:
        """Start without memory."""
        self._before: tuple[Timestamp, NDArray[np.int16]] | None = None
        self._profiles: tuple[Timestamp, Profiles] | None = None
        self._detectors = self._make_detectors()
        self._camera = Camera(self.config)
        self._end: Timestamp | None = None

    def _make_detectors(self) -> list[Detector]:
        config = self.config
        makers = {
            "black": Black,
            "frozen": Frozen,
            "colour_bars": Bars,
            "flicker": Flicker,
            "blur": Blur,
            "overexposed": lambda c: Exposure(c, "overexposed"),
            "underexposed": lambda c: Exposure(c, "underexposed"),
            "camera_shake": Shake,
            "letterbox": Letterbox,
        }
        made = [make(config) for label, make in makers.items() if label in config.cues]
        for detector in made:
            detector.in_pieces(None if config.longest_seconds is None else exact(config.longest_seconds))
        return made

    def measure(self, frame: Frame, given: Mapping[str, Measurement]) -> Measurement:
        """One row; see ``features`` for its values. Once a second a small picture goes with it."""
        time, luma = frame.time, frame.luma()
        now = sample(luma)
        before = self._before
        known = before is not None and time - before[0] <= _RECENT
        values = compare(now, before[1] if before is not None and known else None, self.config.black_level)
        last = before[0] if before is not None else None
        self._before = (time, now)
        blob: bytes | None = None
        if _due(time, last, _SHIFT_RATE):
            values += self._shift(time, luma)
            if _due(time, last, _SLOW_RATE):
                grey = frame.image(160, 0, "gray")
                values += slow(frame, grey)
                if _due(time, last, _THUMB_RATE):
                    blob = thumb(grey)
        return Measurement(time, frame.duration, np.array(values, np.float16), blob)

    def _shift(self, time: Timestamp, luma: NDArray[np.uint8]) -> list[float]:
        before, now = self._profiles, Profiles(luma)
        self._profiles = (time, now)
        if before is None or time - before[0] > _RECENT:
            return [float("nan")] * len(SHIFT)
        return shift(now, before[1])

    def analyze(self, window: Window) -> Iterable[Observation]:
        """The cues that became certain."""
        made: list[Observation] = []
        for m in window.measurements:
            made += self._take(m)
        return made

    def _take(self, m: Measurement) -> list[Observation]:
        row: dict[str, float] = dict(zip(_NAMES, (float(v) for v in m.values), strict=False))
        made = [o for d in self._detectors for o in d.feed(m.time, row)]
        if m.blob is not None:
            seen = self._camera.view(m.time, m.blob, black=row["bright"] <= 1 - self.config.black_share)
            made += self._wanted(seen)
        self._end = m.time + m.duration
        return made

    def _wanted(self, made: list[Observation]) -> list[Observation]:
        return [o for o in made if o.label in self.config.cues]

    def held(self, kind: str) -> Timestamp | None:
        """What lasts, and what the next frame may start."""
        begins = [self._camera.since, *(d.since for d in self._detectors)]
        if self._before is not None:
            begins.append(earliest(self._before[0]))
        return min((b for b in begins if b is not None), default=None)

    def flush(self) -> Iterable[Observation]:
        """The cues that last to the end."""
        end, self._end = self._end, None
        made = [o for d in self._detectors for o in d.flush(end)]
        return made + self._wanted(self._camera.flush(end))


def _due(time: Timestamp, before: Timestamp | None, rate: Fraction) -> bool:
    """Whether this is the first frame at or after a tick of 1/``rate``; as the pipeline samples."""
    return before is None or time.tick(rate) > before.tick(rate)
