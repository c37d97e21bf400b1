"""PCGrad: of every task's gradient, what runs against another task's is taken away.

Yu et al., "Gradient Surgery for Multi-Task Learning", 2020 (arXiv 2001.06782), by TorchJD.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor

from onlooker.learning.balance import BalancingConfig
from onlooker.learning.balancing._gradients import GradientMethod

__all__ = ["PART", "PCGrad", "PCGradConfig"]


class PCGradConfig(BalancingConfig):
    """No settings."""

    kind: Literal["pcgrad"] = "pcgrad"


class PCGrad(GradientMethod):
    """The sum of gradients, each projected onto the plane of those that it conflicts with, in random order.

    The order is drawn from torch's own generator, which is seeded with the run.
    """

    Config: ClassVar[type[BalancingConfig]] = PCGradConfig

    def combine(self, gradients: Tensor) -> Tensor:
        """See `GradientMethod.combine`."""
        from torchjd.aggregation import PCGrad as Method

        return Method()(gradients)


PART = PCGrad
