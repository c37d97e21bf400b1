"""Recurrent layers whose state goes from window to window, over steps and over maps."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from onlooker.learning.network import State
from onlooker.learning.networks._streaming import Remembered

__all__ = ["Cell", "Recurrent", "RecurrentMaps"]

Cell: TypeAlias = Literal["gru", "lstm"]


class Recurrent(nn.Module):
    """GRU (Cho et al. 2014, arXiv 1406.1078) or LSTM (Hochreiter and Schmidhuber 1997): (B, T, C) -> (B, T, D).

    It works in float32 whatever is around it: rounding would add up from step to step.

    Args:
        cell: which of the two.
        channels: C.
        size: D, or half of it where it goes both ways.
        layers: one upon the other.
        both_ways: from the end to the beginning as well; nothing is remembered then.
    """

    def __init__(self, cell: Cell, channels: int, size: int, layers: int = 1, both_ways: bool = False) -> None:
        super().__init__()
        kind = nn.GRU if cell == "gru" else nn.LSTM
        self.layers = kind(channels, size, layers, batch_first=True, bidirectional=both_ways)
        self.hidden = None if both_ways else Remembered((layers, size))
        self.inner = Remembered((layers, size)) if cell == "lstm" and not both_ways else None

    def follow_widths(self) -> None:
        """See `Network.follow_widths`."""
        for remembered in (self.hidden, self.inner):
            if remembered is not None:
                remembered.shape = (self.layers.num_layers, self.layers.hidden_size)

    @property
    def size(self) -> int:
        """Numbers of a step, of both ways together."""
        return self.layers.hidden_size * (1 + self.layers.bidirectional)

    def forward(self, x: Tensor, before: State, after: State) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            if self.hidden is None:
                return self.layers(x.float())[0]
            hidden = before[self.hidden.key].transpose(0, 1).contiguous()
            if self.inner is None:
                y, hidden = self.layers(x.float(), hidden)
            else:
                inner = before[self.inner.key].transpose(0, 1).contiguous()
                y, (hidden, inner) = self.layers(x.float(), (hidden, inner))
                after[self.inner.key] = inner.transpose(0, 1)
            after[self.hidden.key] = hidden.transpose(0, 1)
            return y


class RecurrentMaps(nn.Module):
    """ConvGRU (Ballas et al. 2016, arXiv 1511.06432) or ConvLSTM (Shi et al. 2015, arXiv 1506.04214) over maps.

    (B, T, C, H, W) -> (B, T, width, H, W). Convolutions of what comes in are made of all frames at once.
    """

    def __init__(self, cell: Cell, channels: int, width: int, height: int, breadth: int) -> None:
        super().__init__()
        gates = width * (3 if cell == "gru" else 4)
        self.width = width
        self.given = nn.Conv2d(channels, gates, 3, padding=1)
        self.kept = nn.Conv2d(width, gates, 3, padding=1, bias=cell == "gru")
        self.hidden = Remembered((width, height, breadth))
        self.inner = Remembered((width, height, breadth)) if cell == "lstm" else None
        for convolution in (self.given, self.kept):
            nn.init.xavier_uniform_(convolution.weight)
            if convolution.bias is not None:
                nn.init.zeros_(convolution.bias)

    def follow_widths(self) -> None:
        """See `Network.follow_widths`."""
        self.width = self.kept.in_channels
        for remembered in (self.hidden, self.inner):
            if remembered is not None:
                remembered.shape = (self.width, *remembered.shape[1:])

    def forward(self, x: Tensor, before: State, after: State) -> Tensor:
        given = self.given(x.flatten(0, 1)).float().unflatten(0, (-1, x.shape[1]))
        hidden = before[self.hidden.key]
        inner = None if self.inner is None else before[self.inner.key]
        maps: list[Tensor] = []
        for frame in given.unbind(1):
            kept = self.kept(hidden).float()
            if inner is None:
                hidden = self._gru(frame, kept, hidden)
            else:
                hidden, inner = self._lstm(frame + kept, inner)
            maps.append(hidden)
        after[self.hidden.key] = hidden
        if self.inner is not None and inner is not None:
            after[self.inner.key] = inner
        return torch.stack(maps, 1)

    def _gru(self, given: Tensor, kept: Tensor, hidden: Tensor) -> Tensor:
        update, reset = (given + kept)[:, : 2 * self.width].sigmoid().chunk(2, 1)
        new = torch.tanh(given[:, 2 * self.width :] + reset * kept[:, 2 * self.width :])
        return new + update * (hidden - new)

    def _lstm(self, gates: Tensor, inner: Tensor) -> tuple[Tensor, Tensor]:
        write, forget, show, new = gates.chunk(4, 1)
        inner = torch.sigmoid(forget + 1) * inner + torch.sigmoid(write) * torch.tanh(new)
        return torch.sigmoid(show) * torch.tanh(inner), inner
