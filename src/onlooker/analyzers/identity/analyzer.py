"""The analyzer ``identity``; see README.md."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

from onlooker.analyzers.identity.config import IdentityConfig
from onlooker.analyzers.identity.live import FacesInSight
from onlooker.analyzers.identity.records import remember_config
from onlooker.analyzers.identity.resolve import ANALYZER, relate
from onlooker.core.analyzer import Analyzer, Context, Needs, Window
from onlooker.core.media import SourceInfo
from onlooker.core.observation import Observation, Producer
from onlooker.core.store import Store
from onlooker.core.time import Timestamp

__all__ = ["Identity"]


class Identity(Analyzer[IdentityConfig]):
    """Who the face tracks and speakers of a source are, by what the library knows of people."""

    name: ClassVar[str] = ANALYZER
    version: ClassVar[str] = "2"
    emits: ClassVar[tuple[str, ...]] = ("identity",)
    Config = IdentityConfig

    def __init__(self, config: IdentityConfig) -> None:
        super().__init__(config)
        self._faces: FacesInSight | None = None

    def needs(self) -> Needs:
        """The vectors of face tracks, and those of speakers where somebody tells them apart."""
        needs = Needs(measurements=("face_vectors",), observations=("face_track",), wishes=("speaker",))
        return replace(needs, observations=("face", "face_track"), wishes=("embedding",)) if self.live else needs

    @property
    def live(self) -> bool:
        """Where it is told how long a piece may be."""
        return self.config.longest_seconds is not None

    def open(self, context: Context) -> None:
        """Live, the people of the library are looked up."""
        longest = self.config.longest_seconds
        if context.store is not None and longest is not None:
            self._faces = FacesInSight(context.store, context.source.id, self.config, longest)

    def analyze(self, window: Window) -> Iterable[Observation]:
        """Live, who the faces in sight are; else nothing yet: it decides over whole tracks, when all are stored."""
        return () if self._faces is None else self._faces.take(window)

    def held(self, kind: str) -> Timestamp | None:
        """Faces in sight wait for their vectors."""
        return None if self._faces is None else self._faces.held()

    def close(self) -> None:
        """Forget the people."""
        self._faces = None

    def relate(self, store: Store, source: SourceInfo, producer: Producer) -> Iterable[Observation]:
        """One observation for each face track and speaker with a vector."""
        remember_config(store, self.config)
        return relate(store, source.id, self.config)
