"""The analyzer ``labels``; see README.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from onlooker.analyzers.labels.config import LabelsConfig
from onlooker.core.analyzer import Analyzer, Context, Needs, Window
from onlooker.core.observation import Json, Observation
from onlooker.core.time import Span, Timestamp

__all__ = ["Labels"]

_SENSES = {"track": "objects", "sound": "sounds"}


@dataclass(frozen=True, slots=True)
class _Seen:
    """One track or sound."""

    span: Span
    label: str
    sense: str
    score: float


class Labels(Analyzer[LabelsConfig]):
    """What is in the source and in each scene, how long, and by which senses."""

    name: ClassVar[str] = "labels"
    version: ClassVar[str] = "1"
    emits: ClassVar[tuple[str, ...]] = ("label",)
    Config = LabelsConfig
    measurement_fields: ClassVar[frozenset[str] | None] = frozenset()

    def needs(self) -> Needs:
        """Tracks, sounds and scenes, where they are made."""
        return Needs(wishes=(*_SENSES, "scene") if self.config.scenes else tuple(_SENSES))

    def __init__(self, config: LabelsConfig) -> None:
        super().__init__(config)
        self._restart(None)

    def open(self, context: Context) -> None:
        """Start a new source."""
        self._restart(context.source.duration)

    def _restart(self, duration: Fraction | None) -> None:
        self._duration = duration
        self._seen: list[_Seen] = []
        self._scenes: list[Span] = []

    def analyze(self, window: Window) -> Iterable[Observation]:
        """Nothing yet: tracks are told at their ends."""
        for o in window.observations:
            if o.kind == "scene" and self.config.scenes:
                self._scenes.append(o.span)
            elif o.kind in _SENSES and o.label:
                self._seen.append(_Seen(o.span, o.label, _SENSES[o.kind], o.score if o.score is not None else 0.5))
        return ()

    def flush(self) -> Iterable[Observation]:
        """The labels of the source, then of its scenes."""
        seen, scenes, duration = self._seen, sorted(self._scenes, key=lambda s: s.start), self._duration
        self._restart(None)
        if not seen:
            return []
        end = max(s.span.end for s in seen)
        whole = Span(Timestamp.of_seconds(0), end if duration is None else max(end, Timestamp.of_seconds(duration)))
        made = self._labels("source", whole, seen)
        for scene in scenes:
            made += self._labels("scene", scene, [s for s in seen if s.span.overlaps(scene)])
        return made

    def _labels(self, period: str, stretch: Span, seen: Sequence[_Seen]) -> list[Observation]:
        made: list[Observation] = []
        for label in dict.fromkeys(sorted(s.label for s in seen)):
            own = [s for s in seen if s.label == label]
            seconds = _covered(stretch, [s.span for s in own])
            share = float(seconds / stretch.duration) if stretch.duration else 0.0
            if seconds < self.config.least_seconds and share < self.config.least_share:
                continue
            # the senses are independent witnesses: it is there unless all of them err
            senses = {
                sense: max((s.score for s in own if s.sense == sense), default=None) for sense in _SENSES.values()
            }
            known: dict[str, float] = {sense: score for sense, score in senses.items() if score is not None}
            doubt = 1.0
            for score in known.values():
                doubt *= 1 - min(1.0, score)
            total = sum(known.values()) or 1.0
            shares: dict[str, Json] = {sense: round(score / total, 4) for sense, score in known.items()}
            data: dict[str, Json] = {
                "period": period,
                "senses": shares,
                "seconds": round(float(seconds), 3),
                "share": round(share, 4),
                "count": len(own),
            }
            made.append(Observation(stretch, "label", round(1 - doubt, 4), label, data=data))
        made.sort(key=lambda o: (-float(str(o.data["share"])), o.label or ""))
        return made[: self.config.most]


def _covered(stretch: Span, spans: Sequence[Span]) -> Fraction:
    """Seconds of the stretch in which at least one of the spans is."""
    total, reached = Fraction(0), stretch.start
    for span in sorted(spans, key=lambda s: s.start):
        start, end = max(reached, span.start), min(stretch.end, span.end)
        if end > start:
            total, reached = total + (end - start), end
    return total
