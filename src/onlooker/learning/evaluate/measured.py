"""The windows of a sample's series that a bundle looks at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onlooker.bundles.inputs import SeriesInput
from onlooker.bundles.series import Series, steps_of
from onlooker.core.errors import SourceError
from onlooker.learning.datasets.manifest import Sample
from onlooker.learning.datasets.media import held_series

__all__ = ["Rows", "rows_of", "series_of", "windows_of"]

Rows = tuple[NDArray[np.float32] | None, ...]
"""For each look, (steps, columns) with NaN where nothing is known; None where nothing is known at all."""
_LONGER = 1.1
_MOST_STEPS = 256


def series_of(sample: Sample, root: Path) -> Series | None:
    """The series of a sample, where it has one.

    Raises:
        SourceError: it cannot be read.
    """
    media = sample.of_kind("series")
    return None if media is None else held_series(root / media.path)


def windows_of(
    sample: Sample, series: Series, facts: SeriesInput, *, looks: int, steps: bool
) -> tuple[tuple[float, float], ...]:
    """Seconds that the looks at a series alone cover: one, or several spread evenly over a longer sample.

    Args:
        sample: whose.
        series: of it.
        facts: of the bundle's input.
        looks: at most so many.
        steps: whether answers have steps in time: looks then follow each other.
    """
    one = facts.seconds
    start, end = sample.span or (0.0, _length(sample, series, facts))
    if sample.at is not None:
        start = end = sample.at
    length, middle = end - start, (start + end) / 2
    if length <= _LONGER * one:
        return ((middle - one / 2, middle + one / 2),)
    if steps:
        count = min(_MOST_STEPS, max(1, round(length / one)))
        firsts = [start + (n + 0.5) * length / count - one / 2 for n in range(count)]
    else:
        count = min(looks, math.ceil(length / one))
        firsts = [start + n * (length - one) / max(1, count - 1) for n in range(count)]
    return tuple((first, first + one) for first in firsts)


def rows_of(sample: Sample, series: Series, facts: SeriesInput, times: Sequence[tuple[float, float]]) -> Rows:
    """The window around the middle of each look; of a picture without a time, that of the whole series.

    Raises:
        SourceError: a column is not there.
    """
    made: list[NDArray[np.float32] | None] = []
    for since, until in times:
        middle = (since + until) / 2
        if until <= since and sample.at is None:
            middle = _length(sample, series, facts) / 2
        try:
            rows = steps_of(
                series,
                facts.columns,
                rate=facts.rate,
                steps=facts.steps,
                start=middle - facts.seconds / 2,
                hold=facts.hold_seconds,
            )
        except SourceError as error:
            raise SourceError(f"sample {sample.id}: {error.message}", hint=error.hint) from None
        made.append(rows)
    return tuple(made)


def _length(sample: Sample, series: Series, facts: SeriesInput) -> float:
    """Seconds of a whole sample: of its video or sound, else of its series."""
    media = sample.of_kind("video", "audio")
    return media.seconds if media is not None and media.seconds else max(series.end, 0.0) + 1 / facts.rate
