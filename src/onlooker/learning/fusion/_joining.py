"""What ways of fusion share: missing inputs put aside, steps brought to one number, attention with its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Attention", "Feed", "Inputs", "aligned", "mean_of_present", "shares_of"]

_FAR = 1e4  # e to the minus this is 0 in every number format


class Inputs(nn.Module):
    """Brings each input to one size and puts what stands for a missing one in its place.

    Attributes:
        names: of the inputs, in the order in which they are stacked.
        steps: T, the most steps of all.
    """

    def __init__(self, sizes: Mapping[str, int], steps: Mapping[str, int], size: int) -> None:
        super().__init__()
        self.names = tuple(sizes)
        self.steps = max(steps.values())
        self._norms = nn.ModuleList(nn.LayerNorm(sizes[n]) for n in self.names)
        self._linears = nn.ModuleList(nn.Linear(sizes[n], size) for n in self.names)
        self._absent = nn.Parameter(torch.randn(len(self.names), size) * 0.02)

    def forward(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """By input (B, T_i, size), and (B,) whether it is there, 1 or 0, in the order of ``names``."""
        made: list[Tensor] = []
        there: list[Tensor] = []
        for name, norm, linear, absent in zip(self.names, self._norms, self._linears, self._absent, strict=True):
            x = features[name]
            has = present[name] > 0
            known = has[:, None, None]
            x = linear(norm(torch.where(known, x, torch.zeros_like(x))))
            made.append(torch.where(known, x, absent.to(x.dtype)))
            there.append(has.to(x.dtype))
        return made, there


def aligned(x: Tensor, steps: int) -> Tensor:
    """(B, steps, D) of (B, T, D): between steps, which stand for the middles of equal parts of time, linear."""
    if x.shape[1] == steps:
        return x
    return functional.interpolate(x.transpose(1, 2), size=steps, mode="linear").transpose(1, 2)


def masked_softmax(scores: Tensor, there: Tensor) -> Tensor:
    """Softmax over the last axis of what is there, exactly 0 elsewhere; over all where nothing is there.

    Args:
        scores: any shape (..., N).
        there: broadcast to it, 1 or 0.
    """
    return torch.softmax(scores.float() - (1 - there.float()) * _FAR, -1)


def mean_of_present(parts: Sequence[Tensor], there: Sequence[Tensor]) -> Tensor:
    """(B, ...): the mean over those inputs (B, ...) that are there; 0 where none is."""
    weights = torch.stack(list(there))
    weights = weights / weights.sum(0).clamp(min=1)
    stacked = torch.stack(list(parts))
    return (stacked * weights.reshape(*weights.shape, *[1] * (stacked.ndim - 2))).sum(0)


def shares_of(names: Sequence[str], weights: Tensor) -> dict[str, Tensor]:
    """By input (B,) of weights (B, N) that sum to 1."""
    return {name: weights[:, n] for n, name in enumerate(names)}


class Attention(nn.Module):
    """Attention of several heads (Vaswani et al. 2017, arXiv 1706.03762) that can leave tokens out."""

    def __init__(self, size: int, heads: int, dropout: float) -> None:
        super().__init__()
        self._heads = heads
        self._query, self._key, self._value = (nn.Linear(size, size) for _ in range(3))
        self._out = nn.Linear(size, size)
        self._dropout = nn.Dropout(dropout)

    def forward(self, queries: Tensor, tokens: Tensor, there: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What each query takes out of the tokens.

        Args:
            queries: (B, Q, D).
            tokens: (B, K, D).
            there: (B, K), 1 or 0; None: all are.

        Returns:
            (B, Q, D), and how much each query looks at each token (B, Q, K), the mean over heads.
        """
        query, key, value = (
            part.unflatten(-1, (self._heads, -1)).transpose(1, 2)
            for part in (self._query(queries), self._key(tokens), self._value(tokens))
        )
        scores = query @ key.transpose(2, 3) * key.shape[-1] ** -0.5
        mask = torch.ones_like(scores[:, :1]) if there is None else there[:, None, None]
        weights = masked_softmax(scores, mask)
        taken = self._dropout(weights).to(value.dtype) @ value
        return self._out(taken.transpose(1, 2).flatten(2)), weights.mean(1)


class Feed(nn.Module):
    """The two layers after attention, with their normalisation."""

    def __init__(self, size: int, dropout: float) -> None:
        super().__init__()
        self._layers = nn.Sequential(
            nn.LayerNorm(size),
            nn.Linear(size, 2 * size),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * size, size),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) added to."""
        return x + self._layers(x)
