"""Weights by how noisy each task is, learned with the model.

Kendall, Gal and Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses", 2018 (arXiv 1705.07115).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from onlooker.learning.balance import Balancing, BalancingConfig

__all__ = ["PART", "Uncertainty", "UncertaintyConfig"]


class UncertaintyConfig(BalancingConfig):
    """Settings of weights by uncertainty.

    Attributes:
        limit: of the logarithms of the variances: weights lie between e to the minus this and e to this.
    """

    kind: Literal["uncertainty"] = "uncertainty"
    limit: float = Field(default=4.0, gt=0, le=20)


class Uncertainty(Balancing):
    """The sum of ``exp(-s) * loss + s / 2``, with one s, the logarithm of a task's variance, for each task.

    It begins as the plain sum. The s are parameters of this module: they belong in the optimiser, without weight decay.
    A fixed weight of a loss is learned away in time.

    Attributes:
        log_variance: (tasks,).
    """

    Config: ClassVar[type[BalancingConfig]] = UncertaintyConfig

    def __init__(self, config: UncertaintyConfig, tasks: Sequence[str]) -> None:
        nn.Module.__init__(self)
        self._place = {name: n for n, name in enumerate(tasks)}
        self._limit = config.limit
        self.log_variance = nn.Parameter(torch.zeros(len(tasks)))

    def weights(self) -> dict[str, float]:
        """By task, what its loss is multiplied by."""
        held = torch.exp(-self.log_variance.detach())
        return {name: float(held[n]) for name, n in self._place.items()}

    def backward(
        self, losses: Mapping[str, Tensor], shared: Sequence[nn.Parameter], own: Mapping[str, Sequence[nn.Parameter]]
    ) -> None:
        """See `Balancing.backward`."""
        if not losses:
            return
        with torch.no_grad():
            self.log_variance.clamp_(-self._limit, self._limit)
        held = self.log_variance[[self._place[t] for t in losses]]
        (torch.exp(-held) * torch.stack([*losses.values()]) + held / 2).sum().backward()


PART = Uncertainty
