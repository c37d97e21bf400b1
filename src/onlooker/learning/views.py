"""The views of a picture over which answers are averaged: itself, mirrored, moved by a pixel.

As the recipes of K. Jordan 2024 do, arXiv 2404.00498, there with the unmoved one counting as much as both moved ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["View", "batch_of_views", "count_of", "views_of", "views_of_inputs"]

View: TypeAlias = Literal["mirror", "shift"]
"""``mirror``: the mirror image too; ``shift``: two copies of each too, moved by a pixel to either end of a diagonal."""

_MOVED = (0, 1, -1)


def count_of(kinds: Sequence[View]) -> int:
    """How many views there are, the picture itself among them."""
    return (2 if "mirror" in kinds else 1) * (len(_MOVED) if "shift" in kinds else 1)


def views_of(x: Tensor, kinds: Sequence[View]) -> list[Tensor]:
    """Pictures (..., C, H, W) as they are, then their other views, in the same shape; edges are repeated.

    >>> [tuple(v.shape) for v in views_of(torch.zeros(1, 4, 3, 8, 8), ("mirror", "shift"))] == 6 * [(1, 4, 3, 8, 8)]
    True
    """
    made = [_moved(x, by) for by in _MOVED] if "shift" in kinds else [x]
    return made + [v.flip(-1) for v in made] if "mirror" in kinds else made


def batch_of_views(x: Tensor, kinds: Sequence[View]) -> Tensor:
    """A clip (1, T, C, H, W), or all n views of it (n, T, C, H, W)."""
    return torch.cat(views_of(x, kinds)) if kinds else x


def views_of_inputs(inputs: Mapping[str, Tensor], kinds: Sequence[View]) -> list[dict[str, Tensor]]:
    """All inputs by each view; what is no picture (B, T, C, H, W) stays the same in all of them."""
    each = {n: views_of(x, kinds) if x.ndim == 5 else [x] * count_of(kinds) for n, x in inputs.items()}
    return [{n: x[place] for n, x in each.items()} for place in range(count_of(kinds))]


def _moved(x: Tensor, by: int) -> Tensor:
    if by == 0:
        return x
    frames, (height, width) = x.reshape(-1, *x.shape[-3:]), x.shape[-2:]
    wider = functional.pad(frames, (1, 1, 1, 1), mode="replicate")
    return wider[..., 1 - by : 1 - by + height, 1 - by : 1 - by + width].reshape(x.shape)
