"""The analyzer ``objects``; see README.md."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers.objects.config import DETECTION_FIELDS, ObjectsConfig
from onlooker.analyzers.objects.tracker import Track, Tracker
from onlooker.core.analyzer import Analyzer, Context, Needs, Window
from onlooker.core.measurement import Measurement
from onlooker.core.media import Frame
from onlooker.core.observation import Box, Observation
from onlooker.core.time import Span, Timestamp
from onlooker.models import bundle_digest, entry

__all__ = ["GROUPS", "Objects", "group_of"]

GROUPS = ("person", "vehicle", "animal", "thing")
_VEHICLES = frozenset(["bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat"])
_ANIMALS = frozenset(["bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe"])
_GATE_WIDTH = 160
_GATE_LEVELS = 12
_PATH_POINTS = 32


def group_of(label: str) -> str:
    """The group of a class: ``person``, ``vehicle``, ``animal`` or ``thing``."""
    if label == "person":
        return "person"
    return "vehicle" if label in _VEHICLES else "animal" if label in _ANIMALS else "thing"


@dataclass(slots=True)
class _Pending:
    """A moment whose detections wait until their tracks are certain or dead."""

    span: Span
    rows: NDArray[np.float32]
    tracks: list[Track | None]


@dataclass(slots=True)
class _Path:
    """What is known of a track beside the tracker's state."""

    start: Timestamp
    end: Timestamp
    first: Box
    last: Box
    hull: Box
    points: list[tuple[float, float, float]]
    area: float = 0.0
    score: float = 0.0
    count: int = 0
    length: float = 0.0
    stride: int = 1

    def add(self, span: Span, box: Box, score: float) -> None:
        x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
        if self.count:
            before = ((self.last.left + self.last.right) / 2, (self.last.top + self.last.bottom) / 2)
            self.length += float(np.hypot(x - before[0], y - before[1]))
        self.end, self.last = span.end, box
        self.hull = Box(
            min(self.hull.left, box.left),
            min(self.hull.top, box.top),
            max(self.hull.right, box.right),
            max(self.hull.bottom, box.bottom),
        )
        self.area += box.area
        self.score += score
        if self.count % self.stride == 0:
            self.points.append((span.start.seconds, x, y))
            if len(self.points) > _PATH_POINTS:
                self.points, self.stride = self.points[::2], self.stride * 2
        self.count += 1


