"""Dilated causal convolutions over series of sensors.

Bai et al. 2018, An empirical evaluation of generic convolutional and recurrent networks for sequence modeling,
arXiv 1803.01271.
"""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn

from onlooker.core.errors import UsageError
from onlooker.learning.network import Features, NetworkConfig, State
from onlooker.learning.networks._streaming import StreamingNetwork
from onlooker.learning.networks._tcn import Tcn, TcnConfig

EXAMPLE: dict[str, Any] = {"config": {"width": 12, "levels": 2}, "shape": (20, 5)}
VARIANTS: tuple[dict[str, Any], ...] = ({"width": 12, "levels": 1, "kernel": 2, "norm": "group"},)


class Config(TcnConfig, NetworkConfig):
    """Settings of `Series`; all are told in `TcnConfig`."""

    network: Literal["series"] = "series"

    def shallower(self) -> dict[str, Any] | None:
        """One level less, which sees half as far back; see `NetworkConfig.shallower`."""
        return {"levels": self.levels - 1} if self.levels > 1 else None


class Series(StreamingNetwork):
    """Series (B, T, N) -> steps (B, T, width): each number normalised by itself, then ``layers`` over time."""

    Config = Config
    takes = "series"

    def __init__(self, config: Config, shape: tuple[int, ...]) -> None:
        super().__init__(config, shape)
        if len(shape) != 2 or min(shape) < 1:
            raise UsageError(f"series: expected a series of the shape (steps, numbers), got {tuple(shape)}")
        self.steps, numbers = shape
        self.size, self.memory = config.width, config.reach
        self.even = nn.BatchNorm1d(numbers)
        self.layers = Tcn(numbers, config)
        self.name_memories()

    def follow_widths(self) -> None:
        """See `Network.follow_widths`."""
        self.size = self.layers.size

    def run(self, x: Tensor, before: State, after: State) -> Features:
        """Features of the next steps."""
        return Features(self.layers(self.even(x.transpose(1, 2)).transpose(1, 2), before, after))


PART = Series
