"""The analyzer ``objects``; see README.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from onlooker.analyzers._cuts import CutFinder, split_cut, with_cut
from onlooker.analyzers._following import Ended, Follower, Moment
from onlooker.analyzers._gate import GATE_WIDTH, ChangeGate
from onlooker.analyzers._tracking import Tracker
from onlooker.analyzers.objects.config import DETECTION_FIELDS, ObjectsConfig
from onlooker.core.analyzer import Analyzer, Context, Needs, Window
from onlooker.core.measurement import Measurement
from onlooker.core.media import Frame, VideoInfo
from onlooker.core.observation import Box, Observation
from onlooker.core.time import Timestamp
from onlooker.models import bundle_digest, entry

__all__ = ["GROUPS", "Objects", "group_of"]

GROUPS = ("person", "vehicle", "animal", "thing")
_VEHICLES = frozenset(["bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat"])
_ANIMALS = frozenset(["bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe"])


def group_of(label: str) -> str:
    """The group of a class: ``person``, ``vehicle``, ``animal`` or ``thing``."""
    if label == "person":
        return "person"
    return "vehicle" if label in _VEHICLES else "animal" if label in _ANIMALS else "thing"


class Objects(Analyzer[ObjectsConfig]):
    """People, vehicles, animals and things in single frames, and their tracks."""

    name: ClassVar[str] = "objects"
    version: ClassVar[str] = "2"
    emits: ClassVar[tuple[str, ...]] = ("object", "track")
    Config = ObjectsConfig
    measurement_fields: ClassVar[frozenset[str] | None] = DETECTION_FIELDS

    def __init__(self, config: ObjectsConfig) -> None:
        super().__init__(config)
        self._labels = entry(config.model).labels
        self._detector: Any = None
        self._shape: VideoInfo | None = None
        self._restart()

    def needs(self) -> Needs:
        """A few frames a second, beside decoding."""
        size = int(entry(self.config.model).inputs["size"][0])
        images = ((size, 0, "bgr24"), (GATE_WIDTH, 0, "gray"))
        return Needs(
            frames="all",
            rate=Fraction(round(self.config.rate * 1000), 1000),
            image=images,
            look_back=max(part.look_back for part in (self._cuts, self._gate) if part is not None),
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
        tracker = Tracker(
            score=config.score,
            confirm=config.confirm,
            lost_seconds=config.lost_seconds,
            match=config.match,
            margin=config.margin,
            groups=groups,
        )
        video = self._shape
        self._follower = Follower(tracker, video.width / video.height if video is not None else 16 / 9)
        self._gate = ChangeGate(config.gate_seconds, config.gate_share) if config.gate else None
        self._cuts = CutFinder(config.rate)

    # -- heavy part --

    def measure(self, frame: Frame, given: Mapping[str, Measurement]) -> Measurement | None:
        """(n, 6) float32: left, top, right, bottom (0..1), score, class number; last the mark of a cut before
        the frame (see `onlooker.analyzers._cuts`), if there was one. None: passed over, nothing changed.
        """
        cut = self._cuts.cut(frame)
        if self._gate is not None and not self._gate.changed(frame):
            return None
        rows = self._detector.detect(frame)
        if self.config.labels:
            wanted = [i for i, label in enumerate(self._labels) if label in self.config.labels]
            rows = rows[np.isin(rows[:, 5], wanted)]
        return Measurement(frame.time, frame.duration, with_cut(rows, cut))

    def warm(self, frame: Frame, given: Mapping[str, Measurement]) -> None:
        """Only the gate and the look for cuts have memory."""
        self._cuts.cut(frame)
        if self._gate is not None:
            self._gate.changed(frame)

    # -- light part --

    def analyze(self, window: Window) -> Iterable[Observation]:
        """Objects whose tracks are decided, and tracks that have ended."""
        made: list[Observation] = []
        for m in window.measurements:
            made += self._take(m)
        return made

    def _take(self, m: Measurement) -> list[Observation]:
        made: list[Observation] = []
        rows, cut = split_cut(m.values)
        for part in self._follower.take(m.span, rows, rows[:, 5].astype(np.intp), cut=cut):
            made += self._objects(part) if isinstance(part, Moment) else self._track(part)
        return made

    def _objects(self, moment: Moment) -> list[Observation]:
        made: list[Observation] = []
        for row, name in zip(moment.rows, moment.names, strict=True):
            score = float(row[4])
            if name is None and score < self.config.score:
                continue
            label = self._labels[int(row[5])]
            box = Box(*(float(v) for v in row[:4]))
            data = {"group": group_of(label)}
            made.append(Observation(moment.span, "object", score=score, label=label, box=box, track=name, data=data))
        return made

    def _track(self, ended: Ended) -> list[Observation]:
        path = ended.path
        if float(path.end - path.start) < self.config.least_seconds:
            return []
        total = sum(ended.votes.values())
        votes = sorted(ended.votes.items(), key=lambda v: (-v[1], v[0]))
        label = self._labels[votes[0][0]]
        data: dict[str, Any] = {
            "group": group_of(label),
            "votes": {self._labels[k]: round(v / total, 4) for k, v in votes[:4]},
            **path.data(),
        }
        score = round(path.score / path.count, 4)
        return [Observation(path.span, "track", score=score, label=label, box=path.hull, track=ended.name, data=data)]

    def held(self, kind: str) -> Timestamp | None:
        """Objects wait for their tracks to be decided, tracks for their end."""
        return self._follower.undecided if kind == "object" else self._follower.under_way

    def flush(self) -> Iterable[Observation]:
        """What was still under way at the end."""
        made: list[Observation] = []
        for part in self._follower.finish():
            made += self._objects(part) if isinstance(part, Moment) else self._track(part)
        self._restart()
        return made
