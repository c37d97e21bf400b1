"""An analyzer that says a script: sentences, captions, tracks and sounds at given times, for what builds upon them."""

from __future__ import annotations

import wave
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from onlooker.core.analyzer import Analyzer, AnalyzerConfig, Context, Needs, Window
from onlooker.core.measurement import Measurement
from onlooker.core.media import AudioBlock, SourceInfo
from onlooker.core.observation import Observation
from onlooker.core.time import Span, Timestamp


def said(start: float, end: float, text: str, language: str = "en") -> Observation:
    span = Span.of_seconds(Fraction(start), Fraction(end))
    return Observation(span, "speech", 0.9, text=text, data={"language": language, "words": []})


def shown(start: float, end: float, text: str, role: str = "slide", language: str = "en") -> Observation:
    span = Span.of_seconds(Fraction(start), Fraction(end))
    return Observation(span, "text", 0.95, text=text, data={"language": language, "role": role, "readings": 3})


def seen(start: float, end: float, label: str, track: str) -> Observation:
    return Observation(Span.of_seconds(Fraction(start), Fraction(end)), "track", 0.8, label, track=track)


def heard(start: float, end: float, label: str) -> Observation:
    return Observation(Span.of_seconds(Fraction(start), Fraction(end)), "sound", 0.7, label)


class Script(Analyzer[AnalyzerConfig]):
    """Makes each line when its end has passed."""

    name: ClassVar[str] = "script"
    version: ClassVar[str] = "1"
    emits: ClassVar[tuple[str, ...]] = ("speech", "text", "track", "sound", "scene", "shot", "keyframe")
    Config = AnalyzerConfig

    def __init__(self, lines: Sequence[Observation]) -> None:
        super().__init__(AnalyzerConfig())
        self._lines = sorted(lines, key=lambda o: o.span.end)

    def needs(self) -> Needs:
        return Needs(audio_rate=8000)

    def hear(self, block: AudioBlock) -> Measurement | None:
        return Measurement(block.time, block.duration, np.zeros(0, np.float32))

    def open(self, context: Context) -> None:
        self._left = list(self._lines) if context.source.duration else []

    def analyze(self, window: Window) -> Iterable[Observation]:
        ready = [o for o in self._left if o.span.end <= window.end]
        self._left = self._left[len(ready) :]
        return ready

    def flush(self) -> Iterable[Observation]:
        left, self._left = self._left, []
        return left


def told(analyzer: Analyzer[Any], lines: Sequence[Observation], portion: int = 1000) -> list[Observation]:
    """What an analyzer makes of the lines, given so many at a time."""
    end = max(o.span.end for o in lines)
    info = SourceInfo("0" * 32, "x", "x", end.value, None, None)
    analyzer.open(Context(info))
    made: list[Observation] = []
    for start in range(0, len(lines), portion):
        made += analyzer.analyze(Window((), lines[start : start + portion], Timestamp.of_seconds(10**6)))
    made += analyzer.flush()
    analyzer.close()
    return made


def silence(path: Path, seconds: int) -> str:
    """A file of silence for a script to be said over."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(bytes(2 * 8000 * seconds))
    return str(path)
