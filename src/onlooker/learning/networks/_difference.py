"""Differences of frames, in which what moves stands out and what stands still is gone."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from onlooker.core.errors import UsageError
from onlooker.learning.network import State
from onlooker.learning.networks._streaming import Remembered

__all__ = ["Difference", "Shown", "difference_of"]

Shown: TypeAlias = bool | Literal["alone"]
"""Whether differences are given: not, beside the frames, or ``alone`` in their place."""


class Difference(nn.Module):
    """Differences to the frame before: (B, T, C, H, W) -> (B, T, 2 C, H, W) beside frames, or (B, T, C, H, W) alone.

    That of the first frame is 0.

    Attributes:
        channels: of what it gives.
    """

    def __init__(self, channels: int, height: int, width: int, *, alone: bool) -> None:
        super().__init__()
        self.alone, self.channels = alone, channels * (1 if alone else 2)
        self.last = Remembered((channels, height, width))
        self.known = Remembered(())

    def forward(self, x: Tensor, before: State, after: State) -> Tensor:
        known = before[self.known.key]
        after[self.last.key], after[self.known.key] = x[:, -1].float(), known.clamp(1, 1)
        earlier = torch.cat([before[self.last.key][:, None].to(x.dtype), x[:, :-1]], 1)
        first = (x[:, :1] - earlier[:, :1]) * known.to(x.dtype)[:, None, None, None, None]
        moved = torch.cat([first, x[:, 1:] - earlier[:, 1:]], 1)
        return moved if self.alone else torch.cat([x, moved], 2)


def difference_of(network: str, shown: Shown, shape: tuple[int, ...]) -> Difference | None:
    """What makes the differences that settings ask for, of pictures (T, C, H, W); None: they ask for none.

    Raises:
        UsageError: there is one frame only.
    """
    if not shown:
        return None
    frames, channels, height, width = shape
    if frames == 1:
        raise UsageError(
            f"{network}: expected two frames or more for their difference, got one", hint="difference: false"
        )
    return Difference(channels, height, width, alone=shown == "alone")
