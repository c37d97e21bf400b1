"""All but somebody: whose face stays visible, decided open-set: who is not surely that person is hidden."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers._face_vector import MODEL, FaceEncoder
from onlooker.analyzers._faces import face_picture
from onlooker.analyzers.identity.records import load_people
from onlooker.analyzers.identity.samples import Sample, distances, mean_sample
from onlooker.analyzers.identity.thresholds import threshold
from onlooker.core.errors import UsageError
from onlooker.core.media import Frame
from onlooker.redaction.follow import Path
from onlooker.redaction.survey import Survey

__all__ = ["MODEL", "SurelyShown", "open_shown"]

Rows: TypeAlias = NDArray[np.float32]
_RATE = 0.001
_CLEAR = 0.5
"""Score from which a face is worth a vector."""
_AROUND = 1
"""Vectors before and after one that are decided together with it."""
_APART = 1.25
"""A single vector may be so many times the threshold away where its neighbours are near: one bad frame is no switch."""


def open_shown(library: FilePath, names: Sequence[str], *, threads: int = 2) -> SurelyShown:
    """Who is enrolled under these names in a library.

    Raises:
        UsageError: nobody of that name is enrolled with a face.
        StoreError: there is no such library.
    """
    from onlooker.timeline import open_store

    store = open_store(library, create=False, read_only=True)
    try:
        people = load_people(store)
    finally:
        store.close()
    known: list[Sample] = []
    for name in names:
        person = people.get(name)
        if person is None or not person.faces:
            enrolled = ", ".join(n for n, p in people.items() if p.faces) or "nobody"
            hint = f"enrolled: {enrolled}; see onlooker people enroll"
            raise UsageError(f"nobody called {name!r} is enrolled with a face in {library}", hint=hint)
        known.append(mean_sample([e.sample for e in person.faces]))
    return SurelyShown(known, threads=threads)


class SurelyShown:
    """Marks where the faces of some people are not hidden.

    A frame shows a face where the vectors around it are together nearer to the person than the threshold at which one
    stranger in a thousand is taken for him or her, and none of them is far.

    Args:
        known: one mean vector for each person.
        threads: how many the network may use.
    """

    def __init__(self, known: Sequence[Sample], *, threads: int = 2) -> None:
        self._known = list(known)
        self._encoder = FaceEncoder(threads, mirror=True)
        self._limit = threshold("face", _RATE, len(self._known))

    def recognise(self, frame: Frame, rows: Rows) -> list[Rows | None]:
        """A vector for each clear face."""
        picture = face_picture(frame)
        return [
            self._encoder.vector(picture, row) if row[4] >= _CLEAR and np.isfinite(row).all() else None for row in rows
        ]

    def choose(self, seen: Survey, paths: Sequence[Path]) -> int:
        """See `onlooker.redaction.survey.Shown`."""
        faces = [p for p in paths if p.thing == "faces"]
        claims = [(distance, p, frames) for p in faces for distance, frames in self._stretches(seen, p)]
        taken: set[int] = set()
        # of two faces at the same time at most the nearer one is the person, unless there are several
        for _, path, frames in sorted(claims, key=lambda claim: claim[0]):
            free = frames if len(self._known) > 1 else frames - taken
            path.shown |= free
            taken |= free
        for path in faces:
            if path.shown:
                _spread(path, [p for p in faces if p is not path])
        return sum(bool(p.shown) for p in faces)

    def _stretches(self, seen: Survey, path: Path) -> list[tuple[float, set[int]]]:
        """Distance and frames of each stretch in which a path is surely one of the people."""
        places = [
            (frame, Sample(seen.vectors[frame, row]))
            for frame, row in zip(path.frames, path.rows, strict=True)
            if (frame, row) in seen.vectors
        ]
        if not places:
            return []
        samples = [s for _, s in places]
        single = distances(samples, self._known, "face").min(1)
        around = [mean_sample(samples[max(0, n - _AROUND) : n + _AROUND + 1]) for n in range(len(samples))]
        together = distances(around, self._known, "face").min(1)
        good = (together <= self._limit) & (single <= _APART * self._limit)
        made: list[tuple[float, set[int]]] = []
        for n, (frame, _) in enumerate(places):
            if not good[n]:
                continue
            begin = path.frames[0] if n == 0 else frame
            end = frame
            if n + 1 == len(places):
                end = path.frames[-1]
            elif good[n + 1]:
                end = places[n + 1][0]
            made.append((float(together[n]), set(range(begin, end + 1))))
        return made

    def close(self) -> None:
        """Release the network."""
        self._encoder.close()


def _spread(path: Path, others: Sequence[Path]) -> None:
    """A faint second sighting within the same face is the same face."""
    boxes = dict(zip(path.frames, path.boxes, strict=True))
    for other in others:
        if max(other.scores) >= _CLEAR:
            continue
        for frame, box in zip(other.frames, other.boxes, strict=True):
            mine = boxes.get(frame)
            if mine is None or frame not in path.shown:
                continue
            middle, size = (box[:2] + box[2:]) / 2, mine[2:] - mine[:2]
            if (np.abs(middle - (mine[:2] + mine[2:]) / 2) < 0.3 * size).all():
                other.shown.add(frame)
