"""The light part: from the numbers of each moment to observations, one class for each task."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers._spans import Stretch, StretchFinder
from onlooker.analyzers.bundle.config import BundleConfig
from onlooker.bundles.outputs import Anomaly, Dense, Detection, Embedding, Events, Output, Regression, Scored, Spans
from onlooker.bundles.scores import exclusive, probabilities
from onlooker.core.errors import ConfigError
from onlooker.core.observation import Box, Json, Observation
from onlooker.core.time import Span, Timestamp

__all__ = ["Decider", "decider_for"]

Floats = NDArray[np.float32]


def _fraction(seconds: float) -> Fraction:
    return Fraction(round(seconds * 1000), 1000)


class Decider(ABC):
    """Makes the observations of one output.

    Attributes:
        since: where the earliest observation begins that is held back, or None.
    """

    @abstractmethod
    def take(self, since: Timestamp, until: Timestamp, values: Floats) -> Iterable[Observation]:
        """The numbers of the moment [since, until), later than the last."""

    @abstractmethod
    def flush(self) -> Iterable[Observation]:
        """No more moments."""

    def once(self, span: Span, values: Floats) -> list[Observation]:
        """The observations of one text, whose numbers stand for themselves."""
        raise NotImplementedError(f"{type(self).__name__} needs a series of moments")

    @property
    @abstractmethod
    def since(self) -> Timestamp | None:
        """See the class."""


class _Smooth:
    """Mean over the past."""

    def __init__(self, seconds: float) -> None:
        self._seconds = _fraction(seconds)
        self._kept: deque[tuple[Timestamp, NDArray[np.float64]]] = deque()

    def take(self, time: Timestamp, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        if not self._seconds:
            return scores
        self._kept.append((time, scores))
        while time - self._kept[0][0] >= self._seconds:
            self._kept.popleft()
        return np.mean([s for _, s in self._kept], axis=0)


class _Finders:
    """Stretches by label number; a finder is there only while its label has something under way."""

    def __init__(self, spans: Spans, config: BundleConfig, hop: Fraction) -> None:
        minimum = spans.minimum_seconds if config.minimum_seconds is None else config.minimum_seconds
        gap = spans.gap_seconds if config.gap_seconds is None else config.gap_seconds
        self._minimum, self._gap, self._hold = _fraction(minimum), _fraction(gap), 2 * hop
        self._longest = None if config.longest_seconds is None else _fraction(config.longest_seconds)
        self._share = spans.hold
        self._finders: dict[int, StretchFinder] = {}
        self._until: Timestamp | None = None

    def take(
        self, since: Timestamp, until: Timestamp, values: Mapping[int, float], on: Mapping[int, float], **rows: Floats
    ) -> list[tuple[int, Stretch]]:
        """The stretches that ended; ``values`` and ``on`` are the scores and thresholds by label number, ``rows`` what
        stretches keep.
        """
        made: list[tuple[int, Stretch]] = []
        for number, value in values.items():
            finder = self._finders.get(number)
            if finder is None:
                if value < on[number]:
                    continue
                off = on[number] - (1 - self._share) * abs(on[number])
                finder = self._finders[number] = StretchFinder(
                    on[number], off, minimum=self._minimum, gap=self._gap, hold=self._hold, longest=self._longest
                )
            made += [(number, s) for s in finder.feed(since, value, mean=float(value), **rows)]
            if not finder.pending:
                del self._finders[number]
        self._until = until
        return made

    def flush(self) -> list[tuple[int, Stretch]]:
        made = [(number, s) for number, finder in self._finders.items() for s in finder.flush(self._until)]
        self._finders, self._until = {}, None
        return made

    @property
    def since(self) -> Timestamp | None:
        return min((s for f in self._finders.values() if (s := f.since) is not None), default=None)


class _ScoredSpans(Decider):
    """Spans of labels."""

    def __init__(self, output: Scored, config: BundleConfig, hop: Fraction) -> None:
        self._output = output
        smooth = output.spans.smooth_seconds if config.smooth_seconds is None else config.smooth_seconds
        self._smooth = _Smooth(smooth)
        self._finders = _Finders(output.spans, config, hop)
        self._on = _thresholds(output, config)

    def take(self, since: Timestamp, until: Timestamp, values: Floats) -> Iterable[Observation]:
        scores = self._smooth.take(since, probabilities(self._output, values))
        only = exclusive(self._output, scores)
        # below any threshold: where one label holds, the others do not
        seen = {n: float(scores[n]) if only in (None, n) else -1.0 for n in self._on}
        return [self._observation(*found) for found in self._finders.take(since, until, seen, self._on)]

    def once(self, span: Span, values: Floats) -> list[Observation]:
        """The labels of one text, as observations of its span."""
        scores = probabilities(self._output, values)
        only = exclusive(self._output, scores)
        chosen = [n for n, on in self._on.items() if scores[n] >= on and only in (None, n)]
        kind, labels = self._output.kind, self._output.labels
        return [Observation(span, kind, round(float(scores[n]), 4), labels[n], data=self._data) for n in chosen]

    @property
    def _data(self) -> dict[str, Json]:
        return {"task": self._output.name}

    def _observation(self, number: int, stretch: Stretch) -> Observation:
        data: dict[str, Json] = {**self._data, "mean": round(stretch.mean("mean"), 4), "looks": stretch.count}
        score, label = round(min(1.0, stretch.peak), 4), self._output.labels[number]
        return Observation(stretch.span, self._output.kind, score, label, data=data)

    def flush(self) -> Iterable[Observation]:
        return [self._observation(*found) for found in self._finders.flush()]

    @property
    def since(self) -> Timestamp | None:
        return self._finders.since


def _thresholds(output: Scored, config: BundleConfig) -> dict[int, float]:
    """Score from which each label that is wanted is observed, by number."""
    wanted = [n for n in output.labels if n not in output.ignore and (not config.labels or n in config.labels)]
    given = {**output.thresholds, **config.thresholds}
    return {output.labels.index(n): min(1.0, given.get(n, output.threshold) / config.sensitivity) for n in wanted}


class _Peaks(Decider):
    """Moments at which a label's score is highest."""

    def __init__(self, output: Events, config: BundleConfig) -> None:
        self._output, self._on = output, _thresholds(output, config)
        self._apart, self._length = _fraction(output.apart_seconds), _fraction(output.length_seconds)
        self._best: dict[int, tuple[Timestamp, float]] = {}

    def take(self, since: Timestamp, until: Timestamp, values: Floats) -> Iterable[Observation]:
        scores = probabilities(self._output, values)
        only = exclusive(self._output, scores)
        middle = Timestamp.of_seconds((since.value + until.value) / 2)
        made = self._passed(middle)
        for number, on in self._on.items():
            score = float(scores[number])
            if score < on or only not in (None, number):
                continue
            if number not in self._best or score > self._best[number][1]:
                self._best[number] = (middle, score)
        return made

    def _passed(self, now: Timestamp | None) -> list[Observation]:
        done = [n for n, (at, _) in self._best.items() if now is None or now - at >= self._apart]
        return [self._observation(n, *self._best.pop(n)) for n in sorted(done)]

    def _observation(self, number: int, at: Timestamp, score: float) -> Observation:
        start = Timestamp.of_seconds(max(Fraction(0), at.value - self._length / 2))
        data: dict[str, Json] = {"task": self._output.name, "peak_seconds": round(at.seconds, 3)}
        span = Span(start, Timestamp.of_seconds(at.value + self._length / 2))
        return Observation(span, self._output.kind, round(score, 4), self._output.labels[number], data=data)

    def flush(self) -> Iterable[Observation]:
        return self._passed(None)

    @property
    def since(self) -> Timestamp | None:
        first = min((at for at, _ in self._best.values()), default=None)
        return None if first is None else Timestamp.of_seconds(max(Fraction(0), first.value - self._length / 2))


