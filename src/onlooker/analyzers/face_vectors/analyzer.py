"""The analyzer ``face_vectors``; see README.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers._face_analyzer import FaceAnalyzer
from onlooker.analyzers._face_vector import DIMENSIONS, MODEL, SPACE, FaceEncoder, unit
from onlooker.analyzers._faces import QUALITY
from onlooker.analyzers._join import Joined, TrackEnd
from onlooker.analyzers.face_vectors.config import HEAVY_FIELDS, FaceVectorsConfig
from onlooker.core.analyzer import Context, Needs
from onlooker.core.observation import Json, Observation
from onlooker.core.time import Span, Timestamp
from onlooker.models import bundle_digest

__all__ = ["FaceVectors"]

_ENOUGH = 3
"""Good faces from which a vector is told of a track that goes on."""
_Seen: TypeAlias = tuple[float, Fraction, NDArray[np.float32]]
"""Quality, less the later it is; time negated; vector."""


@dataclass(slots=True)
class _Going:
    """A track that goes on: its first good face, when its vector was last told (that start: never), faces so far."""

    start: Timestamp
    told: Timestamp
    faces: int = 0


class FaceVectors(FaceAnalyzer[FaceVectorsConfig]):
    """The mean vector of the best faces of each track."""

    name: ClassVar[str] = "face_vectors"
    version: ClassVar[str] = "1"
    emits: ClassVar[tuple[str, ...]] = ("embedding",)
    Config = FaceVectorsConfig
    measurement_fields: ClassVar[frozenset[str] | None] = HEAVY_FIELDS
    columns = DIMENSIONS + 1
    models = (MODEL,)

    def __init__(self, config: FaceVectorsConfig) -> None:
        super().__init__(config)
        self._best: dict[str, list[_Seen]] = {}
        self._going: dict[str, _Going] = {}
        self._encoder: FaceEncoder | None = None

    @property
    def least_quality(self) -> float:
        """From the settings."""
        return self.config.least_quality

    def needs(self) -> Needs:
        """As all analyzers of faces; vectors of single faces do not outlive the run."""
        return replace(super().needs(), keep="run")

    def bundle_digest(self) -> str | None:
        """The network's digest."""
        return bundle_digest(MODEL)

    def open(self, context: Context) -> None:
        """Load the network."""
        self._encoder = FaceEncoder(context.threads, mirror=self.config.mirror)
        self._best, self._going = {}, {}

    def close(self) -> None:
        """Release the network."""
        if self._encoder is not None:
            self._encoder.close()
            self._encoder = None

    def look(self, picture: NDArray[np.uint8], face: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """The face's vector, and its quality."""
        assert self._encoder is not None
        return np.append(self._encoder.vector(picture, face), face[QUALITY]).astype(np.float32)

    def follow(self, joined: Joined) -> Iterable[Observation]:
        """Keep the best faces of the track, the earlier ones of equals."""
        best = self._best.setdefault(joined.track, [])
        seen = joined.row[4:]
        best.append((float(seen[DIMENSIONS]), -joined.span.start.value, seen[:DIMENSIONS]))
        if len(best) > 2 * self.config.faces:
            self._best[joined.track] = self._chosen(best)
        longest = self.config.longest_seconds
        return () if longest is None else self._so_far(joined, longest)

    def _so_far(self, joined: Joined, longest: float) -> Iterable[Observation]:
        """The vector of a track that goes on, when it is due."""
        going = self._going.setdefault(joined.track, _Going(joined.span.start, joined.span.start))
        going.faces += 1
        waited = float(joined.span.start - going.told) >= longest
        if not waited and (going.faces != _ENOUGH or going.told != going.start):
            return
        going.told = joined.span.start
        span = Span(going.start, joined.span.end)
        yield self._summed(joined.track, span, self._chosen(self._best[joined.track]), {"so_far": True})

    def _chosen(self, seen: list[_Seen]) -> list[_Seen]:
        return sorted(seen, key=lambda s: s[:2], reverse=True)[: self.config.faces]

    def end(self, ended: TrackEnd) -> Iterable[Observation]:
        """The mean of the best faces, each by the weight of its quality."""
        best = self._chosen(self._best.pop(ended.track, []))
        self._going.pop(ended.track, None)
        return [self._summed(ended.track, ended.observation.span, best, {})] if best else []

    def _summed(self, track: str, span: Span, best: list[_Seen], more: Mapping[str, Json]) -> Observation:
        weights = np.array([quality for quality, _, _ in best])
        vectors = np.stack([vector for _, _, vector in best])
        mean = weights @ vectors / weights.sum()
        quality = float(weights @ weights / weights.sum())
        # how much the faces of the track agree: low where it went over from one person to another
        unity = float(np.linalg.norm(mean))
        return Observation(
            span,
            "embedding",
            score=round(quality, 4),
            label="face",
            track=track,
            data={"faces": len(best), "quality": round(quality, 3), "unity": round(unity, 4), **more},
            vector=unit(mean),
            vector_space=SPACE,
        )

    def flush(self) -> Iterable[Observation]:
        """The source has ended."""
        made = list(super().flush())
        self._best, self._going = {}, {}
        return made
