"""What looks on beside a camera's analysis, at the very same frames and sound, without a part in what it tells."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from onlooker.core.media import AudioBlock, Frame, SourceInfo
from onlooker.core.observation import Observation
from onlooker.core.time import Timestamp
from onlooker.pipeline.fan_out import AudioFormat

__all__ = ["Beside", "Nobody"]


class Beside(ABC):
    """Called in the worker's thread only, in order; it raises nothing, since the camera is watched all the same."""

    @abstractmethod
    def open(self, name: str, at: Timestamp, info: SourceInfo, threads: int) -> None:
        """A sitting of the analyzers begins."""

    @abstractmethod
    def frame(self, frame: Frame, *, heavy: bool) -> None:
        """The analyzers look at a frame; ``heavy``: the heavy ones too."""

    @abstractmethod
    def sound(self, block: AudioBlock, format: AudioFormat) -> None:
        """They hear a block."""

    @abstractmethod
    def made(self, observations: Sequence[Observation]) -> None:
        """What they made since, after the library has it."""

    def failed(self, failures: Mapping[str, str]) -> None:  # noqa: B027
        """Analyzers, by name, cannot look any more in this sitting, and why."""

    @abstractmethod
    def end(self) -> None:
        """The sitting is over; all that it made was told."""


class Nobody(Beside):
    """Nobody looks on."""

    def open(self, name: str, at: Timestamp, info: SourceInfo, threads: int) -> None:
        """Nothing."""

    def frame(self, frame: Frame, *, heavy: bool) -> None:
        """Nothing."""

    def sound(self, block: AudioBlock, format: AudioFormat) -> None:
        """Nothing."""

    def made(self, observations: Sequence[Observation]) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""
