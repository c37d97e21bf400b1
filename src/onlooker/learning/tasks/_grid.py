"""Which cells of a grid learn which boxes, as tensors; all places are shares of the picture, 0..1."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["assigned", "centres_of", "giou"]


def centres_of(height: int, width: int, like: Tensor) -> Tensor:
    """(cells, 2): x and y of the middles of the cells, row by row."""
    x = (torch.arange(width, device=like.device, dtype=torch.float32) + 0.5) / width
    y = (torch.arange(height, device=like.device, dtype=torch.float32) + 0.5) / height
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width)], -1).reshape(-1, 2)


def assigned(centres: Tensor, boxes: Tensor, there: Tensor, radius: float) -> Tensor:
    """(B, cells): number of the box that each cell learns, -1 for none.

    A cell learns a box if its middle lies in it and near its middle (FCOS: Tian et al. 2019, arXiv 1904.01355, with
    centre sampling), and the cell with the box's middle always does; of several boxes it takes the smallest.

    Args:
        centres: (cells, 2).
        boxes: (B, M, 4).
        there: (B, M) bool.
        radius: in cells, how near.
    """
    # the first cell's middle is half a cell from the edge
    cell = 2 * centres[0]
    middles = (boxes[..., :2] + boxes[..., 2:]) / 2
    apart = (centres[:, None] - middles[:, None]).abs() / cell
    low, high = centres[:, None] - boxes[:, None, :, :2], boxes[:, None, :, 2:] - centres[:, None]
    inside = (torch.minimum(low, high) > 0).all(-1) & (apart < radius).all(-1)
    # the middle may lie on the edge of two cells, or of the picture: the first of the nearest has it
    nearest = apart.amax(-1).argmin(1)
    inside |= torch.arange(len(centres), device=boxes.device)[:, None] == nearest[:, None]
    area = (boxes[..., 2:] - boxes[..., :2]).prod(-1)[:, None].expand(inside.shape)
    smallest, number = area.masked_fill(~(inside & there[:, None]), torch.inf).min(-1)
    return torch.where(torch.isinf(smallest), -1, number)


def giou(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """IoU, and generalised IoU (Rezatofighi et al. 2019, arXiv 1902.09630), of boxes (..., 4) one by one."""
    low, high = torch.maximum(first, second), torch.minimum(first, second)
    shared = (high[..., 2:] - low[..., :2]).clamp(min=0).prod(-1)
    union = sum((b[..., 2:] - b[..., :2]).clamp(min=0).prod(-1) for b in (first, second)) - shared
    around = (torch.maximum(first[..., 2:], second[..., 2:]) - torch.minimum(first[..., :2], second[..., :2])).prod(-1)
    share = shared / union.clamp(min=1e-9)
    return share, share - (around - union) / around.clamp(min=1e-9)
