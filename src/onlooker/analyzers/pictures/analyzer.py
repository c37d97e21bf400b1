"""The analyzer ``pictures``; see README.md."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from onlooker import models
from onlooker.analyzers._clip_towers import ImageTower, TextTower
from onlooker.analyzers._spans import Stretch, StretchFinder
from onlooker.analyzers.pictures.config import HEAVY_FIELDS, PicturesConfig
from onlooker.core.analyzer import Analyzer, Context, Needs, Window
from onlooker.core.errors import ConfigError
from onlooker.core.measurement import Measurement
from onlooker.core.media import Frame
from onlooker.core.observation import Json, Observation
from onlooker.core.time import Timestamp

__all__ = ["Pictures"]

_OFF = 0.6
_GAP, _HOLD = Fraction(5, 2), Fraction(4)


class Pictures(Analyzer[PicturesConfig]):
    """A vector for each new look, for search by words, and labels of whole pictures."""

    name: ClassVar[str] = "pictures"
    version: ClassVar[str] = "1"
    emits: ClassVar[tuple[str, ...]] = ("embedding", "label")
    Config = PicturesConfig
    measurement_fields: ClassVar[frozenset[str] | None] = HEAVY_FIELDS

    def __init__(self, config: PicturesConfig) -> None:
        super().__init__(config)
        spaces = [str(models.entry(n).facts.get("space")) for n in (config.image_model, config.text_model)]
        if spaces[0] != spaces[1]:
            raise ConfigError(
                f"pictures: {config.image_model} and {config.text_model} are of the spaces {spaces[0]} and {spaces[1]}",
                hint="choose two networks of one space",
            )
        self._space = spaces[0]
        self._image: ImageTower | None = None
        self._names: list[str] = []
        self._ways: NDArray[np.float32] | None = None
        self._scale = 1.0
        self._restart()

    def needs(self) -> Needs:
        """The pictures that ``keyframes`` looks at, beside decoding."""
        config = self.config
        size = models.entry(config.image_model).inputs["size"]
        texts: tuple[str, ...] = ()
        if config.labels:
            texts = (config.text_model, str(models.entry(config.text_model).facts["tokens"]))
        return Needs(
            frames="all",
            image=((int(size[0]), 0, "rgb24"),),
            measurements=("keyframes",),
            heavy=True,
            models=(config.image_model, *texts),
        )

    def bundle_digest(self) -> str | None:
        """One digest of the networks in use."""
        return hashlib.sha256(" ".join(models.bundle_digest(n) for n in self.needs().models).encode()).hexdigest()

    def open(self, context: Context) -> None:
        """Load the picture's network; encode the labels, where they are decided."""
        self._restart()
        if context.source.video is None:
            return
        self._image = ImageTower(self.config.image_model, context.threads)
        if self.config.labels and not context.heavy_only:
            self._encode_labels()

    def _encode_labels(self) -> None:
        config = self.config
        tower = TextTower(config.text_model)
        try:
            ways: list[NDArray[np.float32]] = []
            for label in config.labels.values():
                prompts = [t.format(label.english) for t in config.templates]
                if "zh" in tower.languages:
                    prompts += [t.format(label.chinese) for t in config.chinese_templates]
                ways.append(tower.mean(prompts))
            ways += [tower.one(other) for other in config.others]
            self._names, self._ways, self._scale = list(config.labels), np.stack(ways), tower.scale
        finally:
            tower.close()

    def _restart(self) -> None:
        self._last: NDArray[np.float32] | None = None
        self._stored: Timestamp | None = None
        self._end: Timestamp | None = None
        score = self.config.score
        self._finders = {
            name: StretchFinder(score, score * _OFF, minimum=Fraction(0), gap=_GAP, hold=_HOLD)
            for name in self.config.labels
        }

    # -- heavy part --

    def measure(self, frame: Frame, given: Mapping[str, Measurement]) -> Measurement | None:
        """(d,) float32, the picture's vector. None: no picture of ``keyframes``."""
        if "keyframes" not in given or self._image is None:
            return None
        return Measurement(frame.time, frame.duration, self._image.frame(frame))

    def warm(self, frame: Frame, given: Mapping[str, Measurement]) -> None:
        """Nothing: a vector depends on its picture alone."""

    # -- light part --

    def analyze(self, window: Window) -> Iterable[Observation]:
        """Vectors of new looks, and labels that have ended."""
        made: list[Observation] = []
        for m in window.measurements:
            self._end = m.span.end
            vector: NDArray[np.float32] = m.values
            if self._is_new(m.time, vector):
                self._last, self._stored = vector, m.time
                made.append(Observation(m.span, "embedding", label="image", vector=vector, vector_space=self._space))
            if self._ways is None:
                continue
            for name, score in zip(self._names, self._probabilities(vector), strict=False):
                made += self._observed(name, self._finders[name].feed(m.time, score))
        return made

    def _is_new(self, time: Timestamp, vector: NDArray[np.float32]) -> bool:
        if self._last is None or self._stored is None:
            return True
        return time - self._stored >= self.config.every_seconds or float(vector @ self._last) < self.config.new_look

    def _probabilities(self, vector: NDArray[np.float32]) -> list[float]:
        """Of each label among all labels and the others."""
        assert self._ways is not None
        scaled = self._scale * (self._ways @ vector).astype(np.float64)
        shares = np.exp(scaled - scaled.max())
        return (shares / shares.sum()).tolist()

    def _observed(self, name: str, stretches: Iterable[Stretch]) -> list[Observation]:
        label = self.config.labels[name]
        made: list[Observation] = []
        for s in stretches:
            data: dict[str, Json] = {"period": "stretch", "senses": {"pictures": 1.0}, "pictures": s.count}
            text = f"{name.replace('_', ' ')} · {label.chinese}"
            made.append(Observation(s.span, "label", round(min(1.0, s.peak), 4), name, text=text, data=data))
        return made

    def flush(self) -> Iterable[Observation]:
        """Labels that last to the end."""
        made = [o for name, finder in self._finders.items() for o in self._observed(name, finder.flush(self._end))]
        self._restart()
        return made

    def close(self) -> None:
        """Release the network."""
        if self._image is not None:
            self._image.close()
        self._image = None
        self._ways = None
