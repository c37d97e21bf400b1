"""CAGrad: near the mean gradient, the direction in which the task that gains least gains most.

Liu et al., "Conflict-Averse Gradient Descent for Multi-task Learning", 2021 (arXiv 2110.14048), by TorchJD.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from onlooker.learning.balance import BalancingConfig
from onlooker.learning.balancing._gradients import GradientMethod

__all__ = ["PART", "CAGrad", "CAGradConfig"]


class CAGradConfig(BalancingConfig):
    """Settings of CAGrad.

    Attributes:
        radius: how far from the mean gradient, in lengths of it; 0 is the mean itself.
    """

    kind: Literal["cagrad"] = "cagrad"
    radius: float = Field(default=0.5, ge=0, le=10)


class CAGrad(GradientMethod):
    """The best direction for the worst task within a ball around the mean."""

    Config: ClassVar[type[BalancingConfig]] = CAGradConfig

    def __init__(self, config: CAGradConfig, tasks: list[str] | tuple[str, ...]) -> None:
        super().__init__(config, tasks)
        self._radius = config.radius

    def combine(self, gradients: Tensor) -> Tensor:
        """See `GradientMethod.combine`."""
        from torchjd.aggregation import CAGrad as Method

        return Method(c=self._radius)(gradients) * len(gradients)


PART = CAGrad
