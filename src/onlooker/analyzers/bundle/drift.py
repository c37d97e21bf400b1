"""Watches inputs and scores of a bundle against its reference, window by window."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from numpy.typing import NDArray

from onlooker.bundles.drift import PICTURE, SOUND, Moved, moved, score_name, score_of
from onlooker.bundles.manifest import Manifest
from onlooker.bundles.outputs import Scored
from onlooker.core.observation import Json, Observation
from onlooker.core.time import Span, Timestamp

__all__ = ["DRIFT", "DriftWatch"]

DRIFT = "drift"
"""Kind of the observations: the label is what has moved."""


class DriftWatch:
    """Collects looks and tells what has moved; see `onlooker.bundles.drift`.

    Args:
        manifest: with a reference.
        seconds: length of a window.
    """

    def __init__(self, manifest: Manifest, seconds: float) -> None:
        assert manifest.reference is not None
        self._reference, self._seconds = manifest.reference, Fraction(round(seconds * 1000), 1000)
        self._inputs = PICTURE if manifest.pictures is not None else SOUND
        self._outputs = [o for o in manifest.outputs if isinstance(o, Scored)]
        self._window: dict[str, list[float]] = {}
        self._span: tuple[Timestamp, Timestamp] | None = None

    @property
    def since(self) -> Timestamp | None:
        """Where the window began."""
        return self._span[0] if self._span else None

    def take(
        self, since: Timestamp, until: Timestamp, statistics: NDArray[Any] | None, values: Mapping[str, NDArray[Any]]
    ) -> list[Observation]:
        """A look; what the window that it ends tells.

        Args:
            since: from when on it speaks.
            until: until when.
            statistics: of its input.
            values: numbers by output.
        """
        made: list[Observation] = []
        if self._span is not None and since - self._span[0] >= self._seconds:
            made = self.flush()
        self._span = (self._span[0] if self._span else since, until)
        if statistics is not None:
            for name, value in zip(self._inputs, statistics.tolist(), strict=True):
                self._window.setdefault(name, []).append(value)
        for output in self._outputs:
            if output.name in values:
                self._window.setdefault(score_name(output.name), []).append(score_of(output, values[output.name]))
        return made

    def flush(self) -> list[Observation]:
        """What the window so far tells; a new one begins."""
        span, window = self._span, self._window
        self._span, self._window = None, {}
        if span is None:
            return []
        return [self._observation(Span(*span), one) for one in moved(self._reference, window)]

    def _observation(self, span: Span, one: Moved) -> Observation:
        known = one.reference
        data: dict[str, Json] = {
            "psi": round(one.psi, 4), "median": round(one.median, 4), "looks": one.looks,
            "reference": [round(v, 4) for v in (known.low, known.median, known.high)],
            "direction": "lower" if one.median < known.low else "higher",
        }  # fmt: skip
        return Observation(span, DRIFT, round(one.outside, 4), one.name, data=data)
