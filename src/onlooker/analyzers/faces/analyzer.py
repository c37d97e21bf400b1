"""The analyzer ``faces``; see README.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from onlooker.analyzers._faces import FACE_FIELDS, FRONTAL, QUALITY, SHARPNESS, face_picture
from onlooker.analyzers._following import Ended, Follower, Moment
from onlooker.analyzers._gate import GATE_WIDTH, ChangeGate
from onlooker.analyzers._tracking import Tracker
from onlooker.analyzers.faces.config import DETECTION_FIELDS, FacesConfig
from onlooker.core.analyzer import Analyzer, Context, Needs, Window
from onlooker.core.measurement import Measurement
from onlooker.core.media import Frame, VideoInfo
from onlooker.core.observation import Box, Observation
from onlooker.models import bundle_digest

__all__ = ["Faces"]

_MODEL = "centerface"


class Faces(Analyzer[FacesConfig]):
    """Faces in single frames with five points and quality, and their tracks."""

    name: ClassVar[str] = "faces"
    version: ClassVar[str] = "1"
    emits: ClassVar[tuple[str, ...]] = ("face", "face_track")
    Config = FacesConfig
    measurement_fields: ClassVar[frozenset[str] | None] = DETECTION_FIELDS

    def __init__(self, config: FacesConfig) -> None:
        super().__init__(config)
        self._detector: Any = None
        self._shape: VideoInfo | None = None
        self._restart()

    def needs(self) -> Needs:
        """A few frames a second, beside decoding."""
        gate = self._gate
        return Needs(
            frames="all",
            rate=Fraction(round(self.config.rate * 1000), 1000),
            image=((self.config.size, 0, "rgb24"), *(((GATE_WIDTH, 0, "gray"),) if gate else ())),
            look_back=gate.look_back if gate else Fraction(0),
            heavy=True,
            models=(_MODEL,),
        )

    def bundle_digest(self) -> str | None:
        """The detector's digest."""
        return bundle_digest(_MODEL)

    def open(self, context: Context) -> None:
        """Load the detector."""
        from onlooker.analyzers.faces.detector import FaceDetector

        config = self.config
        self._detector = FaceDetector(
            size=config.size, threads=context.threads, least=config.keep_score, overlap=config.overlap
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
        tracker = Tracker(
            score=config.score,
            confirm=config.confirm,
            lost_seconds=config.lost_seconds,
            match=config.match,
            margin=config.margin,
            prefix="face-",
        )
        video = self._shape
        self._follower = Follower(tracker, video.width / video.height if video else 16 / 9)
        self._best: dict[str, tuple[float, float]] = {}
        self._gate = ChangeGate(config.gate_seconds, config.gate_share) if config.gate else None

    def measure(self, frame: Frame, given: Mapping[str, Measurement]) -> Measurement | None:
        """(n, 19) float32, see `onlooker.analyzers._faces`. None: passed over, nothing changed."""
        from onlooker.analyzers.faces.detector import quality_columns

        if self._gate is not None and not self._gate.changed(frame):
            return None
        found = self._detector.detect(frame)
        if not len(found):
            return Measurement(frame.time, frame.duration, np.zeros((0, FACE_FIELDS), np.float32))
        return Measurement(frame.time, frame.duration, quality_columns(face_picture(frame), found))

    def warm(self, frame: Frame, given: Mapping[str, Measurement]) -> None:
        """Only the gate has memory."""
        if self._gate is not None:
            self._gate.changed(frame)

    def analyze(self, window: Window) -> Iterable[Observation]:
        """Faces whose tracks are decided, and tracks that have ended."""
        made: list[Observation] = []
        for m in window.measurements:
            ratio = self._shape.height / self._shape.width if self._shape else 9 / 16
            sides = np.maximum(m.values[:, 2] - m.values[:, 0], (m.values[:, 3] - m.values[:, 1]) * ratio)
            rows = m.values[sides >= self.config.least_size]
            for part in self._follower.take(m.span, rows, np.zeros(len(rows), np.intp)):
                made += self._faces(part) if isinstance(part, Moment) else self._track(part)
        return made

    def flush(self) -> Iterable[Observation]:
        """What was still under way at the end."""
        made: list[Observation] = []
        for part in self._follower.finish():
            made += self._faces(part) if isinstance(part, Moment) else self._track(part)
        self._restart()
        return made

    def _faces(self, moment: Moment) -> list[Observation]:
        made: list[Observation] = []
        for row, name in zip(moment.rows, moment.names, strict=True):
            if name is None and row[4] < self.config.sure:
                continue
            quality = float(row[QUALITY])
            data: dict[str, Any] = {
                "quality": round(quality, 3),
                "sharpness": round(float(row[SHARPNESS]), 3),
                "frontal": round(float(row[FRONTAL]), 3),
                "points": [[round(float(x), 5), round(float(y), 5)] for x, y in row[5:15].reshape(5, 2)],
            }
            box = Box(*(float(v) for v in row[:4]))
            made.append(Observation(moment.span, "face", score=float(row[4]), box=box, track=name, data=data))
            if name is not None and quality > self._best.get(name, (-1.0, 0.0))[0]:
                self._best[name] = (quality, moment.span.start.seconds)
        return made

    def _track(self, ended: Ended) -> list[Observation]:
        path = ended.path
        quality, best = self._best.pop(ended.name)
        data: dict[str, Any] = {"quality": round(quality, 3), "best_seconds": round(best, 3), **path.data()}
        score = round(path.score / path.count, 4)
        return [
            Observation(path.span, "face_track", score=score, label="face", box=path.hull, track=ended.name, data=data)
        ]