class _Buckets(Decider):
    """Sums of every few seconds."""

    def __init__(self, every: float) -> None:
        self._every = 1 / _fraction(every)
        self._kept: list[NDArray[np.float64]] = []
        self._number = 0
        self._span: tuple[Timestamp, Timestamp] | None = None

    def take(self, since: Timestamp, until: Timestamp, values: Floats) -> Iterable[Observation]:
        made: list[Observation] = []
        number = since.tick(self._every)
        if self._span is not None and number != self._number:
            near = since - self._span[1] < 1 / self._every
            made = self._told(since if near else None)
        self._number = number
        self._span = (self._span[0] if self._span else since, until)
        self._kept.append(values.astype(np.float64))
        return made

    def _told(self, end: Timestamp | None = None) -> list[Observation]:
        if self._span is None:
            return []
        made = self.observations(Span(self._span[0], end or self._span[1]), np.stack(self._kept))
        self._kept, self._span = [], None
        return made

    @abstractmethod
    def observations(self, span: Span, rows: NDArray[Any]) -> list[Observation]:
        """Of the rows (n, numbers) of one stretch."""

    def once(self, span: Span, values: Floats) -> list[Observation]:
        """The observations of one text."""
        return self.observations(span, values.astype(np.float64)[None])

    def flush(self) -> Iterable[Observation]:
        return self._told()

    @property
    def since(self) -> Timestamp | None:
        return self._span[0] if self._span else None


