"""What a way of balancing tasks is: it makes one gradient of several losses.

One module in ``onlooker.learning.balancing`` each, with its ``Config`` and ``PART``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

__all__ = ["Balancing", "BalancingConfig"]


class BalancingConfig(BaseModel):
    """Base of the settings of a way of balancing; ``kind`` is a literal with the module's name."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: str


class Balancing(nn.Module):
    """Makes one gradient of several losses; its own weights, if any, are parameters and buffers of it.

    Class attributes:
        Config: its settings.
        per_task: whether it needs the gradient of each task, which costs a backward pass each.
    """

    Config: ClassVar[type[BalancingConfig]]
    per_task: ClassVar[bool] = False

    @abstractmethod
    def __init__(self, config: BalancingConfig, tasks: Sequence[str]) -> None:
        super().__init__()

    @abstractmethod
    def backward(
        self, losses: Mapping[str, Tensor], shared: Sequence[nn.Parameter], own: Mapping[str, Sequence[nn.Parameter]]
    ) -> None:
        """Add to the gradients of all parameters.

        Args:
            losses: by task, weighted; tasks without a labelled sample in this batch are left out.
            shared: parameters that several tasks use.
            own: by task, parameters of its head alone.
        """

    def after_step(self, losses: Mapping[str, float]) -> None:
        """Told of the losses at the same samples after the step, by those that learn from it (FAMO)."""
