"""The analyzer ``attention``; see README.md."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers._face_analyzer import FaceAnalyzer
from onlooker.analyzers._join import Joined, TrackEnd
from onlooker.analyzers.attention.config import HEAVY_FIELDS, AttentionConfig
from onlooker.analyzers.attention.geometry import direction, target_direction
from onlooker.analyzers.attention.network import COLUMNS, MODELS, FaceNetworks, Seen
from onlooker.analyzers.attention.states import Face, exact
from onlooker.core.analyzer import Context
from onlooker.core.observation import Observation
from onlooker.core.time import Span, Timestamp
from onlooker.models import bundle_digest

__all__ = ["Attention"]

Floats = NDArray[np.float64]


class Attention(FaceAnalyzer[AttentionConfig]):
    """Head pose, gaze, eyes and mouth of each face, its states over time, and how many of the faces look."""

    name: ClassVar[str] = "attention"
    version: ClassVar[str] = "1"
    emits: ClassVar[tuple[str, ...]] = ("attention", "attention_state", "attention_group")
    Config = AttentionConfig
    measurement_fields: ClassVar[frozenset[str] | None] = HEAVY_FIELDS
    columns = COLUMNS
    models = MODELS

    def __init__(self, config: AttentionConfig) -> None:
        super().__init__(config)
        self._networks: FaceNetworks | None = None
        self._ratio = 16 / 9
        self._restart()

    @property
    def least_quality(self) -> float:
        """From the settings."""
        return self.config.least_quality

    def bundle_digest(self) -> str | None:
        """One digest for both networks."""
        return hashlib.sha256("".join(bundle_digest(name) for name in MODELS).encode()).hexdigest()

    def open(self, context: Context) -> None:
        """Load the networks."""
        self._networks = FaceNetworks(crop=self.config.crop, threads=context.threads)
        video = context.source.video
        self._ratio = video.width / video.height if video is not None else 16 / 9
        self._restart()

    def close(self) -> None:
        """Release the networks."""
        if self._networks is not None:
            self._networks.close()
            self._networks = None

    def _restart(self) -> None:
        self._faces: dict[str, Face] = {}
        self._group: _Group | None = None

    def look(self, picture: NDArray[np.uint8], face: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """The fields of `onlooker.analyzers.attention.network.Seen`."""
        height, width = picture.shape[:2]
        if max((face[2] - face[0]) * width, (face[3] - face[1]) * height) < self.config.least_side:
            return None
        seen = self._networks.look(picture, face) if self._networks is not None else None
        return None if seen is None else np.array(seen, np.float32)

    def follow(self, joined: Joined) -> Iterable[Observation]:
        """The face's moment, and what ended with it."""
        seen = Seen(*(float(v) for v in joined.row[4:]))
        if seen.presence < self.config.least_presence:
            return []
        face = self._faces.get(joined.track)
        if face is None:
            face = self._faces[joined.track] = Face(joined.track, self.config)
        moment, made = face.take(joined.span, seen, self._target(joined, seen))
        told = self._count(joined.span, joined.track, moment.label)
        box = joined.observation.box
        attention = Observation(
            joined.span,
            "attention",
            score=seen.presence,
            label=moment.label,
            box=box,
            track=joined.track,
            data=moment.data(),
        )
        return [*told, attention, *made]

    def end(self, ended: TrackEnd) -> Iterable[Observation]:
        """What was still under way."""
        face = self._faces.pop(ended.track, None)
        return face.finish() if face is not None else []

    def flush(self) -> Iterable[Observation]:
        """The source has ended."""
        made = list(super().flush())
        for name in sorted(self._faces):
            made += self._faces[name].finish()
        if self._group is not None:
            made.append(self._group.observation())
        self._restart()
        return made

    def _target(self, joined: Joined, seen: Seen) -> Floats:
        target, row = self.config.target, joined.row
        if target.point is None:
            return direction(target.yaw, target.pitch)
        middle = (float(row[0] + row[2]) / 2, float(row[1] + row[3]) / 2)
        return target_direction(target.point, middle, seen.unit, target.field_of_view, self._ratio)

    def _count(self, span: Span, track: str, label: str) -> list[Observation]:
        """Count a face for its span of the group; returns the span before it, if that is over."""
        length = exact(self.config.group_seconds)
        number = int(span.start.value // length)
        made: list[Observation] = []
        if self._group is not None and self._group.number != number:
            made.append(self._group.observation())
            self._group = None
        if self._group is None:
            self._group = _Group(number, span.start)
        self._group.take(span, track, label)
        return made


class _Group:
    """All faces of a stretch of time: moments of all tracks come in order of time."""

    def __init__(self, number: int, start: Timestamp) -> None:
        self.number = number
        self._start = self._end = start
        self._labels: Counter[str] = Counter()
        self._tracks: set[str] = set()
        self._moments: set[Fraction] = set()

    def take(self, span: Span, track: str, label: str) -> None:
        """Count one face of one frame."""
        self._end = max(self._end, span.end)
        self._labels[label] += 1
        self._tracks.add(track)
        self._moments.add(span.start.value)

    def observation(self) -> Observation:
        """Shares of the faces present."""
        total = sum(self._labels.values())
        data: dict[str, Any] = {
            label: round(self._labels[label] / total, 3) for label in ("looking", "away", "eyes_closed")
        }
        data |= {"faces": round(total / len(self._moments), 2), "tracks": len(self._tracks)}
        score = self._labels["looking"] / total
        return Observation(Span(self._start, self._end), "attention_group", score=score, label="looking", data=data)
