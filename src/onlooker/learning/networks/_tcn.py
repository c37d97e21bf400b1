"""Dilated causal convolutions over steps (Bai et al. 2018, arXiv 1803.01271), with memories from window to window."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from onlooker.learning.network import State
from onlooker.learning.networks._blocks import Activation, Norm, StepNorm, activation_of, initialise, width_of
from onlooker.learning.networks._streaming import Memory

__all__ = ["Tcn", "TcnConfig"]


class TcnConfig(BaseModel):
    """Settings of dilated convolutions over steps.

    Attributes:
        width: D, numbers of a step.
        levels: residual blocks; each looks twice as far apart as the one before it.
        kernel: steps that one convolution looks at.
        norm: ``batch``, or ``group`` with one group, all numbers of a step.
        activation: after each convolution.
        dropout: share of numbers left out in training after each convolution.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    width: int = Field(default=128, ge=1, le=4096)
    levels: int = Field(default=3, ge=1, le=12)
    kernel: int = Field(default=3, ge=2, le=15)
    norm: Norm = "batch"
    activation: Activation = "relu"
    dropout: float = Field(default=0.0, ge=0, lt=1)

    @property
    def reach(self) -> int:
        """How many steps before a step it sees."""
        return 2 * (self.kernel - 1) * (2**self.levels - 1)


class _Dilated(nn.Module):
    """A convolution over steps that looks back: (B, C, T) -> (B, width, T)."""

    def __init__(self, channels: int, config: TcnConfig, dilation: int) -> None:
        super().__init__()
        self.memory = Memory((config.kernel - 1) * dilation, (channels,))
        self.conv = nn.Conv1d(channels, config.width, config.kernel, dilation=dilation, bias=False)
        batch = config.norm == "batch"
        self.norm = nn.BatchNorm1d(config.width) if batch else StepNorm(1, config.width)

    def follow_widths(self) -> None:
        """See `Network.follow_widths`."""
        self.memory.shape = (self.conv.in_channels, self.memory.length)

    def forward(self, x: Tensor, before: State, after: State) -> Tensor:
        return self.norm(self.conv(self.memory(x, before, after)))


class _Block(nn.Module):
    """Two convolutions over steps and a way past them: (B, C, T) -> (B, width, T)."""

    def __init__(self, channels: int, config: TcnConfig, dilation: int) -> None:
        super().__init__()
        self.first = _Dilated(channels, config, dilation)
        self.second = _Dilated(config.width, config, dilation)
        self.past = nn.Identity() if channels == config.width else nn.Conv1d(channels, config.width, 1)
        self.activation = activation_of(config.activation)
        self.dropout = nn.Dropout(config.dropout)

    @property
    def second_norm(self) -> nn.Module:
        """The last normalisation, by which `initialise` lets the block begin as the way past it."""
        return self.second.norm

    def forward(self, x: Tensor, before: State, after: State) -> Tensor:
        y = self.dropout(self.activation(self.first(x, before, after)))
        return self.dropout(self.activation(self.second(y, before, after) + self.past(x)))


class Tcn(nn.Module):
    """Steps (B, T, C) -> (B, T, width), each of what came before it."""

    def __init__(self, channels: int, config: TcnConfig) -> None:
        super().__init__()
        sizes = [channels, *[config.width] * (config.levels - 1)]
        self.levels = nn.ModuleList(_Block(size, config, 2**level) for level, size in enumerate(sizes))
        initialise(self)

    @property
    def size(self) -> int:
        """Numbers of a step, by the weights."""
        return width_of(self.levels[-1])

    def forward(self, x: Tensor, before: State, after: State) -> Tensor:
        y = x.transpose(1, 2)
        for level in self.levels:
            y = level(y, before, after)
        return y.transpose(1, 2)
