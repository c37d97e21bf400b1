"""A CNN over each frame, its maps pooled over space; also for single pictures.

He et al. 2016, Deep residual learning for image recognition, arXiv 1512.03385. With ``difference`` it sees motion: on
clips in which only the direction of motion tells, frames alone are no better than chance.
"""

from __future__ import annotations

from typing import Any, Literal

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


PART = FrameCnn
