"""The series of measurements beside a video: where it is found, and the network that looks at it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.bundles.inputs import SeriesInput
from onlooker.bundles.manifest import Network
from onlooker.bundles.preprocess import series_tensor
from onlooker.bundles.running import NetworkRun
from onlooker.bundles.series import Series, read_series, refuse_lacking, sidecar_of, steps_of
from onlooker.core.errors import ConfigError
from onlooker.core.media import SourceInfo

__all__ = ["Gauge", "digest_of", "series_beside", "ticks_a_second"]


def ticks_a_second(facts: SeriesInput) -> Fraction:
    """Steps a second, exactly."""
    return Fraction(facts.rate).limit_denominator(1_000_000)


def digest_of(name: str, path: str) -> str:
    """The beginning of the SHA-256 of a file of measurements.

    Args:
        name: of the analyzer, for the error.
        path: of the file.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        with Path(path).expanduser().open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except OSError as error:
        raise ConfigError(f"{name}: series: cannot read {path}: {error.strerror}", hint="check the path") from None


def series_beside(source: SourceInfo, path: str | None, network: Network) -> Series | None:
    """The series of a source, or None where there is none; what is seen live has none.

    Args:
        source: whose.
        path: of the file, where the settings say so; else it lies beside the source.
        network: that looks at it.

    Raises:
        SourceError: it cannot be read, is no series, or lacks a column.
    """
    if source.live:
        return None
    place = sidecar_of(source.path) if path is None else Path(path).expanduser()
    if path is None and not place.is_file():
        return None
    series = read_series(place)
    facts = network.input
    assert isinstance(facts, SeriesInput)
    # before a look is made; `steps_of` sees to it for those that have no file to name
    refuse_lacking(series, facts.columns, str(place), ", which the bundle takes")
    return series


class Gauge:
    """A network of a series, and the series of a source.

    Args:
        network: what it is.
        run: it, loaded.
        series: of the source.
    """

    def __init__(self, network: Network, run: NetworkRun, series: Series) -> None:
        assert isinstance(network.input, SeriesInput)
        self._facts, self._run, self._series = network.input, run, series

    def at(self, middle: Fraction) -> dict[str, NDArray[Any]] | None:
        """The network's answer to the window around a moment, or None where nothing is known in it."""
        facts = self._facts
        return self._answer(float(middle - facts.steps / ticks_a_second(facts) / 2))

    def looks(self, duration: Fraction | None) -> Iterator[tuple[int, dict[str, NDArray[Any]]]]:
        """The answers to all windows that lie in a source of a length, with their numbers; at least the first one."""
        facts, second = self._facts, ticks_a_second(self._facts)
        seconds = Fraction(max(0.0, self._series.end)) + 1 / second
        # what is measured at a video's last picture is of a step that goes on beyond it
        steps = ceil(min(seconds, duration if duration is not None else seconds) * second)
        for number in range(max(0, steps - facts.steps) // facts.stride + 1):
            outputs = self._answer(float(number * facts.stride / second))
            if outputs is not None:
                yield number, outputs

    def _answer(self, start: float) -> dict[str, NDArray[np.float32]] | None:
        facts = self._facts
        rows = steps_of(
            self._series, facts.columns, rate=facts.rate, steps=facts.steps, start=start, hold=facts.hold_seconds
        )
        return None if rows is None else self._run.step(series_tensor(rows, facts), self._run.initial())[0]

    def close(self) -> None:
        """Release the network."""
        self._run.close()
