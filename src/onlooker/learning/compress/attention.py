"""Numbers left out of the heads of attention, of each head as many."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from onlooker.learning.compress.surrogates import first_layer, last_layer
from onlooker.learning.networks.video_transformer import Layer

__all__ = ["cut_heads", "head_scores", "head_size"]


def head_size(layer: Layer) -> int:
    """Numbers of each head."""
    return layer.queries.out_features // layer.heads


def head_scores(layer: Layer, worth: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """How much each number that queries and keys compare is worth, and each of the values: (heads * size,) each.

    Args:
        layer: whose.
        worth: of each number of a parameter.
    """
    queries, both, out = _weights(layer)
    count = queries.weight.shape[0]
    rows = worth(both.weight).flatten(1).sum(1)
    compared = worth(queries.weight).flatten(1).sum(1) + rows[:count]
    return compared, rows[count:] + worth(out.weight).sum(0)


@torch.no_grad()
def cut_heads(layer: Layer, scores: tuple[Tensor, Tensor], left: int) -> None:
    """Leave the numbers out that are worth least.

    Attention divides by the root of a head's size; queries make up for its change.

    Args:
        layer: is changed in place.
        scores: from `head_scores`.
        left: numbers of a head that stay.
    """
    size, heads = head_size(layer), layer.heads
    queries, both, out = _weights(layer)
    compared, values = (_kept(s, heads, left).to(out.weight.device) for s in scores)
    _take(queries, compared, 0)
    for parameter in (queries.weight, queries.bias):
        if parameter is not None:
            parameter.mul_(math.sqrt(left / size))
    _take(both, torch.cat([compared, values + heads * size]), 0)
    _take(out, values, 1)


def _weights(layer: Layer) -> tuple[Any, Any, Any]:
    return last_layer(layer.queries), last_layer(layer.keys_values), first_layer(layer.out)


def _kept(scores: Tensor, heads: int, left: int) -> Tensor:
    """Places of the best of each head, in their order."""
    by_head = scores.view(heads, -1)
    places = by_head.argsort(dim=1, descending=True, stable=True)[:, :left].sort(1).values
    return (places + torch.arange(heads, device=places.device)[:, None] * by_head.shape[1]).flatten()


def _take(linear: nn.Linear, places: Tensor, axis: int) -> None:
    linear.weight = nn.Parameter(linear.weight.index_select(axis, places), linear.weight.requires_grad)
    if axis == 1:
        linear.in_features = len(places)
        return
    linear.out_features = len(places)
    if linear.bias is not None:
        linear.bias = nn.Parameter(linear.bias.index_select(0, places), linear.bias.requires_grad)
