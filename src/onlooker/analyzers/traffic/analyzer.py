"""The analyzer ``traffic``; see README.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers._join import Joined, TrackEnd, TrackJoin
from onlooker.analyzers.traffic.colours import COLOURS, colour_votes, light_of
from onlooker.analyzers.traffic.config import HEAVY_FIELDS, TrafficConfig
from onlooker.analyzers.traffic.movement import Movement, flows, movement
from onlooker.core.analyzer import Analyzer, Context, Needs, Window
from onlooker.core.measurement import Measurement
from onlooker.core.media import Frame
from onlooker.core.observation import Observation
from onlooker.core.time import Span, Timestamp
from onlooker.models import entry

__all__ = ["Traffic"]

_MINUTE = 60
# parts of the box: left, top, right, bottom
_VEHICLE = (0.2, 0.45, 0.8, 0.8)
_UPPER, _LOWER = (0.3, 0.22, 0.7, 0.48), (0.3, 0.55, 0.7, 0.82)
_COLUMNS = 4 + 2 * len(COLOURS)


@dataclass(slots=True)
class _Counts:
    labels: Counter[str] = field(default_factory=Counter[str])
    directions: Counter[str] = field(default_factory=Counter[str])
    colours: Counter[str] = field(default_factory=Counter[str])

    headings: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def add(self, label: str, way: Movement, colour: str | None) -> None:
        self.labels[label] += 1
        self.directions[f"{label} {way.direction}"] += 1
        if way.heading is not None:
            group = "person" if label == "person" else "vehicle"
            self.headings.setdefault(group, []).append(way.heading)
        if colour is not None:
            self.colours[f"{label} {colour}"] += 1

    def data(self, period: str, minutes: float, apart: float) -> dict[str, Any]:
        parts = {"labels": self.labels, "directions": self.directions, "colours": self.colours}
        return {
            "period": period,
            "total": self.labels.total(),
            "per_minute": round(self.labels.total() / max(minutes, 1e-6), 2),
            **{k: dict(sorted(v.items())) for k, v in parts.items()},
            "flows": [
                {"group": group, "heading": heading, "count": count}
                for group, headings in sorted(self.headings.items())
                for heading, count in flows(headings, apart)
            ],
        }


class Traffic(Analyzer[TrafficConfig]):
    """Type, colour, direction and speed of each vehicle and pedestrian, and counts."""

    name: ClassVar[str] = "traffic"
    version: ClassVar[str] = "2"
    emits: ClassVar[tuple[str, ...]] = ("attribute", "fact")
    Config = TrafficConfig
    measurement_fields: ClassVar[frozenset[str] | None] = HEAVY_FIELDS

    def __init__(self, config: TrafficConfig) -> None:
        super().__init__(config)
        labels = entry(config.objects_model).labels
        self._wanted = np.array(
            [i for i, label in enumerate(labels) if label in (*config.labels, *config.also)], np.float32
        )
        self._person = labels.index("person")
        self._aspect = 16 / 9
        self._restart()

    def needs(self) -> Needs:
        """The frames of ``objects``."""
        return Needs(
            frames="all",
            image=((self.config.width, 0, "rgb24"),),
            measurements=("objects",),
            observations=("object", "track"),
            heavy=True,
        )

    def open(self, context: Context) -> None:
        """Learn the picture's shape."""
        video = context.source.video
        self._aspect = video.width / video.height if video is not None else 16 / 9
        self._restart()

    def _restart(self) -> None:
        self._join = TrackJoin("object", "track")
        self._votes: dict[str, NDArray[np.float64]] = {}
        self._whole = _Counts()
        self._minutes: dict[int, _Counts] = {}
        self._seen: Timestamp | None = None

    # -- heavy part --

    def measure(self, frame: Frame, given: Mapping[str, Measurement]) -> Measurement | None:
        """(n, 24) float32: box (0..1), shares of 10 colours of a vehicle or the upper body, then of the lower body.

        None: no frame in which objects were looked for.
        """
        found = given.get("objects")
        if found is None:
            return None
        boxes = found.values
        boxes = boxes[np.isin(boxes[:, 5], self._wanted) & (boxes[:, 4] >= self.config.least_box)]
        values = np.zeros((len(boxes), _COLUMNS), np.float32)
        if len(boxes):
            picture = frame.image(min(self.config.width, frame.width), None, "rgb24")
            light = light_of(picture)
            for row, box in zip(values, boxes, strict=True):
                row[:4] = box[:4]
                parts = (_UPPER, _LOWER) if box[5] == self._person else (_VEHICLE,)
                for i, part in enumerate(parts):
                    at = 4 + i * len(COLOURS)
                    row[at : at + len(COLOURS)] = colour_votes(_part(picture, box, part), light)
        return Measurement(frame.time, frame.duration, values)

    def warm(self, frame: Frame, given: Mapping[str, Measurement]) -> None:
        """Each box is looked at alone: nothing to remember."""

    # -- light part --

    def analyze(self, window: Window) -> Iterable[Observation]:
        """Tracks that ended, and minutes that are complete."""
        made = self._go_on(window)
        if window.measurements:
            self._seen = window.measurements[-1].span.end
            # tracks are told some seconds after their end: a minute is complete a minute later
            done = int(self._seen.value // _MINUTE) - 1
            made += [self._minute(k) for k in sorted(self._minutes) if k < done]
        return made

    def flush(self) -> Iterable[Observation]:
        """The last minutes and the whole."""
        made = self._go_on(None)
        made += [self._minute(k) for k in sorted(self._minutes)]
        if self._seen is not None and self._seen.value > 0:
            span = Span(Timestamp.of_seconds(0), self._seen)
            made.append(self._fact(span, self._whole, "source"))
        self._restart()
        return made

    def _minute(self, number: int) -> Observation:
        assert self._seen is not None
        end = min(Fraction((number + 1) * _MINUTE), self._seen.value)
        span = Span(Timestamp.of_seconds(Fraction(number * _MINUTE)), Timestamp.of_seconds(end))
        return self._fact(span, self._minutes.pop(number), "minute")

    def _fact(self, span: Span, counts: _Counts, period: str) -> Observation:
        data = counts.data(period, float(span.duration) / _MINUTE, self.config.flow_degrees)
        return Observation(span, "fact", label="count", data=data)

    def _go_on(self, window: Window | None) -> list[Observation]:
        made: list[Observation] = []
        for part in self._join.take(window):
            if isinstance(part, Joined):
                votes = part.row[4:].reshape(2, -1).astype(np.float64) * (part.observation.score or 0.0)
                self._votes[part.track] = self._votes.get(part.track, 0.0) + votes
            else:
                made += self._end(part)
        return made

    def _end(self, ended: TrackEnd) -> list[Observation]:
        votes, track = self._votes.pop(ended.track, None), ended.observation
        seen = track.label or ""
        label = self.config.also.get(seen, seen)
        if label not in self.config.labels:
            return []
        config = self.config
        way = movement(track.data, float(track.span.duration), self._aspect, config.still, config.growth)
        kinds: Any = track.data.get("votes") or {}
        data: dict[str, Any] = {"type": label, "type_score": float(kinds.get(seen, 0.0))}
        data |= {"direction": way.direction, "speed": round(way.speed, 4), "growth": round(way.growth, 3)}
        if way.heading is not None:
            data["heading"] = round(way.heading, 1)
        if way.depth:
            data["depth"] = way.depth
        colour = _colour(votes[0], label == "person") if votes is not None else None
        lower = _colour(votes[1], True) if votes is not None and label == "person" else None
        for name, found in (("colour", colour), ("lower_colour", lower)):
            if found is not None:
                data |= {name: found[0], f"{name}_score": found[1]}
        minute = int(max(track.span.end.value - Fraction(1, 1000), Fraction(0)) // _MINUTE)
        for counts in (self._whole, self._minutes.setdefault(minute, _Counts())):
            counts.add(label, way, colour[0] if colour else None)
        return [Observation(track.span, "attribute", track.score, label, track.box, ended.track, data=data)]


def _part(
    picture: NDArray[np.uint8], box: NDArray[np.float32], part: tuple[float, float, float, float]
) -> NDArray[np.uint8]:
    """The pixels of a part of a box."""
    height, width = picture.shape[:2]
    left, top = float(box[0]), float(box[1])
    wide, high = float(box[2]) - left, float(box[3]) - top
    x0, x1 = (round((left + p * wide) * width) for p in (part[0], part[2]))
    y0, y1 = (round((top + p * high) * height) for p in (part[1], part[3]))
    return picture[max(y0, 0) : y1, max(x0, 0) : x1]


def _colour(votes: NDArray[np.float64], clothing: bool) -> tuple[str, float] | None:
    """The colour with the most votes and its share; None without votes. Clothing is grey, not silver."""
    votes = votes.copy()
    if clothing:
        grey, silver = COLOURS.index("grey"), COLOURS.index("silver")
        votes[grey] += votes[silver]
        votes[silver] = 0
    total = float(votes.sum())
    if total <= 0:
        return None
    best = int(votes.argmax())
    return COLOURS[best], round(float(votes[best]) / total, 4)