class _Numbers(_Buckets):
    def __init__(self, output: Regression, config: BundleConfig) -> None:
        super().__init__(output.every_seconds)
        self._output = output
        self._wanted = [n for n, label in enumerate(output.labels) if not config.labels or label in config.labels]

    def observations(self, span: Span, rows: NDArray[Any]) -> list[Observation]:
        output = self._output
        low = -math.inf if output.low is None else output.low
        rows = np.clip(rows, low, math.inf if output.high is None else output.high)
        made: list[Observation] = []
        for n in self._wanted:
            values: dict[str, float] = {"value": rows[:, n].mean(), "least": rows[:, n].min(), "most": rows[:, n].max()}
            data: dict[str, Json] = {k: round(float(v), 6) for k, v in values.items()}
            data |= {"task": output.name, "looks": len(rows), **({"unit": output.unit} if output.unit else {})}
            made.append(Observation(span, output.kind, label=output.labels[n], data=data))
        return made


class _Vectors(_Buckets):
    def __init__(self, output: Embedding) -> None:
        super().__init__(output.every_seconds)
        self._output = output

    def observations(self, span: Span, rows: NDArray[Any]) -> list[Observation]:
        vector = rows.mean(0)
        if self._output.unit_length:
            vector = vector / max(float(np.linalg.norm(vector)), 1e-12)
        data: dict[str, Json] = {"of": self._output.name, "looks": len(rows)}
        made = vector.astype(np.float32)
        return [
            Observation(
                span, "embedding", label=self._output.name, data=data, vector=made, vector_space=self._output.space
            )
        ]


class _Unusual(Decider):
    """Spans in which a score is above its threshold."""

    def __init__(self, output: Anomaly, config: BundleConfig, hop: Fraction) -> None:
        self._output, self._config = output, config
        smooth = output.spans.smooth_seconds if config.smooth_seconds is None else config.smooth_seconds
        self._smooth = _Smooth(smooth)
        self._finders = _Finders(output.spans, config, hop)
        self._on = output.threshold
        if config.false_alarms_per_hour is not None:
            try:
                self._on = output.threshold_for(config.false_alarms_per_hour)
            except ValueError as error:
                raise ConfigError(f"false_alarms_per_hour: {error}") from None

    def take(self, since: Timestamp, until: Timestamp, values: Floats) -> Iterable[Observation]:
        score = float(self._smooth.take(since, values[:1].astype(np.float64))[0])
        found = self._finders.take(since, until, {0: score}, {0: self._on}, looks=values)
        return [self._observation(s) for _, s in found]

    def once(self, span: Span, values: Floats) -> list[Observation]:
        """The observation of one text, if it is unusual."""
        score = float(values[0])
        if score < self._on:
            return []
        return [self._observation(Stretch(span.start, span.end, score, {"mean": score}, {"looks": [values]}, 1, 1))]

    def _explained(self, looks: list[Floats]) -> tuple[Box | None, str | None, dict[str, Json]]:
        """Where, why, and the shares of the reasons, of the look with the highest score."""
        best = max(looks, key=lambda look: look[0])
        box, at = None, 1
        if self._output.region is not None:
            left, top, right, bottom = (float(v) for v in np.clip(best[1:5], 0, 1))
            box, at = Box(left, top, max(left, right), max(top, bottom)), 5
        if self._output.reasons is None:
            return box, None, {}
        labels, shares = self._output.reasons.labels, best[at:]
        reasons: dict[str, Json] = {n: round(float(v), 4) for n, v in zip(labels, shares, strict=True)}
        return box, labels[int(shares.argmax())], {"reasons": reasons}

    def _observation(self, stretch: Stretch) -> Observation:
        box, label, reasons = self._explained(stretch.rows["looks"])
        above = (stretch.peak - self._on) / max(abs(self._on), 1e-9)
        data: dict[str, Json] = {
            "task": self._output.name,
            "peak": round(stretch.peak, 6),
            "mean": round(stretch.mean("mean"), 6),
            "threshold": round(self._on, 6),
            "looks": stretch.count,
            **reasons,
        }
        if self._config.false_alarms_per_hour is not None:
            data["false_alarms_per_hour"] = self._config.false_alarms_per_hour
        score = round(1 - 0.5 * math.exp(-above), 4)
        return Observation(stretch.span, self._output.kind, score, label, box=box, data=data)

    def flush(self) -> Iterable[Observation]:
        return [self._observation(s) for _, s in self._finders.flush()]

    @property
    def since(self) -> Timestamp | None:
        return self._finders.since


def decider_for(output: Output, config: BundleConfig, hop: Fraction) -> Decider:
    """What decides on an output.

    Args:
        output: of the bundle; detections, which have tracks, are decided elsewhere.
        config: the settings.
        hop: seconds from one moment to the next.

    Raises:
        ConfigError: the settings ask for what the bundle does not have.
    """
    if isinstance(output, Detection):
        raise TypeError("detections have tracks")
    if isinstance(output, Regression):
        return _Numbers(output, config)
    if isinstance(output, Embedding):
        return _Vectors(output)
    if isinstance(output, Anomaly):
        return _Unusual(output, config, hop)
    if isinstance(output, Events):
        return _Peaks(output, config)
    step = hop if not isinstance(output, Dense) else hop / max(1, output.steps)
    return _ScoredSpans(output, config, step)
