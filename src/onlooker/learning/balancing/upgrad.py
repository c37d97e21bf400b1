"""UPGrad: a step that makes no task worse.

Quinton and Rey, "Jacobian Descent for Multi-Objective Optimization", 2024 (arXiv 2406.16232), by TorchJD.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from onlooker.learning.balance import BalancingConfig
from onlooker.learning.balancing._gradients import GradientMethod

__all__ = ["PART", "UPGrad", "UPGradConfig"]


class UPGradConfig(BalancingConfig):
    """No settings."""

    kind: Literal["upgrad"] = "upgrad"


class UPGrad(GradientMethod):
    """The sum of gradients, each projected onto the cone of directions that conflict with no task."""

    Config: ClassVar[type[BalancingConfig]] = UPGradConfig

    def combine(self, gradients: Tensor) -> Tensor:
        """See `GradientMethod.combine`."""
        from torchjd.aggregation import UPGrad as Method

        return Method(pref_vector=torch.ones(len(gradients), device=gradients.device))(gradients)


PART = UPGrad
