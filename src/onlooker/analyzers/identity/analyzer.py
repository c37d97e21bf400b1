"""The analyzer ``identity``; see README.md."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from onlooker.analyzers.identity.config import IdentityConfig
from onlooker.analyzers.identity.records import remember_config
from onlooker.analyzers.identity.resolve import ANALYZER, relate
from onlooker.core.analyzer import Analyzer, Needs, Window
from onlooker.core.media import SourceInfo
from onlooker.core.observation import Observation, Producer
from onlooker.core.store import Store

__all__ = ["Identity"]


class Identity(Analyzer[IdentityConfig]):
    """Who the face tracks and speakers of a source are, by what the library knows of people."""

    name: ClassVar[str] = ANALYZER
    version: ClassVar[str] = "2"
    emits: ClassVar[tuple[str, ...]] = ("identity",)
    Config = IdentityConfig

    def needs(self) -> Needs:
        """The vectors of face tracks, and those of speakers where somebody tells them apart."""
        return Needs(measurements=("face_vectors",), observations=("face_track",), wishes=("speaker",))

    def analyze(self, window: Window) -> Iterable[Observation]:
        """Nothing yet: it decides over whole tracks, when all are stored."""
        return ()

    def relate(self, store: Store, source: SourceInfo, producer: Producer) -> Iterable[Observation]:
        """One observation for each face track and speaker with a vector."""
        remember_config(store, self.config)
        return relate(store, source.id, self.config)
