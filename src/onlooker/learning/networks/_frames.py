"""What networks that look at each frame alone begin with: convolutions over each picture, pooled to one step."""

from __future__ import annotations

from torch import Tensor, nn

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
from onlooker.learning.networks._difference import Shown, difference_of
from onlooker.learning.networks._streaming import StreamingNetwork

__all__ = ["FrameNetwork", "FramesConfig"]


class FramesConfig(BodyConfig):
    """Settings of what is made of each frame; those of the convolutions are told in `BodyConfig`.

    Attributes:
        difference: gives the difference to the frame before as more channels, or ``alone`` in place of the frames.
    """

    difference: Shown = False


class FrameNetwork(StreamingNetwork):
    """Pictures (B, T, C, H, W) -> steps (B, T, D) and maps (B, widths[-1], H', W').

    With ``body``, convolutions over each picture to (B * T, widths[-1], H', W'); the mean or the largest of each map;
    and ``project`` to D numbers where ``size`` is given. Frames do not see each other, but for ``difference``.
    """

    takes = "pictures"

    def __init__(self, config: FramesConfig, shape: tuple[int, ...]) -> None:
        super().__init__(config, shape)
        frames, channels, *_ = check_pictures(config.network, shape, config.stride)
        self.difference = difference_of(config.network, config.difference, shape)
        self.body = Body(config, self.difference.channels if self.difference else channels)
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
        return self.features(self.frame_maps(x, before, after))

    def features(self, maps: Tensor) -> Features:
        """Features of maps (B, T, widths[-1], H', W')."""
        steps = pooled_maps(maps.flatten(0, 1), self.pool).unflatten(0, maps.shape[:2])
        return Features(self.dropout(self.project(steps)), maps[:, -1])
