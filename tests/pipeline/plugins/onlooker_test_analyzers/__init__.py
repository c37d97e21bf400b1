"""Small analyzers with which the pipeline's tests reach all its paths, on real frames."""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np

from onlooker.core.analyzer import Analyzer, AnalyzerConfig, Needs
from onlooker.core.measurement import Measurement
from onlooker.core.observation import Attachment, Observation
from onlooker.core.time import Span


class LightConfig(AnalyzerConfig):
    step: int = 10
    threshold: float = 0.0


class Light(Analyzer[LightConfig]):
    """Mean brightness of every frame and its change since the frame before: one ``step`` every few frames."""

    name, version, emits, Config = "test_light", "1", ("step",), LightConfig
    measurement_fields = frozenset[str]()

    def needs(self):
        return Needs(frames="all", look_back=Fraction(1, 2))

    def open(self, context):
        self._last, self._held, self._count = 0.0, [], 0

    def measure(self, frame, given):
        mean = float(frame.luma()[::8, ::8].mean())
        change, self._last = mean - self._last, mean
        return Measurement(frame.time, frame.duration, np.array([mean, change], np.float32))

    def analyze(self, window):
        for m in window.measurements:
            self._held.append(m)
            if len(self._held) == self.config.step:
                yield self._emit()

    def _emit(self):
        first, last = self._held[0], self._held[-1]
        mean = float(np.mean([m.values[0] for m in self._held]))
        change = float(np.max([m.values[1] for m in self._held[1:]], initial=0))
        self._held, self._count = [], self._count + 1
        data = {"number": self._count, "change": round(change, 4)}
        picture = Attachment(f"steps/{self._count:05}.txt", f"{mean:.4f}".encode(), "text/plain")
        return Observation(Span(first.time, last.span.end), "step", score=mean, data=data, attachments=(picture,))

    def flush(self):
        if self._held:
            yield self._emit()


class Slow(Analyzer[AnalyzerConfig]):
    """As a network would: five frames a second, in a thread of its own, dense boxes."""

    name, version, emits, Config = "test_slow", "1", ("object",), AnalyzerConfig

    def needs(self):
        return Needs(frames="all", rate=Fraction(5), heavy=True, measurements=("test_light",))

    def measure(self, frame, given):
        time.sleep(0.002)
        small = frame.image(16, 9, "gray")
        y, x = np.unravel_index(int(small.argmax()), small.shape)
        return Measurement(frame.time, frame.duration, np.array([[x / 16, y / 9, given["test_light"].values[0]]]))

    def analyze(self, window):
        from onlooker.core.observation import Box

        for m in window.measurements:
            for x, y, mean in m.values:
                box = Box(float(x), float(y), float(x) + 1 / 16, float(y) + 1 / 9)
                yield Observation(m.span, "object", score=float(mean) / 255, label="brightest", box=box)


class After(Analyzer[AnalyzerConfig]):
    """Rests on the observations of another analyzer."""

    name, version, emits, Config = "test_after", "1", ("pair",), AnalyzerConfig

    def needs(self):
        return Needs(observations=("step",))

    def open(self, context):
        self._before = None

    def analyze(self, window):
        for o in window.observations:
            if self._before is not None:
                yield Observation(Span(self._before.span.start, o.span.end), "pair", score=o.score)
            self._before = o


class Wishes(Analyzer[AnalyzerConfig]):
    """Counts by kind what it is given of what it wishes for."""

    name, version, emits, Config = "test_wishes", "1", ("tally",), AnalyzerConfig

    def needs(self):
        return Needs(wishes=("step", "loudness", "never"))

    def open(self, context):
        self._counts = {}
        self._kinds = sorted(context.kinds)

    def analyze(self, window):
        for o in window.observations:
            self._counts[o.kind] = self._counts.get(o.kind, 0) + 1
        return ()

    def flush(self):
        yield Observation(
            Span.of_seconds(0, 1), "tally", data={**dict(sorted(self._counts.items())), "kinds": [*self._kinds]}
        )


class Breaks(Analyzer[AnalyzerConfig]):
    """Fails after one second."""

    name, version, emits, Config = "test_breaks", "1", ("never",), AnalyzerConfig

    def needs(self):
        return Needs(frames="all", rate=Fraction(2))

    def measure(self, frame, given):
        if frame.time.seconds >= 1:
            raise ValueError("planted")

    def analyze(self, window):
        return ()


class Sound(Analyzer[AnalyzerConfig]):
    """Loudness of each half second."""

    name, version, emits, Config = "test_sound", "1", ("loudness",), AnalyzerConfig

    def needs(self):
        return Needs(audio_rate=8000, audio_block=Fraction(1, 2))

    def hear(self, block):
        return Measurement(block.time, block.duration, np.array([float(np.abs(block.samples).mean())]))

    def analyze(self, window):
        for m in window.measurements:
            yield Observation(m.span, "loudness", score=float(m.values[0]))
