"""The analyzer ``safety``; see README.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from onlooker import models
from onlooker.analyzers._spans import Stretch, StretchFinder
from onlooker.analyzers.safety.config import HEAVY_FIELDS, SafetyConfig
from onlooker.core.analyzer import Analyzer, Context, Needs, Window
from onlooker.core.measurement import Measurement
from onlooker.core.media import Frame
from onlooker.core.observation import Json, Observation
from onlooker.core.runtime import LoadedModel
from onlooker.core.time import Span, Timestamp

__all__ = ["LABELS", "Safety"]

LABELS = {"explicit": "porn", "explicit_drawing": "hentai", "suggestive": "sexy"}
"""Which class of the network each label comes from."""
_OFF = 0.7
"""A stretch goes on while the score is at least this share of what began it."""
_GAP = Fraction(5, 2)
_HOLD = Fraction(4)


class Safety(Analyzer[SafetyConfig]):
    """Stretches whose pictures are explicit or suggestive; or that none is."""

    name: ClassVar[str] = "safety"
    version: ClassVar[str] = "1"
    emits: ClassVar[tuple[str, ...]] = ("safety",)
    Config = SafetyConfig
    measurement_fields: ClassVar[frozenset[str] | None] = HEAVY_FIELDS

    def __init__(self, config: SafetyConfig) -> None:
        super().__init__(config)
        self._model: LoadedModel | None = None
        facts = models.entry(config.model)
        self._size: tuple[int, int] = tuple(facts.inputs["size"])
        self._columns = {label: facts.labels.index(name) for label, name in LABELS.items()}
        self._restart()

    def needs(self) -> Needs:
        """The pictures that ``keyframes`` looks at, beside decoding."""
        return Needs(
            frames="all",
            image=((*self._size, "rgb24"),),
            measurements=("keyframes",),
            heavy=True,
            models=(self.config.model,),
        )

    def bundle_digest(self) -> str | None:
        """The model's."""
        return models.bundle_digest(self.config.model)

    def open(self, context: Context) -> None:
        """Load the network."""
        self._restart()
        if context.source.video is not None:
            shapes = {"input:0": (1, self._size[1], self._size[0], 3)}
            self._model = models.load(self.config.model, threads=context.threads, shapes=shapes)

    def _restart(self) -> None:
        config = self.config
        least = {
            "explicit": config.explicit,
            "explicit_drawing": config.explicit_drawing,
            "suggestive": config.suggestive,
        }
        self._finders = {
            label: StretchFinder(on, on * _OFF, minimum=Fraction(0), gap=_GAP, hold=_HOLD)
            for label, on in least.items()
        }
        self._pictures = 0
        self._told = False
        self._most = dict.fromkeys(LABELS, 0.0)
        self._first: Timestamp | None = None
        self._end: Timestamp | None = None

    # -- heavy part --

    def measure(self, frame: Frame, given: Mapping[str, Measurement]) -> Measurement | None:
        """(5,) float32: the probability of each class of the network. None: no picture of ``keyframes``."""
        if "keyframes" not in given or self._model is None:
            return None
        picture = frame.image(*self._size, "rgb24")
        scores: NDArray[np.float32] = self._model.run([picture[None].astype(np.float32) / 255])[0][0]
        return Measurement(frame.time, frame.duration, scores)

    def warm(self, frame: Frame, given: Mapping[str, Measurement]) -> None:
        """Nothing: a score depends on its picture alone."""

    # -- light part --

    def analyze(self, window: Window) -> Iterable[Observation]:
        """The stretches that have ended."""
        made: list[Observation] = []
        for m in window.measurements:
            self._pictures += 1
            self._first = m.time if self._first is None else self._first
            self._end = m.span.end
            for label, finder in self._finders.items():
                score = float(m.values[self._columns[label]])
                self._most[label] = max(self._most[label], score)
                made += self._observed(label, finder.feed(m.time, score))
        return made

    def _observed(self, label: str, stretches: Iterable[Stretch]) -> list[Observation]:
        made: list[Observation] = []
        for s in stretches:
            if s.count >= self.config.least_pictures:
                self._told = True
                data: dict[str, Json] = {"pictures": s.count}
                made.append(Observation(s.span, "safety", round(min(1.0, s.peak), 4), label, data=data))
        return made

    def flush(self) -> Iterable[Observation]:
        """Stretches to the end; where nothing was found, that all is safe."""
        if self._first is None or self._end is None:
            return []
        made = [o for label, finder in self._finders.items() for o in self._observed(label, finder.flush(self._end))]
        if not self._told:
            most: dict[str, Json] = {label: round(score, 4) for label, score in self._most.items()}
            data: dict[str, Json] = {"pictures": self._pictures, "most": most}
            score = round(1 - max(self._most.values()), 4)
            made.append(Observation(Span(self._first, self._end), "safety", score, "safe", data=data))
        self._restart()
        return made

    def close(self) -> None:
        """Release the network."""
        if self._model is not None:
            self._model.close()
            self._model = None
