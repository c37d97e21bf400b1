"""Convolutions in space and time whose memory goes from window to window, in three forms; all (B, C, T, H, W)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from onlooker.learning.network import State
from onlooker.learning.networks._blocks import (
    Norm,
    StagesConfig,
    StepNorm,
    activation_of,
    groups_of,
    norm_of,
    shortcut,
)
from onlooker.learning.networks._streaming import Memory

__all__ = ["Form", "Shift", "Sides", "TemporalBlock", "per_frame"]

Form: TypeAlias = Literal["3d", "2plus1d", "shift"]

_KERNEL = 3
_SHIFTED = 4


class Sides(NamedTuple):
    """Channels, height and width of maps, and whether they are seen without the frames to come."""

    channels: int
    height: int
    width: int
    causal: bool

    def after(self, channels: int, stride: int) -> Sides:
        """Those after a convolution with this stride."""
        return Sides(channels, -(-self.height // stride), -(-self.width // stride), self.causal)


def per_frame(module: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """What a module makes of each frame: (B, C, T, H, W) -> (B, C', T, H', W')."""
    return module(x.transpose(1, 2).flatten(0, 1)).unflatten(0, (-1, x.shape[2])).transpose(1, 2)


class _Around(nn.Module):
    """Puts frames before a window, remembered or nothing, and, where the future may be seen, nothing after it too."""

    def __init__(self, frames: int, sides: Sides) -> None:
        super().__init__()
        self.memory = Memory(frames, sides[:3]) if sides.causal and frames else None
        self.padding = (0, 0, 0, 0, frames // 2, frames - frames // 2)

    def follow(self, channels: int) -> None:
        """Remember maps of so many channels."""
        if self.memory is not None:
            self.memory.shape = (channels, *self.memory.shape[1:])

    def forward(self, x: Tensor, before: State, after: State) -> Tensor:
        return functional.pad(x, self.padding) if self.memory is None else self.memory(x, before, after)


def _norm_in_time(kind: Norm, channels: int, axes: int) -> nn.Module:
    if kind == "batch":
        return nn.BatchNorm3d(channels) if axes == 3 else nn.BatchNorm2d(channels)
    return StepNorm(groups_of(channels), channels)


class _Full(nn.Module):
    """A 3 x 3 x 3 convolution (Tran et al. 2015, arXiv 1412.0767)."""

    def __init__(self, sides: Sides, width: int, config: StagesConfig, stride: int, time_stride: int) -> None:
        super().__init__()
        self.reach = _KERNEL - time_stride
        self.around = _Around(self.reach, sides)
        self.conv = nn.Conv3d(sides.channels, width, _KERNEL, (time_stride, stride, stride), (0, 1, 1), bias=False)
        self.norm = _norm_in_time(config.norm, width, 3)

    def follow_widths(self) -> None:
        """See `Network.follow_widths`."""
        self.around.follow(self.conv.in_channels)

    def forward(self, x: Tensor, before: State, after: State) -> Tensor:
        return self.norm(self.conv(self.around(x, before, after)))


class _TwoPlusOne(nn.Module):
    """A convolution in space, then one in time (Tran et al. 2018, arXiv 1711.11248); as many channels between as after.

    The one in time is a 3 x 1 convolution over (B, C, T, H * W), which engines run faster than one over three axes.
    """

    def __init__(self, sides: Sides, width: int, config: StagesConfig, stride: int, time_stride: int) -> None:
        super().__init__()
        self.reach = _KERNEL - time_stride
        self.space = nn.Sequential(
            nn.Conv2d(sides.channels, width, _KERNEL, stride, 1, bias=False),
            norm_of(config.norm, width),
            activation_of(config.activation),
        )
        self.around = _Around(self.reach, sides.after(width, stride))
        self.conv = nn.Conv2d(width, width, (_KERNEL, 1), (time_stride, 1), bias=False)
        self.norm = _norm_in_time(config.norm, width, 2)

    def follow_widths(self) -> None:
        """See `Network.follow_widths`."""
        self.around.follow(self.conv.in_channels)

    def forward(self, x: Tensor, before: State, after: State) -> Tensor:
        x = self.around(per_frame(self.space, x), before, after)
        return self.norm(self.conv(x.flatten(3))).unflatten(3, x.shape[3:])


def shifted_of(channels: int, *, causal: bool) -> int:
    """How many channels are taken from the frame before, and where the future may be seen, from that after."""
    return max(1, channels // (_SHIFTED if causal else 2 * _SHIFTED))


class Shift(nn.Module):
    """Some channels come from the frame before (Lin et al. 2019, arXiv 1811.08383), then a convolution of each frame.

    A quarter of the channels where the future is not seen; else an eighth of the frame before and one of that after.
    A stride in time takes the mean of frames.
    """

    def __init__(self, sides: Sides, width: int, config: StagesConfig, stride: int, time_stride: int) -> None:
        super().__init__()
        self.reach, self.time_stride = 1, time_stride
        self.shifted = shifted_of(sides.channels, causal=sides.causal)
        self.memory = Memory(1, (self.shifted, *sides[1:3])) if sides.causal else None
        self.conv = nn.Conv2d(sides.channels, width, _KERNEL, stride, 1, bias=False)
        self.norm = norm_of(config.norm, width)

    def follow_widths(self) -> None:
        """See `Network.follow_widths`."""
        self.shifted = shifted_of(self.conv.in_channels, causal=self.memory is not None)
        if self.memory is not None:
            self.memory.shape = (self.shifted, *self.memory.shape[1:])

    def forward(self, x: Tensor, before: State, after: State) -> Tensor:
        x = self._shift(x, before, after)
        return frames_together(per_frame(lambda frames: self.norm(self.conv(frames)), x), self.time_stride)

    def _shift(self, x: Tensor, before: State, after: State) -> Tensor:
        past, rest = x[:, : self.shifted], x[:, self.shifted :]
        if self.memory is not None:
            return torch.cat([self.memory(past, before, after)[:, :, :-1], rest], 1)
        future, rest = rest[:, : self.shifted], rest[:, self.shifted :]
        earlier = functional.pad(past[:, :, :-1], (0, 0, 0, 0, 1, 0))
        later = functional.pad(future[:, :, 1:], (0, 0, 0, 0, 0, 1))
        return torch.cat([earlier, later, rest], 1)


def frames_together(x: Tensor, stride: int) -> Tensor:
    """The means of ``stride`` frames: (B, C, T, H, W) -> (B, C, T / stride, H, W)."""
    return x if stride == 1 else x.unflatten(2, (-1, stride)).mean(3)


_FORMS: dict[Form, type[_Full | _TwoPlusOne | Shift]] = {"3d": _Full, "2plus1d": _TwoPlusOne, "shift": Shift}


class TemporalBlock(nn.Module):
    """Two convolutions in space and time and a way past them: (B, C, T, H, W) -> (B, width, T / t, H / s, W / s).

    Attributes:
        reach: frames of its input, before a window, that it needs.
    """

    def __init__(
        self, form: Form, sides: Sides, width: int, config: StagesConfig, stride: int = 1, time_stride: int = 1
    ) -> None:
        super().__init__()
        self.time_stride = time_stride
        self.first = _FORMS[form](sides, width, config, stride, time_stride)
        self.second = _FORMS[form](sides.after(width, stride), width, config, 1, 1)
        self.past = shortcut(sides.channels, width, stride, config.norm)
        self.activation = activation_of(config.activation)
        self.reach = self.first.reach + self.second.reach * time_stride

    @property
    def second_norm(self) -> nn.Module:
        """The last normalisation, by which `initialise` lets the block begin as the way past it."""
        return self.second.norm

    def forward(self, x: Tensor, before: State, after: State) -> Tensor:
        y = self.second(self.activation(self.first(x, before, after)), before, after)
        return self.activation(y + frames_together(per_frame(self.past, x), self.time_stride))
