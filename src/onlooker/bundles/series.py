"""Series of measurements: a table of times and numbers, and its stretches as the even steps that a network takes.

A series is a CSV file (UTF-8, commas). Its first line names the columns: ``time``, in seconds of the video that it
belongs to, and one for each thing that was measured. Times rise from row to row; an empty cell is a value that is
missing. Beside a video, it has the video's name with ``.series.csv`` in place of the suffix: ``yard.series.csv``
belongs to ``yard.mp4``.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onlooker.core.errors import SourceError

__all__ = ["SUFFIX", "TIME", "Series", "read_series", "refuse_lacking", "sidecar_of", "steps_of"]

SUFFIX = ".series.csv"
"""What stands in place of a video's suffix in the name of the series beside it."""
TIME = "time"
_MAX_BYTES = 512_000_000
_MAX_COLUMNS = 256
_LONGEST_NAME = 100
_FORM = "a CSV file whose first line is time and the names of what was measured"
_SLACK = 1e-6


@dataclass(frozen=True, slots=True)
class Series:
    """What was measured, and when.

    Args:
        times: float64 (rows,): seconds, rising.
        values: float64 (rows, columns); NaN where a value is missing.
        columns: their names.
    """

    times: NDArray[np.float64]
    values: NDArray[np.float64]
    columns: tuple[str, ...]

    @property
    def end(self) -> float:
        """Seconds of the last row."""
        return float(self.times[-1])


def sidecar_of(path: str | Path) -> Path:
    """Where the series beside a video lies.

    >>> sidecar_of("clips/yard.mp4").as_posix()
    'clips/yard.series.csv'
    """
    return Path(path).with_suffix(SUFFIX)


def read_series(path: str | Path) -> Series:
    """A series from its file.

    Raises:
        SourceError: it cannot be read or is no series; names the line.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise SourceError(f"{path} is too long for a series", hint=f"at most {_MAX_BYTES} bytes; cut it in parts")
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            columns = _columns(path, next(rows, list[str]()))
            numbers = list(_numbers(path, rows, columns))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"cannot read {path}: {reason}", hint=f"expected {_FORM}") from None
    if not numbers:
        raise SourceError(f"{path} has no rows", hint=f"expected {_FORM}")
    table = np.array(numbers, np.float64)
    place = columns.index(TIME)
    named = tuple(c for c in columns if c != TIME)
    return Series(np.ascontiguousarray(table[:, place]), np.delete(table, place, 1), named)


def _columns(path: Path, head: Sequence[str]) -> list[str]:
    columns = [name.strip() for name in head]
    where = f"{path}:1: "
    if TIME not in columns:
        raise SourceError(f"{where}there is no column {TIME!r}", hint=f"expected {_FORM}")
    if len(columns) < 2 or len(columns) > _MAX_COLUMNS + 1:
        raise SourceError(f"{where}expected 1 to {_MAX_COLUMNS} columns beside {TIME}, got {len(columns) - 1}")
    for number, name in enumerate(columns):
        if not name or len(name) > _LONGEST_NAME or not name.isprintable():
            raise SourceError(f"{where}column {number + 1} has no name of 1 to {_LONGEST_NAME} letters")
        if name in columns[:number]:
            raise SourceError(f"{where}the column {name!r} is there twice")
    return columns


def _numbers(path: Path, rows: Iterator[list[str]], columns: Sequence[str]) -> Iterator[list[float]]:
    place, before = columns.index(TIME), -math.inf
    for line, row in enumerate(rows, 2):
        if not row:
            continue
        if len(row) != len(columns):
            raise SourceError(f"{path}:{line}: expected {len(columns)} cells, got {len(row)}", hint=f"expected {_FORM}")
        made = [_number(path, line, name, cell) for name, cell in zip(columns, row, strict=True)]
        if math.isnan(made[place]):
            raise SourceError(f"{path}:{line}: the row has no {TIME}")
        if made[place] <= before:
            raise SourceError(
                f"{path}:{line}: {TIME} goes from {before:g} to {made[place]:g}", hint="times must rise from row to row"
            )
        before = made[place]
        yield made


def _number(path: Path, line: int, name: str, cell: str) -> float:
    try:
        value = float(cell) if cell.strip() else math.nan
    except ValueError:
        value = math.inf
    if math.isinf(value):
        raise SourceError(
            f"{path}:{line}: {name}: expected a number, got {cell[:40]!r}", hint="leave a missing value empty"
        )
    return value


def refuse_lacking(series: Series, columns: Sequence[str], named: str = "the series", why: str = "") -> None:
    """See that a series has all columns.

    Args:
        series: whose.
        columns: those that are wanted.
        named: how the error calls the series.
        why: what the error says after the column.

    Raises:
        SourceError: it lacks one.
    """
    if missing := [name for name in columns if name not in series.columns]:
        raise SourceError(f"{named} has no column {missing[0]!r}{why}", hint=f"it has {', '.join(series.columns)}")


def steps_of(
    series: Series, columns: Sequence[str], *, rate: float, steps: int, start: float, hold: float
) -> NDArray[np.float32] | None:
    """A stretch of a series as even steps.

    A step is the mean of the values in it; where there are none, the last value before it, if that is not older than
    ``hold``.

    Args:
        series: whose.
        columns: those that are wanted, in order.
        rate: steps a second.
        steps: how many.
        start: second at which the first begins; it may lie before or after what was measured.
        hold: seconds that a value stands for at most.

    Returns:
        (steps, columns), NaN where nothing is known; None where nothing is known at all.

    Raises:
        SourceError: it has no such column.

    >>> walk = Series(np.array([0.0, 0.1, 1.0]), np.array([[1.0], [3.0], [5.0]]), ("speed",))
    >>> steps_of(walk, ["speed"], rate=2, steps=4, start=0.0, hold=0.5)[:, 0].tolist()
    [2.0, 3.0, 5.0, 5.0]
    """
    refuse_lacking(series, columns)
    first, last = np.searchsorted(series.times, [start - hold - _SLACK, start + steps / rate])
    times = series.times[first:last]
    made = np.full((steps, len(columns)), np.nan)
    begins = start + np.arange(steps) / rate
    for number, name in enumerate(columns):
        values = series.values[first:last, series.columns.index(name)]
        known = ~np.isnan(values)
        if known.any():
            made[:, number] = _column(times[known], values[known], begins, rate, hold)
    return None if np.isnan(made).all() else made.astype(np.float32)


def _column(
    times: NDArray[np.float64], values: NDArray[np.float64], begins: NDArray[np.float64], rate: float, hold: float
) -> NDArray[np.float64]:
    place = np.floor((times - begins[0]) * rate + _SLACK).astype(np.int64)
    inside = (place >= 0) & (place < len(begins))
    counts = np.bincount(place[inside], minlength=len(begins))
    sums = np.bincount(place[inside], values[inside], minlength=len(begins))
    before = np.searchsorted(times, begins + _SLACK / rate, "right") - 1
    held = (before >= 0) & (begins - times[np.maximum(before, 0)] <= hold + _SLACK)
    other = np.where(held, values[np.maximum(before, 0)], np.nan)
    return np.where(counts > 0, sums / np.maximum(counts, 1), other)
