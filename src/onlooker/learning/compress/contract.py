"""What a compressed bundle has to keep, and whether one does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onlooker.core.errors import UsageError

__all__ = ["Contract", "Costs", "Worth", "broken", "distance", "drop_of", "task_of"]


@dataclass(frozen=True, slots=True)
class Worth:
    """How good a bundle is at one task.

    Args:
        metric: name of the main metric.
        value: of it.
        higher: whether more of it is better.
        ci95: its interval, or None.
        count: samples.
        classes: table by label.
    """

    metric: str
    value: float
    higher: bool
    ci95: tuple[float, float] | None = None
    count: int = 0
    classes: Mapping[str, Mapping[str, float]] | None = None


@dataclass(frozen=True, slots=True)
class Costs:
    """What a bundle costs on this machine.

    Args:
        latency_ms: median of one look, one thread, warm; ``spread``: its 5th and 95th percentile.
        engine: that it was measured in, the fastest here.
        size_mb: of the files that are loaded, in units of 10^6 bytes.
        throughput: looks a second with all processors, or None.
        memory_mb: most that a process takes that runs it, or None.
    """

    latency_ms: float
    spread: tuple[float, float]
    engine: str
    size_mb: float
    throughput: float | None = None
    memory_mb: float | None = None


@dataclass(frozen=True, slots=True)
class Contract:
    """The limits; what is None is not asked for.

    Args:
        max_drop: by how many points a task's main metric may be worse than the baseline's: of a share (accuracy, F1,
            mAP) in hundredths, of an error in percent of the baseline's.
        max_latency_ms: of a look, one thread.
        speed_up: how many times faster than the baseline in the same measurement.
        max_size_mb: of the files that are loaded.

    Raises:
        UsageError: a limit cannot be.
    """

    max_drop: float = 1.0
    max_latency_ms: float | None = None
    speed_up: float | None = None
    max_size_mb: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.max_drop) and self.max_drop >= 0):
            raise UsageError(f"max_drop: expected 0 or more points, got {self.max_drop:g}")
        for name in ("max_latency_ms", "speed_up", "max_size_mb"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UsageError(f"{name}: expected more than 0, got {value:g}")

    def as_dict(self) -> dict[str, float | None]:
        """The public JSON form."""
        return {name: getattr(self, name) for name in Contract.__slots__}


def drop_of(base: Worth, other: Worth) -> float:
    """By how many points a bundle is worse; negative where it is better.

    >>> round(drop_of(Worth("accuracy", 0.92, True), Worth("accuracy", 0.9, True)), 6)
    2.0
    >>> round(drop_of(Worth("mae", 2.0, False), Worth("mae", 2.1, False)), 6)
    5.0
    """
    worse = base.value - other.value if base.higher else other.value - base.value
    if base.higher:
        return 100 * worse
    return 100 * worse / max(abs(base.value), 1e-9)


def broken(
    contract: Contract, base: Mapping[str, Worth], worth: Mapping[str, Worth], costs: Costs, speed_up: float
) -> list[str]:
    """What of the contract a bundle does not keep, in words; empty where it keeps all.

    Args:
        contract: the limits.
        base: of the baseline, by task.
        worth: of the bundle; a task that it lost breaks every contract.
        costs: of the bundle.
        speed_up: over the baseline, measured beside it.
    """
    made: list[str] = []
    for name, one in base.items():
        if name not in worth:
            made.append(f"{name} is not answered")
        elif (drop := drop_of(one, worth[name])) > contract.max_drop + 1e-9:
            made.append(f"{name}: {drop:.2f} points less, allowed are {contract.max_drop:g}")
    if contract.max_latency_ms is not None and costs.latency_ms > contract.max_latency_ms:
        made.append(f"{costs.latency_ms:.3g} ms a look, allowed are {contract.max_latency_ms:g}")
    if contract.speed_up is not None and speed_up < contract.speed_up:
        made.append(f"{speed_up:.2f} times as fast, wanted are {contract.speed_up:g}")
    if contract.max_size_mb is not None and costs.size_mb > contract.max_size_mb:
        made.append(f"{costs.size_mb:.3g} MB, allowed are {contract.max_size_mb:g}")
    return made


def distance(contract: Contract, drop: float, costs: Costs, speed_up: float) -> float:
    """How far from the contract: the sum of what each limit is missed by, as a share of it; 0 where all are kept."""
    missed = max(0.0, drop - contract.max_drop) / max(1.0, contract.max_drop)
    pairs: list[tuple[float, float | None]] = [
        (costs.latency_ms, contract.max_latency_ms), (costs.size_mb, contract.max_size_mb),
    ]  # fmt: skip
    missed += sum(max(0.0, value / limit - 1) for value, limit in pairs if limit is not None)
    if contract.speed_up is not None:
        missed += max(0.0, contract.speed_up / max(speed_up, 1e-9) - 1)
    return missed


def task_of(values: Mapping[str, Any]) -> Worth | None:
    """From a task of ``evaluate --json``; None where nothing could be told."""
    if values.get("value") is None:
        return None
    between = values.get("ci95")
    limits = None if between is None else (float(between[0]), float(between[1]))
    higher, count = bool(values["higher_is_better"]), int(values["count"])
    return Worth(values["metric"], float(values["value"]), higher, limits, count, values.get("classes"))
