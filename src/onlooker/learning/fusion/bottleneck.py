"""Attention bottlenecks: inputs exchange only what passes through a few tokens.

Nagrani et al., "Attention Bottlenecks for Multimodal Fusion", 2021 (arXiv 2107.00135).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from onlooker.learning.fusing import Fused, Fusion, FusionConfig
from onlooker.learning.fusion._joining import Attention, Feed, Inputs, aligned, mean_of_present

__all__ = ["PART", "Bottleneck", "BottleneckConfig"]


class BottleneckConfig(FusionConfig):
    """Settings of fusion through bottlenecks.

    Attributes:
        bottlenecks: how many tokens pass between the inputs.
        heads: of attention; they divide ``size``.
        layers: of the transformer of each input.
        dropout: share of weights and numbers left out in training.
    """

    kind: Literal["bottleneck"] = "bottleneck"
    bottlenecks: int = Field(default=4, ge=1, le=64)
    heads: int = Field(default=4, ge=1, le=64)
    layers: int = Field(default=2, ge=1, le=12)
    dropout: float = Field(default=0.1, ge=0, lt=1)

    @model_validator(mode="after")
    def _fits(self) -> BottleneckConfig:
        if self.size % self.heads:
            raise ValueError(f"heads: expected a number that divides size {self.size}, got {self.heads}")
        return self


class Layer(nn.Module):
    """One layer of a transformer over the tokens of one input and the bottlenecks."""

    def __init__(self, size: int, heads: int, dropout: float) -> None:
        super().__init__()
        self._norm = nn.LayerNorm(size)
        self._look = Attention(size, heads, dropout)
        self._feed = Feed(size, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        normal = self._norm(x)
        return self._feed(x + self._look(normal, normal)[0])


class Bottleneck(Fusion):
    """(B, T_i, D_i) each -> layers over its own steps and the bottlenecks (B, K, size) -> (B, T, size).

    After every layer the bottlenecks are the mean of what those inputs that are there made of them; the joined steps
    are the mean of those inputs' steps, aligned in time, and of the bottlenecks.
    """

    Config: ClassVar[type[FusionConfig]] = BottleneckConfig

    def __init__(self, config: BottleneckConfig, sizes: Mapping[str, int], steps: Mapping[str, int]) -> None:
        nn.Module.__init__(self)
        self._inputs = Inputs(sizes, steps, config.size)
        self._places = nn.ParameterList(torch.randn(1, steps[n], config.size) * 0.02 for n in self._inputs.names)
        self._between = nn.Parameter(torch.randn(1, config.bottlenecks, config.size) * 0.02)
        self._layers = nn.ModuleList(
            nn.ModuleList(Layer(config.size, config.heads, config.dropout) for _ in sizes) for _ in range(config.layers)
        )
        self._last = nn.LayerNorm(config.size)

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Fused:
        """See `Fusion.forward`; it cannot tell shares."""
        made, there = self._inputs(features, present)
        made = [x + place for x, place in zip(made, self._places, strict=True)]
        between = self._between.expand(len(made[0]), -1, -1)
        none = (1 - torch.stack(there).amax(0))[:, None, None]
        for layers in self._layers:
            told: list[Tensor] = []
            for n, layer in enumerate(layers):  # type: ignore[arg-type]
                both = layer(torch.cat([made[n], between], 1))
                steps = made[n].shape[1]
                made[n] = both[:, :steps]
                told.append(both[:, steps:])
            between = mean_of_present(told, there) + none * between
        joined = mean_of_present([aligned(x, self._inputs.steps) for x in made], there)
        return Fused(self._last(joined + between.mean(1, keepdim=True)))


PART = Bottleneck
