"""What a way of fusion is: it joins the features of several inputs, of which some may be missing.

One module in ``onlooker.learning.fusion`` each, with its ``Config`` and ``PART``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

__all__ = ["Fused", "Fusion", "FusionConfig"]


class FusionConfig(BaseModel):
    """Base of the settings of a way of fusion; ``kind`` is a literal with the module's name.

    Attributes:
        size: D of the joined features.
        modality_dropout: how often one input is left out of a training sample (never all).
        auxiliary: weight of the losses of heads on each single input.
        balance: scale the gradients of inputs that learn faster than others down (OGM-GE: Peng et al. 2022,
            arXiv 2203.15332) by this strength; 0: not. How far each is ahead is told by heads on each single input.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: str
    size: int = Field(default=128, ge=1)
    modality_dropout: float = Field(default=0.0, ge=0, lt=1)
    auxiliary: float = Field(default=0.0, ge=0)
    balance: float = Field(default=0.0, ge=0)


class Fused(NamedTuple):
    """Joined features.

    Args:
        steps: (B, T, D).
        shares: by input (B,), how much each contributed to this decision, 0..1, together 1; None: the way cannot tell.
    """

    steps: Tensor
    shares: Mapping[str, Tensor] | None = None


class Fusion(nn.Module):
    """Joins the features of several inputs.

    Class attributes:
        Config: its settings.
        late: heads are on each single input and their answers are joined by ``shares`` alone.
    """

    Config: ClassVar[type[FusionConfig]]
    late: ClassVar[bool] = False

    @abstractmethod
    def __init__(self, config: FusionConfig, sizes: Mapping[str, int], steps: Mapping[str, int]) -> None:
        """Make it.

        Args:
            config: its settings.
            sizes: D of each input.
            steps: T of each input; the joined features have the most of them.
        """
        super().__init__()

    @abstractmethod
    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Fused:
        """Join.

        Args:
            features: by input (B, T_i, D_i); of a missing one the numbers are any, but finite.
            present: by input (B,), 1 where it is there and 0 where it is missing. An answer must not depend on the
                features of a missing input.
        """
