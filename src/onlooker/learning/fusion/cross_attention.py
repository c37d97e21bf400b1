"""Cross-attention: every joined step looks for what it needs in the steps of all inputs.

After the multimodal transformer of Tsai et al. 2019 (arXiv 1906.00295) and the queries of Perceiver (Jaegle et al.
2021, arXiv 2103.03206): inputs of other rates, or late ones, need not be aligned first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from onlooker.learning.fusing import Fused, Fusion, FusionConfig
from onlooker.learning.fusion._joining import Attention, Feed, Inputs, aligned, mean_of_present, shares_of

__all__ = ["PART", "CrossAttention", "CrossAttentionConfig"]


class CrossAttentionConfig(FusionConfig):
    """Settings of fusion by cross-attention.

    Attributes:
        heads: of attention; they divide ``size``.
        layers: how often the joined steps look at the inputs.
        dropout: share of weights and numbers left out in training.
    """

    kind: Literal["cross_attention"] = "cross_attention"
    heads: int = Field(default=4, ge=1, le=64)
    layers: int = Field(default=2, ge=1, le=12)
    dropout: float = Field(default=0.1, ge=0, lt=1)

    @model_validator(mode="after")
    def _fits(self) -> CrossAttentionConfig:
        if self.size % self.heads:
            raise ValueError(f"heads: expected a number that divides size {self.size}, got {self.heads}")
        return self


class CrossAttention(Fusion):
    """(B, T_i, D_i) each -> tokens (B, sum T_i, size); queries (B, T, size), the aligned mean -> (B, T, size).

    Tokens carry what is learned for their input and their place in time. Those of a missing input are never looked at.
    Shares are how much the last layer looks at each input.
    """

    Config: ClassVar[type[FusionConfig]] = CrossAttentionConfig

    def __init__(self, config: CrossAttentionConfig, sizes: Mapping[str, int], steps: Mapping[str, int]) -> None:
        nn.Module.__init__(self)
        self._inputs = Inputs(sizes, steps, config.size)
        self._places = nn.ParameterList(torch.randn(1, steps[n], config.size) * 0.02 for n in self._inputs.names)
        self._query = nn.Parameter(torch.randn(1, self._inputs.steps, config.size) * 0.02)
        self._norms = nn.ModuleList(nn.LayerNorm(config.size) for _ in range(config.layers))
        self._looks = nn.ModuleList(Attention(config.size, config.heads, config.dropout) for _ in range(config.layers))
        self._feeds = nn.ModuleList(Feed(config.size, config.dropout) for _ in range(config.layers))
        self._last = nn.LayerNorm(config.size)

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Fused:
        """See `Fusion.forward`."""
        made, there = self._inputs(features, present)
        tokens = torch.cat([x + p for x, p in zip(made, self._places, strict=True)], 1)
        known = torch.cat([t[:, None].expand(-1, x.shape[1]) for x, t in zip(made, there, strict=True)], 1)
        joined = self._query + mean_of_present([aligned(x, self._inputs.steps) for x in made], there)
        weights = known
        for norm, look, feed in zip(self._norms, self._looks, self._feeds, strict=True):
            taken, weights = look(norm(joined), tokens, known)
            joined = feed(joined + taken)
        mass = weights.mean(1).split([x.shape[1] for x in made], 1)
        shares = torch.stack([m.sum(1) for m in mass], 1)
        return Fused(self._last(joined), shares_of(self._inputs.names, shares))


PART = CrossAttention
