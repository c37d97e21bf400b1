"""The analyzer ``faces``; see README.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers._cuts import CutFinder, split_cut, with_cut
from onlooker.analyzers._faces import FACE_FIELDS, FRONTAL, QUALITY, SHARPNESS, face_picture
from onlooker.analyzers._following import Ended, Follower, Moment
from onlooker.analyzers._gate import GATE_WIDTH, ChangeGate
from onlooker.analyzers._tracking import Tracker
from onlooker.analyzers.faces.best_shot import ShotPicker, face_jpeg, level, pack_pictures, unpack_pictures
from onlooker.analyzers.faces.config import DETECTION_FIELDS, FacesConfig
from onlooker.core.analyzer import Analyzer, Context, Needs, Window
from onlooker.core.measurement import Measurement
from onlooker.core.media import Frame, ReadRequest, VideoInfo
from onlooker.core.observation import Attachment, Box, Observation
from onlooker.core.time import Span, Timestamp
from onlooker.models import bundle_digest

__all__ = ["Faces"]

_MODEL = "centerface"


@dataclass(slots=True)
class _Best:
    """The best face of a track so far."""

    level: int
    span: Span
    row: NDArray[np.float32]
    picture: bytes | None


class Faces(Analyzer[FacesConfig]):
    """Faces in single frames with five points and quality, and their tracks."""

    name: ClassVar[str] = "faces"
    version: ClassVar[str] = "2"
    emits: ClassVar[tuple[str, ...]] = ("face", "face_track")
    Config = FacesConfig
    measurement_fields: ClassVar[frozenset[str] | None] = DETECTION_FIELDS

    def __init__(self, config: FacesConfig) -> None:
        super().__init__(config)
        self._detector: Any = None
        self._shape: VideoInfo | None = None
        self._context: Context | None = None
        self._restart()

    def needs(self) -> Needs:
        """A few frames a second, beside decoding."""
        gate, shots = self._gate, self._shots
        return Needs(
            frames="all",
            rate=Fraction(round(self.config.rate * 1000), 1000),
            image=((self.config.size, 0, "rgb24"), (GATE_WIDTH, 0, "gray")),
            look_back=max(part.look_back for part in (self._cuts, gate, shots) if part is not None),
            heavy=True,
            keep="values",
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
        self._context, self._shape = context, context.source.video
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
        self._best: dict[str, _Best] = {}
        self._pictures: dict[Fraction, dict[int, bytes]] = {}
        self._gate = ChangeGate(config.gate_seconds, config.gate_share) if config.gate else None
        # the gate opens at the start of its stretches, so that those of the pictures may begin there
        unit = self._gate.look_back if self._gate is not None else Fraction(1)
        self._shots = ShotPicker(unit) if config.best_shot else None
        self._cuts = CutFinder(config.rate)

    def measure(self, frame: Frame, given: Mapping[str, Measurement]) -> Measurement | None:
        """(n, 19) float32, see `onlooker.analyzers._faces`; in the blob pictures of faces that may be the best of their
        track; last the mark of a cut before the frame (see `onlooker.analyzers._cuts`), if there was one. None: passed
        over, nothing changed.
        """
        cut = self._cuts.cut(frame)
        rows = self._look(frame)
        if rows is None:
            return None
        picked = self._shots.pick(frame.time.value, rows, cut=cut) if self._shots is not None else ()
        pictures = {n: face_jpeg(face_picture(frame), rows[n]) for n in picked}
        return Measurement(frame.time, frame.duration, with_cut(rows, cut), pack_pictures(pictures))

    def warm(self, frame: Frame, given: Mapping[str, Measurement]) -> None:
        """The gate and the look for cuts have memory, and what was the best face of the stretch."""
        cut = self._cuts.cut(frame)
        if self._shots is None:
            if self._gate is not None:
                self._gate.changed(frame)
        elif (rows := self._look(frame)) is not None:
            self._shots.pick(frame.time.value, rows, cut=cut)

    def _look(self, frame: Frame) -> NDArray[np.float32] | None:
        """The frame's rows; None: passed over."""
        from onlooker.analyzers.faces.detector import quality_columns

        if self._gate is not None and not self._gate.changed(frame):
            return None
        found = self._detector.detect(frame)
        if not len(found):
            return np.zeros((0, FACE_FIELDS), np.float32)
        return quality_columns(face_picture(frame), found)

    def analyze(self, window: Window) -> Iterable[Observation]:
        """Faces whose tracks are decided, and tracks that have ended."""
        made: list[Observation] = []
        for m in window.measurements:
            ratio = self._shape.height / self._shape.width if self._shape else 9 / 16
            found, cut = split_cut(m.values)
            sides = np.maximum(found[:, 2] - found[:, 0], (found[:, 3] - found[:, 1]) * ratio)
            large = np.flatnonzero(sides >= self.config.least_size)
            rows = found[large]
            if m.blob is not None and self.config.best_shot:
                pictures = unpack_pictures(m.blob)
                self._pictures[m.time.value] = {i: pictures[n] for i, n in enumerate(large.tolist()) if n in pictures}
            for part in self._follower.take(m.span, rows, np.zeros(len(rows), np.intp), cut=cut):
                made += self._faces(part) if isinstance(part, Moment) else self._track(part)
        return made

    def held(self, kind: str) -> Timestamp | None:
        """Faces wait for their tracks to be decided, tracks for their end."""
        return self._follower.undecided if kind == "face" else self._follower.under_way

    def flush(self) -> Iterable[Observation]:
        """What was still under way at the end."""
        made: list[Observation] = []
        for part in self._follower.finish():
            made += self._faces(part) if isinstance(part, Moment) else self._track(part)
        self._restart()
        return made

    def _faces(self, moment: Moment) -> list[Observation]:
        made: list[Observation] = []
        pictures = self._pictures.pop(moment.span.start.value, {})
        for number, (row, name) in enumerate(zip(moment.rows, moment.names, strict=True)):
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
            if name is not None and (name not in self._best or level(row) > self._best[name].level):
                self._best[name] = _Best(level(row), moment.span, row, pictures.get(number))
        return made

    def _track(self, ended: Ended) -> list[Observation]:
        path, best = ended.path, self._best.pop(ended.name)
        data: dict[str, Any] = {
            "quality": round(float(best.row[QUALITY]), 3),
            "best_seconds": round(best.span.start.seconds, 3),
            **path.data(),
        }
        score = round(path.score / path.count, 4)
        picture = best.picture or self._read(best) if self.config.best_shot else None
        files = () if picture is None else (Attachment(f"faces/{ended.name}.jpg", picture, "image/jpeg"),)
        return [
            Observation(
                path.span,
                "face_track",
                score=score,
                label="face",
                box=path.hull,
                track=ended.name,
                data=data,
                attachments=files,
            )
        ]

    def _read(self, best: _Best) -> bytes | None:
        """The picture out of the source, where what was measured is decided again: pictures are not kept with it."""
        if self._context is None or self._context.read is None:
            return None
        request = ReadRequest(start=best.span.start, end=best.span.end, threads=self._context.threads)
        for item in self._context.read(request):
            if isinstance(item, Frame):
                return face_jpeg(face_picture(item), best.row)
        return None
