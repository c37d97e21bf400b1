"""Early fusion: the features of all inputs are laid side by side, step by step, before a small network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from onlooker.learning.fusing import Fused, Fusion, FusionConfig
from onlooker.learning.fusion._joining import Inputs, aligned

__all__ = ["PART", "Early", "EarlyConfig"]


class EarlyConfig(FusionConfig):
    """Settings of early fusion.

    Attributes:
        layers: of the small network.
        dropout: share of its numbers left out in training.
    """

    kind: Literal["early"] = "early"
    layers: int = Field(default=1, ge=1, le=8)
    dropout: float = Field(default=0.1, ge=0, lt=1)


class Early(Fusion):
    """(B, T_i, D_i) each -> (B, T, N * size) side by side -> (B, T, size).

    Inputs are brought to the most steps by interpolation in time. In place of a missing input stands what was learned
    for it.
    """

    Config: ClassVar[type[FusionConfig]] = EarlyConfig

    def __init__(self, config: EarlyConfig, sizes: Mapping[str, int], steps: Mapping[str, int]) -> None:
        nn.Module.__init__(self)
        self._inputs = Inputs(sizes, steps, config.size)
        layers: list[nn.Module] = []
        for n in range(config.layers):
            wide = config.size * (len(sizes) if n == 0 else 1)
            layers += [nn.GELU(), nn.Dropout(config.dropout), nn.Linear(wide, config.size), nn.LayerNorm(config.size)]
        self._layers = nn.Sequential(*layers)

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Fused:
        """See `Fusion.forward`; it cannot tell shares."""
        made, _ = self._inputs(features, present)
        return Fused(self._layers(torch.cat([aligned(x, self._inputs.steps) for x in made], 2)))


PART = Early
