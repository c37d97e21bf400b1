"""What gradient methods share: the gradient of each task, their combination, and one form for all methods."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from onlooker.core.errors import UsageError
from onlooker.learning.balance import Balancing, BalancingConfig

__all__ = ["GradientMethod", "add_gradient", "gradients_of", "need_torchjd"]


def need_torchjd() -> None:
    """Say how to get it, where TorchJD or one of its solvers is not installed.

    Raises:
        UsageError: it is not.
    """
    import importlib

    for name in ("torchjd", "quadprog", "qpsolvers", "cvxpy", "clarabel"):
        try:
            importlib.import_module(name)
        except ImportError:
            raise UsageError(f"this way of balancing needs {name}", hint="pip install 'onlooker[learn]'") from None


def add_gradient(parameter: nn.Parameter, gradient: Tensor | None) -> None:
    """Add to what is there, as a backward pass does."""
    if gradient is not None:
        parameter.grad = gradient.clone() if parameter.grad is None else parameter.grad.add_(gradient)


def gradients_of(
    losses: Mapping[str, Tensor],
    shared: Sequence[nn.Parameter],
    own: Mapping[str, Sequence[nn.Parameter]] | None = None,
    *,
    keep: bool = False,
) -> Tensor:
    """(tasks, numbers): the gradient of each loss by all shared parameters, laid flat; 0 where it does not depend.

    Args:
        losses: by task, of one graph.
        shared: parameters.
        own: by task, parameters whose plain gradient is added to them on the way.
        keep: whether the graph is needed afterwards.
    """
    rows: list[Tensor] = []
    for number, (task, loss) in enumerate(losses.items()):
        mine = tuple(own.get(task, ())) if own else ()
        made = torch.autograd.grad(
            loss, (*shared, *mine), retain_graph=keep or number + 1 < len(losses), allow_unused=True
        )
        for parameter, gradient in zip(mine, made[len(shared) :], strict=True):
            add_gradient(parameter, gradient)
        flat = [
            torch.zeros_like(p).flatten() if g is None else g.flatten()
            for p, g in zip(shared, made[: len(shared)], strict=True)
        ]
        rows.append(torch.cat(flat) if flat else torch.zeros(0))
    return torch.stack(rows)


class GradientMethod(Balancing):
    """One gradient for the shared parameters, made of those of the tasks; each head gets its own task's.

    The memory is that of a copy of the shared parameters for each task. Directions are scaled like the sum of the
    gradients, so that learning rates need not change with the method.
    """

    per_task: ClassVar[bool] = True

    def __init__(self, config: BalancingConfig, tasks: Sequence[str]) -> None:
        nn.Module.__init__(self)
        need_torchjd()

    @abstractmethod
    def combine(self, gradients: Tensor) -> Tensor:
        """(numbers,) of (tasks, numbers), for two tasks or more."""

    def backward(
        self, losses: Mapping[str, Tensor], shared: Sequence[nn.Parameter], own: Mapping[str, Sequence[nn.Parameter]]
    ) -> None:
        """See `Balancing.backward`."""
        if not losses:
            return
        gradients = gradients_of(losses, shared, own)
        joined = self.combine(gradients) if len(gradients) > 1 else gradients[0]
        for parameter, part in zip(shared, joined.split([p.numel() for p in shared]), strict=True):
            add_gradient(parameter, part.view_as(parameter))
