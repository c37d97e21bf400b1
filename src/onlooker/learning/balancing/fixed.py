"""The plain sum of the losses, each with the fixed weight of its head (``weight`` of its settings)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from onlooker.learning.balance import Balancing, BalancingConfig

__all__ = ["PART", "Fixed", "FixedConfig"]


class FixedConfig(BalancingConfig):
    """No settings: the weights are those of the heads."""

    kind: Literal["fixed"] = "fixed"


class Fixed(Balancing):
    """One backward pass of the sum."""

    Config: ClassVar[type[BalancingConfig]] = FixedConfig

    def __init__(self, config: FixedConfig, tasks: Sequence[str]) -> None:
        nn.Module.__init__(self)

    def backward(
        self, losses: Mapping[str, Tensor], shared: Sequence[nn.Parameter], own: Mapping[str, Sequence[nn.Parameter]]
    ) -> None:
        """See `Balancing.backward`."""
        if losses:
            torch.stack([*losses.values()]).sum().backward()


PART = Fixed
