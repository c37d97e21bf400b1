"""A CNN over each frame and dilated causal convolutions over the steps.

Bai et al. 2018, An empirical evaluation of generic convolutional and recurrent networks for sequence modeling,
arXiv 1803.01271; over frames as in Lea et al. 2017, Temporal convolutional networks for action segmentation,
arXiv 1611.05267.
"""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor

from onlooker.learning.network import Features, State
from onlooker.learning.networks._frames import FrameNetwork, FramesConfig
from onlooker.learning.networks._tcn import Tcn, TcnConfig

EXAMPLE: dict[str, Any] = {
    "config": {"widths": (8, 16), "head": {"width": 12, "levels": 2}},
    "shape": (10, 3, 16, 16),
}
VARIANTS: tuple[dict[str, Any], ...] = (
    {"widths": (8, 16), "difference": True, "head": {"width": 16, "levels": 1, "norm": "group"}},
    {"widths": (8,), "difference": "alone", "head": {"width": 8, "levels": 1}},
)


class Config(FramesConfig):
    """Settings of `TemporalConvolution`; those of each frame are told in `FramesConfig`, ``size`` is of a frame.

    Attributes:
        head: the convolutions over steps.
    """

    network: Literal["temporal_convolution"] = "temporal_convolution"
    head: TcnConfig = TcnConfig()


class TemporalConvolution(FrameNetwork):
    """Pictures (B, T, C, H, W) -> steps (B, T, head.width) and maps (B, widths[-1], H', W').

    Each frame becomes numbers as in `FrameNetwork`; ``head`` goes over them.
    """

    Config = Config

    def __init__(self, config: Config, shape: tuple[int, ...]) -> None:
        super().__init__(config, shape)
        self.head = Tcn(self.size, config.head)
        self.size = config.head.width
        self.memory = config.head.reach + (1 if config.difference else 0)
        self.name_memories()

    def follow_widths(self) -> None:
        """See `Network.follow_widths`."""
        super().follow_widths()
        self.size = self.head.size

    def run(self, x: Tensor, before: State, after: State) -> Features:
        """Features of the next frames."""
        features = super().run(x, before, after)
        return features._replace(steps=self.head(features.steps, before, after))


PART = TemporalConvolution
