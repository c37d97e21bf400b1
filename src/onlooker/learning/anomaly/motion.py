"""Motion between two pictures by block matching, gathered over regions; as a module that goes to ONNX."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from onlooker.learning.anomaly.recipe import Neighbours

__all__ = ["CELL", "FACTS", "WINDOW", "MotionCells", "cell_grid"]

CELL: Final = 4
"""Pixels from one region to the next."""
WINDOW: Final = (14, 10)
"""Pixels of a region, down and across."""
FACTS: Final = 7
"""Numbers of a region; see `MotionCells`."""
_BLOCK = (9, 7)
_CLIP = 0.15
_PERSON, _AROUND, _WIDE = (7, 5), (9, 7), (13, 13)
_LOOSE, _STRICT = (0.006, 0.7), (0.012, 0.6)


def cell_grid(width: int, height: int) -> tuple[int, int]:
    """Rows and columns of the regions of a picture.

    >>> cell_grid(180, 120)
    (30, 45)
    """
    return _halved(_halved(height)), _halved(_halved(width))


def _halved(side: int) -> int:
    return (side - 1) // 2 + 1


class MotionCells(nn.Module):
    """Where and how fast something moves.

    Of each block of the last picture the best match among all shifts within reach is searched in the picture ``gap``
    before it (block matching: Jain and Jain 1981, Displacement measurement and its application in interframe image
    coding; the difference of pixels is cut off, so that occlusions count little), with a parabola for parts of a
    pixel across. A block moves where its best match explains it much better than no motion does.

    ``forward`` takes clips (1, frames, 1, height, width) of grey in 0..1 and gives (regions, 7): the moving share of
    the region, the sums of speed, of motion across and of motion down over it as shares of its area, in pixels a
    picture; then, where motion is asked for more strictly and looked for in a wider region, the moving share and the
    sum of speed; then the moving share of a region twice as wide.

    Args:
        config: gap and reach.
    """

    def __init__(self, config: Neighbours) -> None:
        super().__init__()
        self._gap, self._reach = config.gap, config.reach

    def forward(self, clip: Tensor) -> Tensor:
        """See the class."""
        across, down, still, best = self._matched(clip[:, 0], clip[:, -1])
        speed = torch.sqrt(across * across + down * down)
        loose, strict = (self._moving(still, best, *limits) for limits in (_LOOSE, _STRICT))
        facts = [
            _gathered(loose, _PERSON),
            _gathered(loose * speed, _PERSON),
            _gathered(loose * across, _PERSON),
            _gathered(loose * down, _PERSON),
            _gathered(strict, _AROUND),
            _gathered(strict * speed, _AROUND),
            _gathered(loose, _WIDE),
        ]
        return torch.cat(facts, 1).flatten(2)[0].transpose(0, 1)

    def _matched(self, before: Tensor, after: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Motion across and down at every other pixel, and how badly no motion and the best one explain it."""
        (wide, high), (rows, columns) = self._reach, after.shape[-2:]
        shifts = 2 * wide + 1
        around = functional.pad(before, (wide, wide, high, high), mode="replicate")
        strip = torch.cat([around[..., x : x + columns] for x in range(shifts)], 1)
        moved = torch.cat([strip[:, :, y : y + rows] for y in range(2 * high + 1)], 1)
        apart = (moved - after).abs().clamp(max=_CLIP)
        cost = functional.avg_pool2d(apart, (_BLOCK[0], 1), (2, 1), (_BLOCK[0] // 2, 0))
        cost = functional.avg_pool2d(cost, (1, _BLOCK[1]), (1, 2), (0, _BLOCK[1] // 2))
        still = cost[:, high * shifts + wide : high * shifts + wide + 1]
        best, place = cost.min(1, keepdim=True)
        row = torch.div(place, shifts, rounding_mode="floor")
        column = place - row * shifts
        left = cost.gather(1, row * shifts + (column - 1).clamp(min=0))
        right = cost.gather(1, row * shifts + (column + 1).clamp(max=shifts - 1))
        part = ((left - right) / (2 * (left + right - 2 * best).clamp(min=1e-4))).clamp(-0.5, 0.5)
        return (wide - column - part) / self._gap, (high - row).to(cost.dtype) / self._gap, still, best

    @staticmethod
    def _moving(still: Tensor, best: Tensor, gain: float, share: float) -> Tensor:
        return ((still - best > gain) & (best < share * still)).to(still.dtype)


def _gathered(values: Tensor, window: tuple[int, int]) -> Tensor:
    return functional.avg_pool2d(values, window, 2, (window[0] // 2, window[1] // 2))
