"""A CNN over each frame, its maps pooled over space; also for single pictures.

He et al. 2016, Deep residual learning for image recognition, arXiv 1512.03385. With ``difference`` it sees motion: on
clips in which only the direction of motion tells, frames alone are no better than chance.
"""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor

from onlooker.learning.network import Features
from onlooker.learning.networks._frames import FrameNetwork, FramesConfig

EXAMPLE: dict[str, Any] = {"config": {"widths": (8, 16), "size": 12}, "shape": (4, 3, 16, 20)}
VARIANTS: tuple[dict[str, Any], ...] = (
    {"widths": (8, 16), "difference": True},
    {"widths": (8, 16), "difference": "alone"},
    {"widths": (8, 16), "form": "plain", "pool": "max", "activation": "gelu", "stem": 1, "norm": "group"},
    {"widths": (8, 16), "separable": True, "activation": "silu", "blocks": 2, "stem": 4},
)


class Config(FramesConfig):
    """Settings of `FrameCnn`; all are told in `FramesConfig`."""

    network: Literal["frame_cnn"] = "frame_cnn"


class FrameCnn(FrameNetwork):
    """Pictures (B, T, C, H, W) -> steps (B, T, D) and maps (B, widths[-1], H', W'), as `FrameNetwork` tells."""

    Config = Config

    def __init__(self, config: Config, shape: tuple[int, ...]) -> None:
        super().__init__(config, shape)

    @property
    def cuts(self) -> int:
        """See `Network.cuts`."""
        return self.body.cuts

    def trunk(self, x: Tensor, cut: int) -> Tensor:
        """(B, C, T, H', W') after some stages."""
        if self.difference is not None:
            x = self.difference(x, self._zeros(x.shape[0]), {})
        return self.body.trunk(x.flatten(0, 1), cut).unflatten(0, (-1, x.shape[1])).transpose(1, 2)

    def rest(self, maps: Tensor, cut: int) -> Features:
        """See `Network.rest`."""
        frames = maps.transpose(1, 2)
        return self.features(self.body.rest(frames.flatten(0, 1), cut).unflatten(0, frames.shape[:2]))


PART = FrameCnn
