"""Late fusion: heads on each single input, whose answers are weighed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from onlooker.learning.fusing import Fused, Fusion, FusionConfig
from onlooker.learning.fusion._joining import Inputs, aligned, masked_softmax, mean_of_present, shares_of

__all__ = ["PART", "Late", "LateConfig"]


class LateConfig(FusionConfig):
    """Settings of late fusion.

    Attributes:
        weights: ``equal`` for all that are there; ``learned``, one for each input; ``confidence``, which each input
            tells of itself, sample by sample.
        hidden: numbers of the layer that tells confidence.
    """

    kind: Literal["late"] = "late"
    weights: Literal["equal", "learned", "confidence"] = "confidence"
    hidden: int = Field(default=32, ge=1)


class Late(Fusion):
    """(B, T_i, D_i) each -> one number each -> shares (B,) each, softmax over the inputs that are there.

    Confidence is the logarithm of a precision: shares are those by which independent guesses are best averaged, and an
    input whose features say that it is noisy counts less. Answers are joined by the shares; ``steps`` are the mean of
    the inputs that are there, for those who want features. With nothing there, shares are even or as learned.
    """

    Config: ClassVar[type[FusionConfig]] = LateConfig
    late: ClassVar[bool] = True

    def __init__(self, config: LateConfig, sizes: Mapping[str, int], steps: Mapping[str, int]) -> None:
        nn.Module.__init__(self)
        self._inputs = Inputs(sizes, steps, config.size)
        self._prior = nn.Parameter(torch.zeros(len(sizes)), requires_grad=config.weights != "equal")
        self._confidence = nn.ModuleList()
        if config.weights == "confidence":
            for _ in sizes:
                last = nn.Linear(config.hidden, 1)
                nn.init.zeros_(last.weight)
                nn.init.zeros_(last.bias)
                self._confidence.append(nn.Sequential(nn.Linear(config.size, config.hidden), nn.GELU(), last))

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Fused:
        """See `Fusion.forward`."""
        made, there = self._inputs(features, present)
        scores = self._prior.expand(len(there[0]), -1)
        if len(self._confidence):
            told = [net(x.mean(1)) for net, x in zip(self._confidence, made, strict=True)]
            scores = scores + torch.cat(told, 1)
        shares = masked_softmax(scores, torch.stack(there, 1))
        steps = mean_of_present([aligned(x, self._inputs.steps) for x in made], there)
        return Fused(steps, shares_of(self._inputs.names, shares))


PART = Late
