"""Turns a series of labelled moments into stretches of one state, without flicker."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onlooker.core.time import Span, Timestamp

__all__ = ["State", "StateSpans"]


@dataclass(slots=True)
class State:
    """A stretch in which one state held: ``values`` is the sum over its ``count`` moments."""

    label: str
    start: Timestamp
    end: Timestamp
    values: NDArray[np.float64]
    count: int

    @property
    def span(self) -> Span:
        """Its limits."""
        return Span(self.start, self.end)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean of the values."""
        return self.values / self.count

    def take(self, other: State) -> None:
        """Go on with the other's moments."""
        self.end, self.values, self.count = other.end, self.values + other.values, self.count + other.count


class StateSpans:
    """Takes one labelled moment after another and gives out finished stretches.

    A new state must hold for a while before it ends the old one; what comes back before that never left.

    Args:
        least_seconds: how long a new state must hold.
        gap_seconds: a longer time without a moment ends the stretch.
        longest_seconds: longer stretches are given out in pieces of about this many seconds; None: whole.
    """

    def __init__(self, least_seconds: float, gap_seconds: float, longest_seconds: float | None = None) -> None:
        self._least, self._gap, self._longest = least_seconds, gap_seconds, longest_seconds
        self._held: State | None = None
        self._new: State | None = None

    def take(self, span: Span, label: str, values: NDArray[np.float64]) -> list[State]:
        """The next moment; returns the stretches that it ended."""
        made: list[State] = []
        latest = self._new or self._held
        if latest is not None and float(span.start - latest.end) > self._gap:
            made = self.finish()
        moment = State(label, span.start, span.end, np.asarray(values, np.float64), 1)
        if self._held is None:
            self._held = moment
        elif label == self._held.label:
            if self._new is not None:
                self._held.take(self._new)
                self._new = None
            self._held.take(moment)
        elif self._new is not None and self._new.label == label:
            self._new.take(moment)
        else:
            if self._new is not None:  # a third state: the second was only passing
                self._held.take(self._new)
            self._new = moment
        if self._new is not None and float(self._new.end - self._new.start) >= self._least:
            # the old state lasted until the new one was first seen
            self._held.end = self._new.start
            made.append(self._held)
            self._held, self._new = self._new, None
        held = self._held
        lasted = 0.0 if held is None or self._new is not None else float(held.end - held.start)
        if self._longest is not None and lasted >= self._longest:
            made += self.finish()
        return made

    @property
    def since(self) -> Timestamp | None:
        """Where the stretch under way begins, if there is one."""
        return None if self._held is None else self._held.start

    def finish(self) -> list[State]:
        """No more moments: the stretches still under way."""
        if self._held is None:
            return []
        if self._new is not None:
            self._held.take(self._new)
        made = [self._held]
        self._held = self._new = None
        return made
