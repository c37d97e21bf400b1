"""What networks that look at each frame alone begin with: convolutions over each picture, pooled to one step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from onlooker.core.errors import UsageError
from onlooker.learning.network import Features, State
from onlooker.learning.networks._blocks import (
    Body,
    BodyConfig,
    Pooling,
    check_pictures,
    pooled_maps,
    projected,
    width_of,
)
from onlooker.learning.networks._streaming import Remembered, StreamingNetwork

__all__ = ["FrameNetwork", "FramesConfig"]


class FramesConfig(BodyConfig):
    """Settings of what is made of each frame; those of the convolutions are told in `BodyConfig`.

    Attributes:
        difference: gives the difference to the frame before as more channels.
    """

    difference: bool = False


class _Difference(nn.Module):
    """Adds differences to the frame before as channels: (B, T, C, H, W) -> (B, T, 2 C, H, W); the first is 0."""

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.last = Remembered((channels, height, width))
        self.known = Remembered(())

    def forward(self, x: Tensor, before: State, after: State) -> Tensor:
        known = before[self.known.key]
        after[self.last.key], after[self.known.key] = x[:, -1].float(), known.clamp(1, 1)
        earlier = torch.cat([before[self.last.key][:, None].to(x.dtype), x[:, :-1]], 1)
        first = (x[:, :1] - earlier[:, :1]) * known.to(x.dtype)[:, None, None, None, None]
        return torch.cat([x, torch.cat([first, x[:, 1:] - earlier[:, 1:]], 1)], 2)


class FrameNetwork(StreamingNetwork):
    """Pictures (B, T, C, H, W) -> steps (B, T, D) and maps (B, widths[-1], H', W').

    With ``body``, convolutions over each picture to (B * T, widths[-1], H', W'); the mean or the largest of each map;
    and ``project`` to D numbers where ``size`` is given. Frames do not see each other, but for ``difference``.
    """

    takes = "pictures"

    def __init__(self, config: FramesConfig, shape: tuple[int, ...]) -> None:
        super().__init__(config, shape)
        frames, channels, height, width = check_pictures(config.network, shape, config.stride)
        if config.difference and frames == 1:
            raise UsageError(
                f"{config.network}: expected two frames or more for their difference, got one", hint="difference: false"
            )
        self.difference = _Difference(channels, height, width) if config.difference else None
        self.body = Body(config, channels * (2 if config.difference else 1))
        self.map_size, self.map_stride = config.widths[-1], config.stride
        self.size = config.size or config.widths[-1]
        self.project = nn.Linear(config.widths[-1], self.size) if config.size else nn.Identity()
        self.dropout = nn.Dropout(config.dropout)
        self.pool: Pooling = config.pool
        self.steps = frames
        self.memory = 1 if config.difference else 0
        self.name_memories()

    def follow_widths(self) -> None:
        """See `Network.follow_widths`."""
        self.map_size = width_of(self.body)
        self.size = projected(self.project, self.map_size)

    def frame_maps(self, x: Tensor, before: State, after: State) -> Tensor:
        """(B, T, widths[-1], H', W') of each frame."""
        if self.difference is not None:
            x = self.difference(x, before, after)
        return self.body(x.flatten(0, 1)).unflatten(0, (-1, x.shape[1]))

    def run(self, x: Tensor, before: State, after: State) -> Features:
        """Features of the next frames, each by itself."""
        maps = self.frame_maps(x, before, after)
        steps = pooled_maps(maps.flatten(0, 1), self.pool).unflatten(0, (-1, x.shape[1]))
        return Features(self.dropout(self.project(steps)), maps[:, -1])
