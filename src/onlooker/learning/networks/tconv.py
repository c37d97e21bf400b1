"""Causal convolutions in space and time (TCONV), in three forms, that run on streams window by window.

``3d``: Tran et al. 2015, arXiv 1412.0767; ``2plus1d``: Tran et al. 2018, arXiv 1711.11248; ``shift``: Lin et al. 2019,
temporal shift module, arXiv 1811.08383. Memories from window to window as in Kondratyuk et al. 2021, MoViNets,
arXiv 2103.11511. All convolutions are over all channels: those by channel train many times slower on CPUs.
"""

from __future__ import annotations

from math import prod
from typing import Any, Literal

from pydantic import Field
from torch import Tensor, nn

from onlooker.core.errors import UsageError
from onlooker.learning.network import Features, State
from onlooker.learning.networks._blocks import (
    Pooling,
    StagesConfig,
    check_pictures,
    initialise,
    pooled_maps,
    projected,
    stem,
    width_of,
)
from onlooker.learning.networks._difference import Shown, difference_of
from onlooker.learning.networks._streaming import StreamingNetwork
from onlooker.learning.networks._temporal import Form, Sides, TemporalBlock, per_frame

EXAMPLE: dict[str, Any] = {"config": {"widths": (8, 16)}, "shape": (8, 3, 12, 16)}
VARIANTS: tuple[dict[str, Any], ...] = (
    {"widths": (8, 16), "form": "3d", "time_strides": (1, 2), "norm": "group"},
    {"widths": (8,), "form": "2plus1d", "time_strides": (2,), "blocks": 2, "size": 12},
    {"widths": (8, 16), "form": "shift", "time_strides": (2, 1), "pool": "max"},
    {"widths": (8,), "form": "3d", "causal": False},
    {"widths": (8, 16), "difference": True},
    {"widths": (8,), "form": "shift", "difference": "alone"},
    {"widths": (8,), "form": "shift", "causal": False},
)


class Config(StagesConfig):
    """Settings of `TConv`; those of its stages are told in `StagesConfig`.

    Attributes:
        form: of the convolutions: ``3d``, in space and time at once; ``2plus1d``, in space, then in time; ``shift``, in
            space alone, with a part of the channels from the frame before.
        time_strides: of each stage, frames for one after it; none: 1 each.
        causal: it does not see the frames to come, and can run on a stream.
        difference: gives the difference to the frame before as more channels, or ``alone`` in place of the frames.
    """

    network: Literal["tconv"] = "tconv"
    form: Form = "2plus1d"
    time_strides: tuple[Literal[1, 2], ...] = Field(default=(), max_length=8)
    causal: bool = True
    difference: Shown = False

    def shallower(self) -> dict[str, Any] | None:
        """See `StagesConfig.shallower`; steps stay as long."""
        fewer = super().shallower()
        if fewer is None or "widths" not in fewer or not self.time_strides:
            return fewer
        first, second, *others = self.time_strides
        if first == second == 2:
            return None
        return {**fewer, "time_strides": [first * second, *others]}


class TConv(StreamingNetwork):
    """Pictures (B, T, C, H, W) -> steps (B, T / chunk, D) and maps (B, widths[-1], H', W').

    ``stem`` is a convolution of each frame; ``stages`` make maps (B, widths[-1], T / chunk, H', W'); the mean or the
    largest of each map makes a step; and ``project`` makes D numbers of it where ``size`` is given. ``chunk`` is the
    product of ``time_strides``; a step ends with the last of its frames.
    """

    Config = Config
    takes = "pictures"

    def __init__(self, config: Config, shape: tuple[int, ...]) -> None:
        super().__init__(config, shape)
        frames, channels, height, width = check_pictures("tconv", shape, config.stride)
        strides = config.time_strides or (1,) * len(config.widths)
        if len(strides) != len(config.widths):
            raise UsageError(
                f"tconv: expected as many time_strides as widths, {len(config.widths)}, got {len(strides)}"
            )
        self.chunk = prod(strides)
        if frames % self.chunk:
            raise UsageError(
                f"tconv: expected a multiple of {self.chunk} frames, as time_strides ask for, got {frames}",
                hint="other time_strides, or clips of another length",
            )
        self.streams = config.causal
        self.difference = difference_of("tconv", config.difference, shape)
        self.stem = stem(self.difference.channels if self.difference else channels, config)
        sides = Sides(channels, height, width, config.causal).after(config.widths[0], config.stem)
        blocks: list[TemporalBlock] = []
        reach, spacing = 1 if config.difference else 0, 1
        for stage, (wider, time_stride) in enumerate(zip(config.widths, strides, strict=True)):
            for number in range(config.blocks):
                stride, step = (1 + (stage > 0), time_stride) if number == 0 else (1, 1)
                blocks.append(TemporalBlock(config.form, sides, wider, config, stride, step))
                sides = sides.after(wider, stride)
                reach += blocks[-1].reach * spacing
                spacing *= step
        self.stages = nn.ModuleList(blocks)
        initialise(self)
        self.map_size, self.map_stride = config.widths[-1], config.stride
        self.size = config.size or self.map_size
        self.project = nn.Linear(self.map_size, self.size) if config.size else nn.Identity()
        self.dropout = nn.Dropout(config.dropout)
        self.pool: Pooling = config.pool
        self.steps = frames // self.chunk
        self.memory = -(-reach // self.chunk) if config.causal else None
        self.name_memories()

    def follow_widths(self) -> None:
        """See `Network.follow_widths`."""
        self.map_size = width_of(self.stages[-1])
        self.size = projected(self.project, self.map_size)

    def run(self, x: Tensor, before: State, after: State) -> Features:
        """Features of the next frames."""
        return self._features(self._through(self.stages, self._begun(x, before, after), before, after))

    @property
    def cuts(self) -> int:
        """See `Network.cuts`; it is between two blocks."""
        return len(self.stages) - 1

    def trunk(self, x: Tensor, cut: int) -> Tensor:
        """(B, C, T', H', W') after some blocks."""
        before: State = self._zeros(x.shape[0])
        after: State = {}
        return self._through(self.stages[:cut], self._begun(x, before, after), before, after)

    def rest(self, maps: Tensor, cut: int) -> Features:
        """See `Network.rest`."""
        return self._features(self._through(self.stages[cut:], maps, self._zeros(maps.shape[0]), {}))

    def _begun(self, x: Tensor, before: State, after: State) -> Tensor:
        if self.difference is not None:
            x = self.difference(x, before, after)
        return per_frame(self.stem, x.transpose(1, 2))

    @staticmethod
    def _through(blocks: nn.ModuleList, x: Tensor, before: State, after: State) -> Tensor:
        for block in blocks:
            x = block(x, before, after)
        return x

    def _features(self, x: Tensor) -> Features:
        frames = x.transpose(1, 2)
        steps = pooled_maps(frames.flatten(0, 1), self.pool).unflatten(0, frames.shape[:2])
        return Features(self.dropout(self.project(steps)), frames[:, -1])


PART = TConv
