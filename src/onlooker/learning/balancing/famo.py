"""FAMO: weights by which all losses fall at one relative rate, at the cost of one backward pass.

Liu et al., "FAMO: Fast Adaptive Multitask Optimization", 2023 (arXiv 2306.03792).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from onlooker.learning.balance import Balancing, BalancingConfig

__all__ = ["FAMO", "PART", "FAMOConfig"]

_LEAST = 1e-8  # of a loss, as its logarithm is taken
_BETAS = 0.9, 0.999


class FAMOConfig(BalancingConfig):
    """Settings of FAMO.

    Attributes:
        rate: learning rate of the weights, by Adam.
        decay: how strongly weights are drawn towards being equal.
    """

    kind: Literal["famo"] = "famo"
    rate: float = Field(default=0.025, gt=0, le=1)
    decay: float = Field(default=0.001, ge=0, le=1)


class FAMO(Balancing):
    """The sum of ``z * log(loss)``, z a softmax over the tasks, scaled so that the weights sum to the number of tasks.

    After the step, `after_step` compares the losses at the same samples: tasks whose loss fell by a smaller part get
    more weight. All that is remembered are buffers, with it the moments of Adam.
    """

    Config: ClassVar[type[BalancingConfig]] = FAMOConfig

    def __init__(self, config: FAMOConfig, tasks: Sequence[str]) -> None:
        nn.Module.__init__(self)
        self._place = {name: n for n, name in enumerate(tasks)}
        self._rate, self._decay = config.rate, config.decay
        for name in ("logits", "first_moment", "second_moment", "before"):
            self.register_buffer(name, torch.zeros(len(tasks)))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.logits: Tensor
        self.first_moment: Tensor
        self.second_moment: Tensor
        self.before: Tensor
        self.updates: Tensor

    def weights(self) -> dict[str, float]:
        """By task, its share of the logarithm of the losses; they sum to 1."""
        held = torch.softmax(self.logits, 0)
        return {name: float(held[n]) for name, n in self._place.items()}

    def backward(
        self, losses: Mapping[str, Tensor], shared: Sequence[nn.Parameter], own: Mapping[str, Sequence[nn.Parameter]]
    ) -> None:
        """See `Balancing.backward`."""
        if not losses:
            return
        places = [self._place[t] for t in losses]
        held = torch.stack([*losses.values()]).float().clamp(min=_LEAST)
        self.before.zero_()
        self.before[places] = held.detach()
        shares = torch.softmax(self.logits[places], 0)
        scale = len(places) / (shares / held.detach()).sum()
        (scale * (shares * held.log()).sum()).backward()

    def after_step(self, losses: Mapping[str, float]) -> None:
        """Learn from how far each loss fell; tasks that were not in the batch are passed over."""
        names = [t for t in losses if float(self.before[self._place[t]]) > 0]
        if not names:
            return
        places = [self._place[t] for t in names]
        now = torch.tensor([losses[t] for t in names], device=self.logits.device).clamp(min=_LEAST)
        fell = self.before[places].log() - now.log()
        shares = torch.softmax(self.logits[places], 0)
        # the gradient of the softmax, weighed by how far the losses fell
        slope = torch.zeros_like(self.logits)
        slope[places] = shares * (fell - (shares * fell).sum())
        self._adam(slope + self._decay * self.logits)

    def _adam(self, slope: Tensor) -> None:
        self.updates += 1
        first, second = _BETAS
        self.first_moment.lerp_(slope, 1 - first)
        self.second_moment.lerp_(slope**2, 1 - second)
        count = int(self.updates)
        step = self.first_moment / (1 - first**count)
        self.logits -= self._rate * step / ((self.second_moment / (1 - second**count)).sqrt() + 1e-8)


PART = FAMO
