"""The analyzer ``expression``; see README.md."""

from __future__ import annotations

import hashlib
import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers._face_analyzer import FaceAnalyzer
from onlooker.analyzers._faces import QUALITY, upright_crop
from onlooker.analyzers._join import Joined, TrackEnd
from onlooker.analyzers._states import State, StateSpans
from onlooker.analyzers.expression.config import HEAVY_FIELDS, ExpressionConfig
from onlooker.core.analyzer import Context, Needs
from onlooker.core.observation import Observation
from onlooker.core.time import Span
from onlooker.models import bundle_digest, entry, load

__all__ = ["AGE_BANDS", "Expression", "age_band"]

_MODEL, _AGE_MODEL = "face-expression", "face-age-gender"
_SIZE = 112
AGE_BANDS = ((0, 12, "child"), (13, 19, "teenager"), (20, 34, "young adult"), (35, 54, "adult"), (55, 120, "senior"))


def age_band(years: float) -> str:
    """The band that an age falls in.

    >>> age_band(12.7), age_band(-3), age_band(200)
    ('child', 'child', 'senior')
    """
    return next((name for _, last, name in AGE_BANDS if years < last + 1), AGE_BANDS[-1][2])


@dataclass(slots=True)
class _Look:
    span: Span
    seen: NDArray[np.float64]
    quality: float

    @property
    def at(self) -> float:
        """Its moment in seconds."""
        return float(self.span.start.value)


@dataclass(slots=True)
class _Track:
    spans: StateSpans
    looks: deque[_Look] = field(default_factory=deque[_Look])
    decided: int = 0
    ages: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])


class Expression(FaceAnalyzer[ExpressionConfig]):
    """The usual seven expressions along face tracks; age bands where asked for."""

    name: ClassVar[str] = "expression"
    version: ClassVar[str] = "1"
    emits: ClassVar[tuple[str, ...]] = ("expression", "age")
    Config = ExpressionConfig
    measurement_fields: ClassVar[frozenset[str] | None] = HEAVY_FIELDS
    columns = 9
    models = (_MODEL,)

    def __init__(self, config: ExpressionConfig) -> None:
        super().__init__(config)
        self._labels = entry(_MODEL).labels
        self._tracks: dict[str, _Track] = {}
        self._model: Any = None
        self._age: Any = None

    @property
    def least_quality(self) -> float:
        """From the settings."""
        return self.config.least_quality

    def needs(self) -> Needs:
        """As all analyzers of faces; the model of ages only where it is asked for."""
        needs = super().needs()
        return replace(needs, models=(*needs.models, _AGE_MODEL)) if self.config.age else needs

    def bundle_digest(self) -> str | None:
        """Of the expression model, and of that of ages where it is asked for."""
        joined = " ".join(bundle_digest(name) for name in self.needs().models)
        return hashlib.sha256(joined.encode()).hexdigest()

    def open(self, context: Context) -> None:
        """Load the models."""
        self._model = load(_MODEL, threads=context.threads)
        self._age = load(_AGE_MODEL, threads=context.threads) if self.config.age else None
        self._tracks = {}

    def close(self) -> None:
        """Release the models."""
        for model in (self._model, self._age):
            if model is not None:
                model.close()
        self._model = self._age = None

    def look(self, picture: NDArray[np.uint8], face: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Seven probabilities, age in years (0 where not asked for), quality."""
        cut = upright_crop(picture, face, self.config.crop, _SIZE)
        crop = cut.astype(np.float32).transpose(2, 0, 1)[None]
        sides = [crop, crop[..., ::-1]] if self.config.mirror else [crop]
        seen = np.mean([self._model.run([np.ascontiguousarray(s)])[0][0] for s in sides], axis=0)
        years = float(self._age.run([np.ascontiguousarray(crop)])[0][0, 0]) if self._age is not None else 0.0
        return np.array([*seen, years, face[QUALITY]], np.float32)

    def follow(self, joined: Joined) -> Iterable[Observation]:
        """Wait for the looks that follow, and give out the stretches that ended."""
        config = self.config
        track = self._tracks.get(joined.track)
        if track is None:
            # within a track, what was not looked at did not change
            track = self._tracks[joined.track] = _Track(StateSpans(config.least_seconds, math.inf))
        if config.age:
            track.ages.append((float(joined.row[11]), float(joined.row[12])))
        track.looks.append(_Look(joined.span, joined.row[4:11].astype(np.float64), float(joined.row[12])))
        return self._told(joined.track, self._decide(track, float(joined.span.start.value) - config.smooth_seconds))

    def _decide(self, track: _Track, until: float) -> list[State]:
        """Label the looks up to that moment, each from those around it; returns the stretches that ended."""
        reach, made = self.config.smooth_seconds, list[State]()
        while track.decided < len(track.looks):
            look = track.looks[track.decided]
            at = look.at
            if at > until:
                break
            near = [(max(1e-6, 1 - abs(o.at - at) / (reach + 1e-3)), o) for o in track.looks if abs(o.at - at) <= reach]
            weights = np.array([w * max(o.quality, 0.05) for w, o in near])
            mean = (np.stack([o.seen for _, o in near]) * weights[:, None]).sum(0) / weights.sum()
            best = int(mean.argmax())
            label = self._labels[best] if mean[best] >= self.config.sure else ""
            made += track.spans.take(look.span, label, mean)
            track.decided += 1
            while track.decided and track.looks[0].at < at - reach:
                track.looks.popleft()
                track.decided -= 1
        return made

    def end(self, ended: TrackEnd) -> Iterable[Observation]:
        """The last stretch, and the age band."""
        track = self._tracks.pop(ended.track, None)
        if track is None:
            return []
        made = self._told(ended.track, [*self._decide(track, math.inf), *track.spans.finish()])
        if track.ages:
            years, weights = np.array(track.ages).T
            age = float((years * weights).sum() / max(weights.sum(), 1e-9))
            spread = float(years.std())
            data: dict[str, Any] = {"years": round(age, 1), "spread": round(spread, 1), "faces": len(years)}
            span = ended.observation.span
            made.append(Observation(span, "age", label=age_band(age), track=ended.track, data=data))
        return made

    def _told(self, name: str, states: Iterable[State]) -> list[Observation]:
        made: list[Observation] = []
        for state in states:
            if not state.label:
                continue
            mean = state.mean
            data: dict[str, Any] = {
                "probabilities": {k: round(float(v), 3) for k, v in zip(self._labels, mean, strict=True)},
                "faces": state.count,
            }
            score = float(mean[self._labels.index(state.label)])
            made.append(Observation(state.span, "expression", score=score, label=state.label, track=name, data=data))
        return made

    def flush(self) -> Iterable[Observation]:
        """The source has ended."""
        made = list(super().flush())
        for name in list(self._tracks):
            track = self._tracks.pop(name)
            made += self._told(name, [*self._decide(track, math.inf), *track.spans.finish()])
        return made
