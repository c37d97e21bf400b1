"""From scores to spans, and from spans on normal footage to the threshold that keeps a budget of false alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.bundles.outputs import Spans

__all__ = ["Alarms", "alarms", "false_alarm_table", "past_mean", "smoothed"]

Series = NDArray[np.float64]
_RATES = (60.0, 30.0, 12.0, 6.0, 3.0, 2.0, 1.0, 0.5, 0.25, 0.1, 1 / 24)
_SURE = 5
_STEPS = 400


def past_mean(values: Series, ticks: int) -> Series:
    """The mean over the last ``ticks`` values, as a deployed bundle smooths.

    >>> past_mean(np.array([0.0, 2.0, 4.0]), 2).tolist()
    [0.0, 1.0, 3.0]
    """
    sums = np.cumsum(np.concatenate([[0.0], values]))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - max(1, ticks))
    return (sums[ends] - sums[starts]) / (ends - starts)


def smoothed(values: Series, sigma: float) -> Series:
    """The mean around each value, weighted by a Gaussian of so many values, mirrored at both ends."""
    reach = min(int(4 * sigma + 0.5), len(values) - 1)
    if sigma <= 0 or reach < 1:
        return values
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    padded = np.pad(values, reach, mode="symmetric")
    return np.convolve(padded, weights / weights.sum(), "valid").astype(np.float64)


@dataclass(frozen=True, slots=True)
class Alarms:
    """The spans of one series of scores: (first, behind the last, peak) of each."""

    spans: tuple[tuple[int, int, float], ...]


def alarms(values: Series, threshold: float, rate: float, spans: Spans) -> Alarms:
    """The spans in which smoothed scores are high, as the analyzer of bundles decides.

    Args:
        values: (n,), smoothed.
        threshold: what a span begins at.
        rate: values a second.
        spans: the rules.
    """
    off = threshold - (1 - spans.hold) * abs(threshold)
    found: list[tuple[int, int, float]] = []
    begin: int | None = None
    for place, value in enumerate([*values, -np.inf]):
        if begin is None and value >= threshold:
            begin = place
        elif begin is not None and value < off:
            peak = float(values[begin:place].max())
            if found and (begin - found[-1][1]) / rate <= spans.gap_seconds:
                begin, peak = found[-1][0], max(peak, found.pop()[2])
            found.append((begin, place, peak))
            begin = None
    return Alarms(tuple(s for s in found if (s[1] - s[0]) / rate >= spans.minimum_seconds))


def false_alarm_table(
    normal: Sequence[Series], rate: float, spans: Spans, budget: float
) -> tuple[list[tuple[float, float]], dict[str, Any]]:
    """Thresholds by the false alarms an hour that they make on normal footage.

    A rate of at least five spans on all footage is counted. Rarer ones than the footage can show follow from the
    excesses of the highest spans over the last threshold that was counted, which fall off exponentially (peaks over
    threshold: Pickands 1975, Statistical inference using extreme order statistics, with a shape of zero).

    Args:
        normal: smoothed scores of each clip of normal footage that the model has not seen.
        rate: values a second.
        spans: the rules.
        budget: false alarms an hour; it gets a row of its own.

    Returns:
        (false alarms an hour, threshold) rows from frequent to rare, and facts: ``hours`` of footage,
        ``counted_down_to``: the lowest rate that was counted.
    """
    hours = sum(len(v) for v in normal) / rate / 3600
    every = np.concatenate([*normal, np.zeros(1)])
    steps = np.unique(np.quantile(every, 1 - np.geomspace(1 / len(every), 1, _STEPS)))
    counts = np.array([sum(len(alarms(v, float(on), rate, spans).spans) for v in normal) for on in steps])
    # a low threshold joins spans: from its greatest count on, a higher one only makes fewer
    counts = np.maximum.accumulate(counts[::-1])[::-1]
    base = float(steps[counts >= _SURE][-1]) if (counts >= _SURE).any() else float(steps[0])
    peaks = np.array([s[2] for v in normal for s in alarms(v, base, rate, spans).spans])
    beyond = float(np.maximum(peaks - base, 0).mean()) if len(peaks) else 0.0
    beyond = max(beyond, 1e-3 * max(abs(base), 1e-6))
    sure = max(len(peaks), 1) / hours
    rows: dict[float, float] = {}
    for wanted in sorted({*_RATES, budget}, reverse=True):
        if wanted * hours >= _SURE:
            fitting = steps[counts <= wanted * hours]
            rows[wanted] = float(fitting[0]) if len(fitting) else base
        else:
            rows[wanted] = base + beyond * float(np.log(max(1.0, sure / wanted)))
    table: list[tuple[float, float]] = []
    for wanted, threshold in rows.items():
        table.append((wanted, max(threshold, table[-1][1] if table else threshold)))
    return table, {"hours": round(hours, 4), "counted_down_to": round(_SURE / hours, 2)}
