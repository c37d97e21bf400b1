"""Looks that tell several steps in time, of which each is told once although looks overlap."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers.bundle.deciding import Decider
from onlooker.analyzers.bundle.looks import Moment
from onlooker.core.observation import Observation
from onlooker.core.time import Timestamp

__all__ = ["Steps"]


class Steps:
    """Hands the numbers of looks to a decider, step by step, without what a look does not speak for.

    Args:
        decider: of the output.
        count: steps of a look.
    """

    def __init__(self, decider: Decider, count: int) -> None:
        self._decider, self._count = decider, count
        self._told: Timestamp | None = None
        self._tail: list[tuple[Timestamp, Timestamp, NDArray[np.float32]]] = []

    def take(self, moment: Moment, values: NDArray[np.float32]) -> list[Observation]:
        """The numbers (steps * n,) of a look, later than the last."""
        if self._count == 1:
            return list(self._decider.take(moment.since, moment.until, values))
        made: list[Observation] = []
        length = (moment.end - moment.start) / self._count
        self._tail = []
        for number, row in enumerate(values.reshape(self._count, -1)):
            since, until = moment.start + number * length, moment.start + (number + 1) * length
            if since >= moment.until:
                self._tail.append((since, until, row))
            elif self._told is None or until > self._told:
                since = since if self._told is None else max(since, self._told)
                self._told = until
                made += self._decider.take(since, until, row)
        return made

    def finish(self) -> list[Observation]:
        """No more looks: the steps of the last one that it does not speak for."""
        return [o for since, until, row in self._tail for o in self._decider.take(since, until, row)]
