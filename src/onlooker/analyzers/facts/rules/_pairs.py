"""Finds observations of two sorts that follow each other closely, in whatever order they arrive."""

from __future__ import annotations

from collections.abc import Callable

from onlooker.core.observation import Observation

__all__ = ["Pairs"]


class Pairs:
    """Give it observations of either sort; it gives back the pairs that each completes.

    Args:
        fits: whether two belong together, the first of the one sort, the second of the other.
        seconds: what lies further than this behind the newest is forgotten.
    """

    def __init__(self, fits: Callable[[Observation, Observation], bool], seconds: float) -> None:
        self._fits, self._seconds = fits, seconds
        self._first: list[Observation] = []
        self._second: list[Observation] = []
        self._newest = 0.0

    def first(self, observation: Observation) -> list[tuple[Observation, Observation]]:
        """One of the first sort."""
        self._keep(self._first, observation)
        return [(observation, other) for other in self._second if self._fits(observation, other)]

    def second(self, observation: Observation) -> list[tuple[Observation, Observation]]:
        """One of the second sort."""
        self._keep(self._second, observation)
        return [(other, observation) for other in self._first if self._fits(other, observation)]

    def _keep(self, kept: list[Observation], observation: Observation) -> None:
        kept.append(observation)
        self._newest = max(self._newest, observation.span.end.seconds)
        for known in (self._first, self._second):
            while known and known[0].span.end.seconds < self._newest - self._seconds:
                known.pop(0)
