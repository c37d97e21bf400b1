"""Gated multimodal units: for every number of every step, how much of each input is let through.

Arevalo et al., "Gated Multimodal Units for Information Fusion", 2017 (arXiv 1702.01992).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from onlooker.learning.fusing import Fused, Fusion, FusionConfig
from onlooker.learning.fusion._joining import Inputs, aligned, masked_softmax, shares_of

__all__ = ["PART", "Gated", "GatedConfig"]


class GatedConfig(FusionConfig):
    """Settings of gated fusion.

    Attributes:
        dropout: share of the joined numbers left out in training.
    """

    kind: Literal["gated"] = "gated"
    dropout: float = Field(default=0.1, ge=0, lt=1)


class Gated(Fusion):
    """(B, T_i, D_i) each -> tanh, and gates (B, T, size, N) that see all inputs -> (B, T, size).

    Gates are a softmax over the inputs that are there: with two, the paper's ``z`` and ``1 - z``; the gate of a missing
    input is 0. Shares are the mean gates.
    """

    Config: ClassVar[type[FusionConfig]] = GatedConfig

    def __init__(self, config: GatedConfig, sizes: Mapping[str, int], steps: Mapping[str, int]) -> None:
        nn.Module.__init__(self)
        self._inputs = Inputs(sizes, steps, config.size)
        self._gates = nn.Linear(config.size * len(sizes), config.size * len(sizes))
        self._norm = nn.Sequential(nn.LayerNorm(config.size), nn.Dropout(config.dropout))

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Fused:
        """See `Fusion.forward`."""
        made, there = self._inputs(features, present)
        parts = [aligned(x, self._inputs.steps) for x in made]
        held = torch.stack(there, 1)[:, None, None]
        gates = masked_softmax(self._gates(torch.cat(parts, 2)).unflatten(2, (-1, len(parts))), held)
        joined = (torch.stack(parts, 3).tanh() * gates).sum(3)
        return Fused(self._norm(joined), shares_of(self._inputs.names, gates.mean((1, 2))))


PART = Gated
