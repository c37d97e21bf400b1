"""A CNN over each frame and a recurrent network over its maps, which keeps where something is (CRNN).

ConvLSTM: Shi et al. 2015, arXiv 1506.04214; ConvGRU: Ballas et al. 2016, Delving deeper into convolutional networks for
learning video representations, arXiv 1511.06432.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from torch import Tensor, nn

from onlooker.learning.network import Features, State
from onlooker.learning.networks._blocks import pooled_maps, projected
from onlooker.learning.networks._frames import FrameNetwork, FramesConfig
from onlooker.learning.networks._recurrent import Cell, RecurrentMaps

EXAMPLE: dict[str, Any] = {"config": {"widths": (8, 16), "hidden": 12}, "shape": (6, 3, 16, 20)}
VARIANTS: tuple[dict[str, Any], ...] = ({"widths": (8, 16), "cell": "lstm", "hidden": 12, "size": 10},)


class Config(FramesConfig):
    """Settings of `Crnn`; those of each frame are told in `FramesConfig`.

    Attributes:
        cell: ``gru`` or ``lstm``.
        hidden: channels of the recurrent network's maps.
        size: D, numbers of a step; None: as many as ``hidden``.
    """

    network: Literal["crnn"] = "crnn"
    cell: Cell = "gru"
    hidden: int = Field(default=64, ge=1, le=4096)


class Crnn(FrameNetwork):
    """Pictures (B, T, C, H, W) -> steps (B, T, D) and maps (B, hidden, H', W').

    ``body`` makes maps (B, T, widths[-1], H', W') of frames; ``recurrent`` goes over them to (B, T, hidden, H', W');
    the mean or the largest of each map makes a step, and ``project`` makes D numbers of it where ``size`` is given.
    Its state may reach back for ever.
    """

    Config = Config

    def __init__(self, config: Config, shape: tuple[int, ...]) -> None:
        super().__init__(config, shape)
        height, width = (-(-side // config.stride) for side in shape[2:])
        self.recurrent = RecurrentMaps(config.cell, config.widths[-1], config.hidden, height, width)
        self.map_size = config.hidden
        self.size = config.size or config.hidden
        self.project = nn.Linear(config.hidden, self.size) if config.size else nn.Identity()
        self.memory = None
        self.name_memories()

    def follow_widths(self) -> None:
        """See `Network.follow_widths`."""
        self.map_size = self.recurrent.width
        self.size = projected(self.project, self.map_size)

    def run(self, x: Tensor, before: State, after: State) -> Features:
        """Features of the next frames."""
        maps = self.recurrent(self.frame_maps(x, before, after), before, after)
        steps = pooled_maps(maps.flatten(0, 1), self.pool).unflatten(0, (-1, x.shape[1]))
        return Features(self.dropout(self.project(steps)), maps[:, -1])


PART = Crnn
