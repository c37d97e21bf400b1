"""Muon: momentum whose steps are made orthogonal (K. Jordan et al. 2024, "Muon: an optimizer for hidden layers")."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from onlooker.learning.precision import multiplies_bfloat16

__all__ = ["Muon", "orthogonal"]

_A, _B, _C = 3.4445, -4.7750, 2.0315


def orthogonal(matrix: Tensor, steps: int = 5) -> Tensor:
    """The nearest matrix (rows, columns) whose singular values are about 1, by Newton-Schulz steps of the fifth order.

    >>> values = torch.linalg.svdvals(orthogonal(torch.randn(8, 5, generator=torch.Generator().manual_seed(0))))
    >>> bool((values > 0.5).all() and (values < 1.3).all())
    True
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        square = x @ x.T
        x = _A * x + (_B * square + _C * square @ square) @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """For weights of two or more dimensions, which count as (first, all others) matrices.

    Args:
        params: parameters or groups of them.
        lr: learning rate.
        momentum: of the gradient.
        nesterov: look ahead by the momentum.
        weight_decay: decoupled.
        normalise: bring each weight's norm to the root of its rows before each step, so that the learning rate is the
            relative size of a step (for weights followed by norms); steps of tall matrices are larger otherwise.
        iterations: of Newton-Schulz.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.02,
        momentum: float = 0.9,
        nesterov: bool = True,
        weight_decay: float = 0.0,
        normalise: bool = False,
        iterations: int = 5,
    ) -> None:
        own = {"lr": lr, "momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay}
        super().__init__(params, {**own, "normalise": normalise, "iterations": iterations})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move all weights that have a gradient."""
        loss = None if closure is None else closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                held = state["momentum"].mul_(group["momentum"]).add_(weight.grad)
                way = weight.grad.add(held, alpha=group["momentum"]) if group["nesterov"] else held
                rows = len(weight)
                precision = torch.bfloat16 if multiplies_bfloat16(weight.device.type) else torch.float32
                update = orthogonal(way.reshape(rows, -1).to(precision), group["iterations"]).view(weight.shape)
                size = 1.0 if group["normalise"] else max(1.0, rows / (weight.numel() / rows)) ** 0.5
                if group["normalise"]:
                    weight.mul_(rows**0.5 / weight.norm())
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(update.to(weight.dtype), alpha=-group["lr"] * size)
        return loss