class Objects(Analyzer[ObjectsConfig]):
    """People, vehicles, animals and things in single frames, and their tracks."""

    name: ClassVar[str] = "objects"
    version: ClassVar[str] = "1"
    emits: ClassVar[tuple[str, ...]] = ("object", "track")
    Config = ObjectsConfig
    measurement_fields: ClassVar[frozenset[str] | None] = DETECTION_FIELDS

    def __init__(self, config: ObjectsConfig) -> None:
        super().__init__(config)
        self._labels = entry(config.model).labels
        self._detector: Any = None
        self._restart()

    def needs(self) -> Needs:
        """A few frames a second, beside decoding."""
        size = int(entry(self.config.model).inputs["size"][0])
        images = ((size, 0, "bgr24"), *(((_GATE_WIDTH, 0, "gray"),) if self.config.gate else ()))
        return Needs(
            frames="all",
            rate=Fraction(round(self.config.rate * 1000), 1000),
            image=images,
            look_back=Fraction(round(self.config.gate_seconds * 1000), 1000) if self.config.gate else Fraction(0),
            heavy=True,
            models=(self.config.model,),
        )

    def bundle_digest(self) -> str | None:
        """The detector's digest."""
        return bundle_digest(self.config.model)

    def open(self, context: Context) -> None:
        """Load the detector."""
        from onlooker.analyzers.objects.detector import Detector

        config = self.config
        self._detector = Detector(
            config.model,
            threads=context.threads,
            least=config.keep_score,
            overlap=config.overlap,
            tiles=config.tiles,
        )
        self._shape = context.source.video
        self._restart()

    def close(self) -> None:
        """Release the detector."""
        if self._detector is not None:
            self._detector.close()
            self._detector = None

    def _restart(self) -> None:
        config = self.config
        groups = [GROUPS.index(group_of(label)) for label in self._labels]
        self._tracker = Tracker(
            score=config.score,
            confirm=config.confirm,
            lost_seconds=config.lost_seconds,
            match=config.match,
            margin=config.margin,
            groups=groups,
        )
        self._seen: tuple[int, NDArray[np.int16]] | None = None
        self._pending: deque[_Pending] = deque()
        self._paths: dict[int, tuple[Track, _Path]] = {}
        self._aspect = 1.0

    # -- heavy part --

    def measure(self, frame: Frame, given: Mapping[str, Measurement]) -> Measurement | None:
        """(n, 6) float32: left, top, right, bottom (0..1), score, class number. None: passed over, nothing changed."""
        if not self._changed(frame):
            return None
        rows = self._detector.detect(frame)
        if self.config.labels:
            wanted = [i for i, label in enumerate(self._labels) if label in self.config.labels]
            rows = rows[np.isin(rows[:, 5], wanted)]
        return Measurement(frame.time, frame.duration, rows)

    def warm(self, frame: Frame, given: Mapping[str, Measurement]) -> None:
        """Only the gate has memory."""
        self._changed(frame)

    def _changed(self, frame: Frame) -> bool:
        """Whether the frame is the first of its stretch of ``gate_seconds``, or differs from the last looked at in it.

        Counting from fixed moments keeps the memory within the look-back, so that segments agree with the whole.
        """
        if not self.config.gate:
            return True
        stretch = int(frame.time.value / Fraction(round(self.config.gate_seconds * 1000), 1000))
        grey = frame.image(_GATE_WIDTH, 0, "gray").astype(np.int16)
        if self._seen is not None and self._seen[0] == stretch:
            change = np.abs(grey - self._seen[1]) >= _GATE_LEVELS
            # single pixels are noise: both the pixel and its neighbour must have changed
            share = np.count_nonzero(change[:, 1:] & change[:, :-1]) / change.size
            if share < self.config.gate_share:
                return False
        self._seen = (stretch, grey)
        return True

    # -- light part --

    def analyze(self, window: Window) -> Iterable[Observation]:
        """Objects whose tracks are decided, and tracks that have ended."""
        made: list[Observation] = []
        for m in window.measurements:
            made += self._take(m)
        return made

    def _take(self, m: Measurement) -> list[Observation]:
        boxes = m.values[:, :4].astype(np.float64)
        # the tracker compares sizes in both directions, so both are in picture widths
        boxes[:, [1, 3]] /= self._ratio()
        tracks = self._tracker.update(
            m.time.seconds, boxes, m.values[:, 4].astype(np.float64), m.values[:, 5].astype(np.intp)
        )
        self._pending.append(_Pending(m.span, m.values, tracks))
        made: list[Observation] = []
        while self._pending and self._decided(self._pending[0]):
            made += self._objects(self._pending.popleft())
        waiting = {id(t) for p in self._pending for t in p.tracks if t is not None}
        for key, (track, path) in list(self._paths.items()):
            if track.dead and key not in waiting:
                del self._paths[key]
                made += self._track(track, path)
        return made

    def _ratio(self) -> float:
        video = getattr(self, "_shape", None)
        return video.width / video.height if video is not None else 16 / 9

    @staticmethod
    def _decided(pending: _Pending) -> bool:
        return all(t is None or t.name is not None or t.dead for t in pending.tracks)

    def _objects(self, pending: _Pending) -> list[Observation]:
        made: list[Observation] = []
        for row, track in zip(pending.rows, pending.tracks, strict=True):
            name = track.name if track is not None else None
            score = float(row[4])
            if name is None and score < self.config.score:
                continue
            label = self._labels[int(row[5])]
            box = Box(*(float(v) for v in row[:4]))
            if track is not None and name is not None:
                self._follow(track, pending.span, box, score)
            data = {"group": group_of(label)}
            made.append(Observation(pending.span, "object", score=score, label=label, box=box, track=name, data=data))
        return made

    def _follow(self, track: Track, span: Span, box: Box, score: float) -> None:
        key = id(track)
        if key not in self._paths:
            self._paths[key] = (track, _Path(span.start, span.end, box, box, box, []))
        self._paths[key][1].add(span, box, score)

    def _track(self, track: Track, path: _Path) -> list[Observation]:
        if float(path.end - path.start) < self.config.least_seconds:
            return []
        total = sum(track.votes.values())
        votes = sorted(track.votes.items(), key=lambda v: (-v[1], v[0]))
        label = self._labels[votes[0][0]]
        data: dict[str, Any] = {
            "group": group_of(label),
            "votes": {self._labels[k]: round(v / total, 4) for k, v in votes[:4]},
            "detections": path.count,
            "first_box": [round(v, 4) for v in path.first],
            "last_box": [round(v, 4) for v in path.last],
            "mean_area": round(path.area / path.count, 5),
            "distance": round(path.length, 4),
            "path": [[round(t, 3), round(x, 4), round(y, 4)] for t, x, y in path.points],
        }
        span = Span(path.start, path.end)
        score = round(path.score / path.count, 4)
        return [Observation(span, "track", score=score, label=label, box=path.hull, track=track.name, data=data)]

    def flush(self) -> Iterable[Observation]:
        """What was still under way at the end."""
        self._tracker.finish()
        made: list[Observation] = []
        while self._pending:
            made += self._objects(self._pending.popleft())
        for track, path in list(self._paths.values()):
            made += self._track(track, path)
        self._restart()
        return made
