"""Decides who the faces in sight are, while a camera is watched."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from onlooker.analyzers.identity.config import IdentityConfig
from onlooker.analyzers.identity.decide import Decision, Gallery, Track, decide_known, observations
from onlooker.analyzers.identity.records import NOBODY, PEOPLE, UNKNOWN, load_unknown
from onlooker.analyzers.identity.resolve import gallery_of, sample_of
from onlooker.analyzers.identity.samples import SPACES
from onlooker.core.analyzer import Window
from onlooker.core.errors import StoreError
from onlooker.core.observation import Observation
from onlooker.core.store import Store
from onlooker.core.time import Span, Timestamp

__all__ = ["FacesInSight"]

_READ_EVERY = 2.0
_CONFIRMED, _LATE = 1, 3
"""Seconds that a face waits to be a track, and a vector after it was due."""


@dataclass(slots=True)
class _InSight:
    """A face track.

    Args:
        first, latest: its limits so far.
        since: where what was told of it ends.
        track: with its latest vector.
        vectors: how many came.
        ended: its ``face_track`` came; ``done``: nothing more comes of it.
    """

    first: Timestamp
    latest: Timestamp
    since: Timestamp
    track: Track | None = None
    vectors: int = 0
    ended: bool = False
    done: bool = False


class FacesInSight:
    """Names face tracks piece by piece, as their vectors come.

    A name is told with the first vector that is near enough to somebody enrolled. That it is nobody of them is told
    with the second, or with the track's end: a few poor first faces make nobody a stranger.

    Args:
        store: read for the people enrolled, every two seconds at most.
        source: id of the camera's source.
        config: of `Identity`.
        longest: seconds of a piece.
    """

    def __init__(self, store: Store, source: str, config: IdentityConfig, longest: float) -> None:
        self._store, self._source, self._config = store, source, config
        self._patience = longest + _LATE
        self._faces: dict[str, _InSight] = {}
        self._now: Timestamp | None = None
        self._known: Mapping[str, Any] = {}
        self._gallery: Gallery | None = None
        self._read = 0.0

    def take(self, window: Window) -> list[Observation]:
        """Who those are whose vectors came with the window."""
        self._now = window.end
        fresh: dict[str, bool] = {}
        for o in window.observations:
            if o.track is None:
                continue
            if o.kind == "face":
                face = self._faces.setdefault(o.track, _InSight(o.span.start, o.span.end, o.span.start))
                face.latest = max(face.latest, o.span.end)
            elif o.kind == "face_track" and o.track in self._faces:
                self._faces[o.track].ended = True
            elif o.kind == "embedding" and o.vector is not None and o.vector_space == SPACES["face"]:
                self._see(o.track, o)
                fresh[o.track] = not o.data.get("so_far")
        made = self._told(fresh) if fresh else []
        self._forget(window.end)
        return made

    def held(self) -> Timestamp | None:
        """Where the earliest may begin that is still to be told."""
        if self._now is None:
            return None
        waiting = [f.since for f in self._faces.values() if not f.done and self._waits(f, self._now)]
        return min([*waiting, Timestamp.of_seconds(max(Fraction(0), self._now.value - _CONFIRMED))])

    def _waits(self, face: _InSight, now: Timestamp) -> bool:
        return float(now - face.since) <= self._patience

    def _see(self, name: str, o: Observation) -> None:
        face = self._faces.setdefault(name, _InSight(o.span.start, o.span.end, o.span.start))
        face.latest = max(face.latest, o.span.end)
        face.track = Track((self._source, name), Span(face.first, face.latest), "face", sample_of(o))
        face.vectors += 1

    def _told(self, fresh: Mapping[str, bool]) -> list[Observation]:
        gallery = self._people()
        known = decide_known([f.track for f in self._faces.values() if f.track is not None], gallery, {})
        made: list[Observation] = []
        for name, last in fresh.items():
            face = self._faces[name]
            face.done = last
            assert face.track is not None
            decision = known.get(face.track.key)
            surely = decision is not None or last or face.vectors > 1
            if surely and face.latest > face.since:
                made += self._piece(face, face.track, decision, gallery)
        return made

    def _piece(self, face: _InSight, track: Track, decision: Decision | None, gallery: Gallery) -> list[Observation]:
        piece = replace(track, span=Span(face.since, face.latest))
        face.since = face.latest
        if decision is not None:
            return observations([replace(decision, track=piece)])
        found, limit, names = gallery.candidates([track], "face")
        distance = float(found.min()) if names and np.isfinite(found).any() else None
        rate = self._config.rate("face")
        stranger = Decision(piece, NOBODY, distance, limit if names else None, rate if names else None, "nearest")
        # the other way round: 0.5 at the threshold, 1 from twice as far
        return [
            replace(o, score=1.0 if distance is None else round(1.0 - (o.score or 0.0), 4))
            for o in observations([stranger])
        ]

    def _forget(self, now: Timestamp) -> None:
        """Those who have gone, unless they were seen together with one who is still there."""
        for face in self._faces.values():
            face.done = face.done or (face.ended and float(now - face.latest) > self._patience)
        since = min((f.first for f in self._faces.values() if not f.done), default=now)
        self._faces = {n: f for n, f in self._faces.items() if not f.done or f.latest > since}

    def _people(self) -> Gallery:
        """Whom the library knows now."""
        now = time.monotonic()
        if self._gallery is not None and now - self._read < _READ_EVERY:
            return self._gallery
        svm = self._config.classifier == "svm"
        try:
            known = {name: self._store.records(name) for name in ((PEOPLE, UNKNOWN) if svm else (PEOPLE,))}
            if self._gallery is None or known != self._known:
                others = load_unknown(self._store).values() if svm else ()
                self._gallery, self._known = gallery_of(self._store, self._config, others), known
        except StoreError:
            if self._gallery is None:
                raise
        self._read = now
        return self._gallery
