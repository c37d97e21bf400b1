"""Takes rates down when the machine is too slow, in a stated order, and lets them recover.

The order: the heavy analyzers' rate of the cameras with the lowest priority, then of those with the next, up to the
highest; then, in the same order, the rate of the light ones. Cameras of one priority go down evenly, and none below a
floor. A camera that is too slow by itself (its own analyzers take longer than its frames) goes down alone: heavy, then
light.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Allowance", "Demand", "Governor", "Load"]


@dataclass(frozen=True, slots=True)
class Demand:
    """What a camera asks for: frames a second, and its priority (higher gets more)."""

    rate: float
    priority: int = 1


@dataclass(frozen=True, slots=True)
class Allowance:
    """Frames a second that a camera may analyse, and how many of them by its heavy analyzers."""

    rate: float
    heavy: float


@dataclass(frozen=True, slots=True)
class Load:
    """What happened to a camera since the last look.

    Args:
        busy: share of the time, 0..1, in which a worker was on it.
        late: share, 0..1, of the frames that were due and were superseded by newer ones.
    """

    busy: float
    late: float


class _Cut:
    """How far something is cut, 0..``most``: goes up fast while it is over, and down slowly after a while of ease.

    When going down brought the trouble back, the next try waits twice as long, up to a minute.
    """

    def __init__(self, most: float) -> None:
        self.most, self.value = most, 0.0
        self._hold, self._quiet, self._lowered = _HOLD, 0.0, False

    def step(self, seconds: float, *, over: bool, under: bool) -> None:
        """``seconds`` later."""
        if over:
            if self._lowered:
                self._hold, self._lowered = min(self._hold * 2, _MOST_HOLD), False
            self.value, self._quiet = min(self.most, self.value + _UP * seconds), 0.0
            return
        self._quiet = self._quiet + seconds if under else 0.0
        if self._quiet >= self._hold and self.value > 0:
            self.value, self._lowered = max(0.0, self.value - _DOWN * seconds), True
            if self.value == 0:
                self._hold, self._lowered = _HOLD, False


_UP, _DOWN = 0.1, 0.05
_HOLD, _MOST_HOLD = 5.0, 60.0
_LATE, _BUSY, _EASE = 0.05, 0.9, 0.7


class Governor:
    """Decides what each camera may analyse, from how the last second went.

    Args:
        floor: frames a second below which no rate is taken down (a camera that wants less gets what it wants).
    """

    def __init__(self, floor: float = 0.5) -> None:
        self._floor = floor
        self._demands: dict[str, Demand] = {}
        self._all = _Cut(0.0)
        self._own: dict[str, _Cut] = {}

    def set(self, demands: Mapping[str, Demand]) -> None:
        """The cameras that there are now; what is cut stays cut."""
        self._demands = dict(demands)
        self._own = {name: self._own.get(name) or _Cut(2.0) for name in demands}
        self._all.most = 2.0 * len({d.priority for d in demands.values()})
        self._all.value = min(self._all.value, self._all.most)

    def step(self, seconds: float, loads: Mapping[str, Load], workers: int) -> None:
        """Take what happened since the last step.

        Args:
            seconds: since then.
            loads: by camera.
            workers: how many share the work.
        """
        total = sum(load.busy for load in loads.values()) / max(1, workers)
        late = max((load.late for load in loads.values()), default=0.0)
        self._all.step(seconds, over=total >= _BUSY and late > _LATE, under=total <= _EASE)
        for name, cut in self._own.items():
            load = loads.get(name, Load(0.0, 0.0))
            alone = total < _BUSY and load.busy >= _EASE
            cut.step(seconds, over=alone and load.late > _LATE, under=load.busy <= _EASE)

    def allowed(self, name: str) -> Allowance:
        """What a camera may analyse now."""
        demand = self._demands[name]
        order = sorted({d.priority for d in self._demands.values()})
        place, own = order.index(demand.priority), self._own[name].value
        heavy = self._rate(demand.rate, max(self._all.value - place, own))
        light = self._rate(demand.rate, max(self._all.value - len(order) - place, own - 1.0))
        return Allowance(light, min(heavy, light))

    @property
    def cut(self) -> float:
        """How far the machine as a whole is cut: 0 is not at all; each whole number is one step of the order."""
        return self._all.value

    def _rate(self, wanted: float, cut: float) -> float:
        lowest = min(wanted, self._floor)
        share = min(1.0, max(0.0, cut))
        return wanted if share == 0 else wanted * (lowest / wanted) ** share
