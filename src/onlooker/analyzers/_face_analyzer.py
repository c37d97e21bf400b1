"""Base of the analyzers that look at the faces which ``faces`` found."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers._faces import PICTURE_WIDTH, QUALITY, face_picture
from onlooker.analyzers._join import Joined, TrackEnd, TrackJoin
from onlooker.core.analyzer import Analyzer, AnalyzerConfig, Needs, Window
from onlooker.core.measurement import Measurement
from onlooker.core.media import Frame
from onlooker.core.observation import Observation

__all__ = ["FaceAnalyzer"]

C = TypeVar("C", bound=AnalyzerConfig)
Floats = NDArray[np.float32]


class FaceAnalyzer(Analyzer[C], Generic[C]):
    """Measures one row for each face, and joins it with the face's track.

    A subclass defines ``look`` (heavy), ``follow`` and ``end`` (light). Rows of one track come to ``follow`` in order
    of time; what is observed must not depend on the order among tracks.

    Attributes:
        columns: numbers that ``look`` gives for a face.
        models: names of the catalogue models.
    """

    columns: ClassVar[int]
    models: ClassVar[tuple[str, ...]]

    def __init__(self, config: C) -> None:
        super().__init__(config)
        self._join = TrackJoin("face", "face_track")

    @property
    def least_quality(self) -> float:
        """Faces of a lower quality are not looked at."""
        return 0.0

    def needs(self) -> Needs:
        """The faces' frames, in the thread that found them."""
        return Needs(
            frames="all",
            image=((PICTURE_WIDTH, 0, "rgb24"),),
            measurements=("faces",),
            observations=("face", "face_track"),
            heavy=True,
            models=self.models,
        )

    def measure(self, frame: Frame, given: Mapping[str, Measurement]) -> Measurement | None:
        """(n, 4 + columns) float32: the box, then what ``look`` gives. None: faces were not looked for here."""
        faces = given.get("faces")
        if faces is None:
            return None
        rows: list[Floats] = []
        good = faces.values[faces.values[:, QUALITY] >= self.least_quality] if len(faces.values) else faces.values
        if len(good):
            picture = face_picture(frame)
            for face in good:
                seen = self.look(picture, face)
                if seen is not None:
                    rows.append(np.concatenate([face[:4], seen]).astype(np.float32))
        values = np.stack(rows) if rows else np.zeros((0, 4 + self.columns), np.float32)
        return Measurement(frame.time, frame.duration, values)

    def warm(self, frame: Frame, given: Mapping[str, Measurement]) -> None:
        """A face is looked at for itself: nothing to remember."""

    def analyze(self, window: Window) -> Iterable[Observation]:
        """Go on with every track."""
        return self._go_on(window)

    def flush(self) -> Iterable[Observation]:
        """The source has ended."""
        made = self._go_on(None)
        self._join = TrackJoin("face", "face_track")
        return made

    def _go_on(self, window: Window | None) -> list[Observation]:
        made: list[Observation] = []
        for part in self._join.take(window):
            made += self.follow(part) if isinstance(part, Joined) else self.end(part)
        return made

    @abstractmethod
    def look(self, picture: NDArray[np.uint8], face: Floats) -> Floats | None:
        """(columns,) float32 for one face of an RGB picture (h, w, 3); ``face`` as in `onlooker.analyzers._faces`.

        None where nothing can be said of it.
        """

    @abstractmethod
    def follow(self, joined: Joined) -> Iterable[Observation]:
        """Take the next row of a track: ``joined.row[4:]`` is what ``look`` gave."""

    @abstractmethod
    def end(self, ended: TrackEnd) -> Iterable[Observation]:
        """The track has ended; sum it up and forget it."""
