"""An analyzer that tells bright stretches from dark ones, and an export of them as a plain table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import BinaryIO, ClassVar

import numpy as np

from onlooker.core.analyzer import Analyzer, AnalyzerConfig, Context, Needs, Window
from onlooker.core.measurement import Measurement
from onlooker.core.media import Frame
from onlooker.core.observation import Observation
from onlooker.core.time import Span
from onlooker.reports.export import ExportRequest, ExportSummary, write_text

__all__ = ["Brightness", "BrightnessConfig", "BrightnessTable"]


class BrightnessConfig(AnalyzerConfig):
    """Settings: ``bright`` is the mean luma (0..255) from which a frame counts as bright."""

    bright: float = 110.0


class Brightness(Analyzer[BrightnessConfig]):
    """Makes one ``brightness`` observation, labelled bright or dark, for each stretch of frames of one sort."""

    name: ClassVar[str] = "brightness"
    version: ClassVar[str] = "1"
    emits: ClassVar[tuple[str, ...]] = ("brightness",)
    Config = BrightnessConfig
    measurement_fields: ClassVar[frozenset[str] | None] = frozenset()

    def needs(self) -> Needs:
        """Two frames a second are enough."""
        return Needs(frames="all", rate=Fraction(2))

    def open(self, context: Context) -> None:
        """Start without memory."""
        self._held: list[Measurement] = []

    def measure(self, frame: Frame, given: Mapping[str, Measurement]) -> Measurement:
        """Mean luma of every eighth pixel."""
        return Measurement(frame.time, frame.duration, np.array([frame.luma()[::8, ::8].mean()], np.float32))

    def analyze(self, window: Window) -> Iterable[Observation]:
        """A stretch ends when the first frame of the other sort comes."""
        for measurement in window.measurements:
            if self._held and self._label(measurement) != self._label(self._held[0]):
                yield self._stretch(measurement)
            self._held.append(measurement)

    def flush(self) -> Iterable[Observation]:
        """The last stretch."""
        if self._held:
            yield self._stretch(None)

    def _label(self, measurement: Measurement) -> str:
        return "bright" if measurement.values[0] >= self.config.bright else "dark"

    def _stretch(self, after: Measurement | None) -> Observation:
        held, self._held = self._held, []
        end = after.time if after is not None else held[-1].span.end
        mean = float(np.mean([m.values[0] for m in held]))
        return Observation(Span(held[0].time, end), "brightness", score=mean / 255, label=self._label(held[0]))


class BrightnessTable:
    """Lines of start, end and label, with tabs."""

    name: ClassVar[str] = "brightness_table"
    extension: ClassVar[str] = ".tsv"
    description: ClassVar[str] = "bright and dark stretches, one a line"
    kinds: ClassVar[tuple[str, ...]] = ("brightness",)
    single: ClassVar[bool] = False

    def write(self, request: ExportRequest, out: BinaryIO) -> ExportSummary:
        """See `onlooker.reports.export.Export.write`."""
        summary = ExportSummary()
        for source in request.sources:
            for o in request.of(source, self.kinds):
                write_text(out, f"{o.span.start.seconds:.3f}\t{o.span.end.seconds:.3f}\t{o.label}\n")
                summary.written += 1
        return summary
