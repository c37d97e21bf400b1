"""A CNN over each frame, its maps pooled over space; also for single pictures.

He et al. 2016, Deep residual learning for image recognition, arXiv 1512.03385. With ``difference`` it sees motion: on
clips in which only the direction of motion tells, frames alone are no better than chance.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from onlooker.core.errors import UsageError
from onlooker.learning.network import Features, State
from onlooker.learning.networks._blocks import (
    Body,
    BodyConfig,
    Pooling,
    check_pictures,
    difference_to_last,
    frame_by_frame,
    pooled_maps,
)
from onlooker.learning.networks._streaming import Remembered, StreamingNetwork

EXAMPLE: dict[str, Any] = {"config": {"widths": (8, 16), "size": 12}, "shape": (4, 3, 16, 20)}
VARIANTS: tuple[dict[str, Any], ...] = (
    {"widths": (8, 16), "difference": True},
    {"widths": (8, 16), "form": "plain", "pool": "max", "activation": "gelu", "stem": 1, "norm": "group"},
    {"widths": (8, 16), "separable": True, "activation": "silu", "blocks": 2, "stem": 4},
)


class Config(BodyConfig):
    """Settings of `FrameCnn`; those of each picture's convolutions are told in `BodyConfig`.

    Attributes:
        difference: gives the difference to the frame before as more channels.
    """

    network: Literal["frame_cnn"] = "frame_cnn"
    difference: bool = False


class _Difference(nn.Module):
    """Adds differences to the frame before as channels: (B, T, C, H, W) -> (B, T, 2 C, H, W)."""

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.last = Remembered((channels, height, width))
        self.known = Remembered(())

    def forward(self, x: Tensor, before: State, after: State) -> Tensor:
        known = before[self.known.key]
        after[self.last.key] = x[:, -1].float()
        after[self.known.key] = torch.ones_like(known)
        return difference_to_last(x, before[self.last.key], known)


class FrameCnn(StreamingNetwork):
    """Pictures (B, T, C, H, W) -> steps (B, T, D) and maps (B, widths[-1], H', W').

    With ``body``, convolutions over each picture to (B * T, widths[-1], H', W'); the mean or the largest of each map;
    and ``project`` to D numbers where ``size`` is given. Frames do not see each other, but for ``difference``.
    """

    Config = Config
    takes = "pictures"

    def __init__(self, config: Config, shape: tuple[int, ...]) -> None:
        super().__init__(config, shape)
        frames, channels, height, width = check_pictures("frame_cnn", shape, config.stride)
        if config.difference and frames == 1:
            raise UsageError("frame_cnn: difference needs two frames or more, got one", hint="difference: false")
        self.difference = _Difference(channels, height, width) if config.difference else None
        self.body = Body(config, channels * (2 if config.difference else 1))
        self.map_size, self.map_stride = config.widths[-1], config.stride
        self.size = config.size or self.map_size
        self.project = nn.Linear(self.map_size, self.size) if config.size else nn.Identity()
        self.dropout = nn.Dropout(config.dropout)
        self.pool: Pooling = config.pool
        self.steps = frames
        self.memory = 1 if config.difference else 0
        self.name_memories()

    def run(self, x: Tensor, before: State, after: State) -> Features:
        """Features of the next frames; of the state only ``difference`` has need."""
        if self.difference is not None:
            x = self.difference(x, before, after)
        maps = frame_by_frame(self.body, x)
        steps = pooled_maps(maps.flatten(0, 1), self.pool).unflatten(0, (-1, x.shape[1]))
        return Features(self.dropout(self.project(steps)), maps[:, -1])


PART = FrameCnn
