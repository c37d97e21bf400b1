"""A CNN over each frame and a recurrent network over the steps.

Donahue et al. 2015, Long-term recurrent convolutional networks, arXiv 1411.4389; with a GRU or an LSTM.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from torch import Tensor

from onlooker.learning.network import Features, State
from onlooker.learning.networks._frames import FrameNetwork, FramesConfig
from onlooker.learning.networks._recurrent import Cell, Recurrent

EXAMPLE: dict[str, Any] = {"config": {"widths": (8, 16), "hidden": 12}, "shape": (8, 3, 16, 16)}
VARIANTS: tuple[dict[str, Any], ...] = (
    {"widths": (8, 16), "cell": "lstm", "layers": 2, "hidden": 12, "difference": True},
    {"widths": (8, 16), "both_ways": True, "hidden": 12},
)


class Config(FramesConfig):
    """Settings of `CnnRnn`; those of each frame are told in `FramesConfig`, ``size`` is of a frame.

    Attributes:
        cell: ``gru`` or ``lstm``.
        hidden: D, numbers of a step (twice as many where it goes both ways).
        layers: of recurrent networks, one upon the other.
        both_ways: it goes from the end to the beginning as well, and cannot run on a stream.
    """

    network: Literal["cnn_rnn"] = "cnn_rnn"
    cell: Cell = "gru"
    hidden: int = Field(default=128, ge=1, le=4096)
    layers: int = Field(default=1, ge=1, le=8)
    both_ways: bool = False

    def shallower(self) -> dict[str, Any] | None:
        """See `StagesConfig.shallower`; half of the recurrent layers too, where there are several."""
        fewer = super().shallower()
        return {**(fewer or {}), "layers": self.layers // 2} if self.layers > 1 else fewer


class CnnRnn(FrameNetwork):
    """Pictures (B, T, C, H, W) -> steps (B, T, hidden) and maps (B, widths[-1], H', W').

    Each frame becomes numbers as in `FrameNetwork`; ``recurrent`` goes over them. Its state may reach back for ever.
    """

    Config = Config

    def __init__(self, config: Config, shape: tuple[int, ...]) -> None:
        super().__init__(config, shape)
        self.recurrent = Recurrent(config.cell, self.size, config.hidden, config.layers, config.both_ways)
        self.size = config.hidden * (1 + config.both_ways)
        self.streams = not config.both_ways
        self.memory = None
        self.name_memories()

    def follow_widths(self) -> None:
        """See `Network.follow_widths`."""
        super().follow_widths()
        self.size = self.recurrent.size

    def run(self, x: Tensor, before: State, after: State) -> Features:
        """Features of the next frames."""
        features = super().run(x, before, after)
        return features._replace(steps=self.recurrent(features.steps, before, after))


PART = CnnRnn
