"""What of a run a library may keep: the protocol by which a privacy setting is carried out.

The pipeline knows when something is about to be stored; what hides in pictures is composed above it.
"""

from __future__ import annotations

from typing import Protocol

from onlooker.core.measurement import Measurement
from onlooker.core.observation import Attachment, Observation
from onlooker.core.store import Store

__all__ = ["Keeper", "OpenKeeper"]


class Keeper(Protocol):
    """Decides what of a run's pictures, measurements and vectors a library may keep; see `Privacy` of the profile."""

    def observation(self, observation: Observation) -> Observation:
        """What is stored in the place of an observation of a live source, which has no end to wait for."""
        ...

    def attachment(self, observation: Observation, attachment: Attachment) -> Attachment | None:
        """What is stored in the place of a derived file, or None where nothing may be."""
        ...

    def measurement(self, measurement: Measurement) -> Measurement:
        """What is stored, and given to the light part, in the place of a measurement."""
        ...

    def ended(self, store: Store, source: str) -> None:
        """A source was analysed to its end."""
        ...

    def retain(self, store: Store) -> int:
        """Remove the sources that are kept no longer; returns how many."""
        ...

    def close(self) -> None:
        """Release models."""
        ...


class OpenKeeper(Protocol):
    """Opens a library's keeper; a function that travels to worker processes."""

    def __call__(self, store: Store, threads: int) -> Keeper | None:
        """The keeper by what the library remembers, or None where it keeps everything."""
        ...
