"""A small video transformer: attention within each tubelet step, then over the steps.

Arnab et al. 2021, ViViT: a video vision transformer, arXiv 2103.15691 (the factorised encoder), pre-norm. Steps know
how far apart they are by biases of the attention (Press et al. 2022, ALiBi, arXiv 2108.12409) and not where they are in
the clip, so that the causal form runs on streams: it keeps the keys and values of the last steps.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from onlooker.core.errors import UsageError
from onlooker.learning.network import Features, NetworkConfig, State
from onlooker.learning.networks._blocks import check_pictures
from onlooker.learning.networks._streaming import Memory, StreamingNetwork

EXAMPLE: dict[str, Any] = {
    "config": {"size": 16, "heads": 2, "patch": 8, "space_layers": 1, "time_layers": 2, "window": 3},
    "shape": (16, 3, 16, 24),
}
VARIANTS: tuple[dict[str, Any], ...] = (
    {"size": 16, "heads": 2, "patch": 8, "frames": 1, "space_layers": 1, "time_layers": 1, "causal": False},
)


class Config(NetworkConfig):
    """Settings of `VideoTransformer`.

    Attributes:
        size: D, numbers of each patch and of a step.
        heads: of the attention; they share ``size``.
        patch: pixels, side of a patch.
        frames: of a tubelet, which make one step.
        space_layers: of attention between the patches of a step.
        time_layers: of attention between steps.
        window: steps that attention looks at, the present one too; where it is causal.
        causal: it does not see the frames to come, and can run on a stream.
        widening: numbers inside the two-layer network after each attention, for one of ``size``.
        dropout: share of numbers left out in training after each part of a layer.
    """

    network: Literal["video_transformer"] = "video_transformer"
    size: int = Field(default=128, ge=1, le=4096)
    heads: int = Field(default=4, ge=1, le=64)
    patch: int = Field(default=16, ge=2, le=64)
    frames: int = Field(default=2, ge=1, le=16)
    space_layers: int = Field(default=3, ge=1, le=48)
    time_layers: int = Field(default=3, ge=1, le=48)
    window: int = Field(default=16, ge=2, le=512)
    causal: bool = True
    widening: int = Field(default=3, ge=1, le=8)
    dropout: float = Field(default=0.0, ge=0, lt=1)

    def shallower(self) -> dict[str, Any] | None:
        """Half of the layers of each kind; see `NetworkConfig.shallower`."""
        kinds = {"space_layers": self.space_layers, "time_layers": self.time_layers}
        return {name: count // 2 for name, count in kinds.items() if count > 1} or None


class Layer(nn.Module):
    """Attention and a two-layer network, each with a way past it: (B, L, D) -> (B, L, D).

    Args:
        config: of the network.
        kept: steps of which keys and values are remembered.
    """

    def __init__(self, config: Config, kept: int = 0) -> None:
        super().__init__()
        size, self.heads = config.size, config.heads
        self.first_norm, self.second_norm = nn.LayerNorm(size), nn.LayerNorm(size)
        self.queries, self.keys_values = nn.Linear(size, size), nn.Linear(size, 2 * size)
        self.out = nn.Linear(size, size)
        self.widen = nn.Sequential(
            nn.Linear(size, config.widening * size), nn.GELU(), nn.Linear(config.widening * size, size)
        )
        self.dropout = nn.Dropout(config.dropout)
        self.memory = Memory(kept, (2 * size,)) if kept else None

    def forward(self, x: Tensor, before: State, after: State, bias: Tensor | None = None) -> Tensor:
        """(B, L, D) of (B, L, D); ``bias`` is added to what each place's attention is worth."""
        y = self.first_norm(x)
        queries, known = self.queries(y), self.keys_values(y)
        if self.memory is not None:
            known = self.memory(known.transpose(1, 2), before, after).transpose(1, 2)
        keys, values = known.chunk(2, 2)
        found = functional.scaled_dot_product_attention(
            self._split(queries), self._split(keys), self._split(values), attn_mask=bias
        )
        x = x + self.dropout(self.out(found.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.widen(self.second_norm(x)))

    def follow_widths(self) -> None:
        """See `Network.follow_widths`."""
        if self.memory is not None:
            self.memory.shape = (self.keys_values.out_features, self.memory.length)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


class VideoTransformer(StreamingNetwork):
    """Pictures (B, T, C, H, W) -> steps (B, T / frames, D) and maps (B, D, H / patch, W / patch).

    ``embed`` makes a vector of each tubelet of ``frames`` x ``patch`` x ``patch``; ``space`` goes over the patches of
    each step, whose mean is the step; ``time`` goes over the steps. ``chunk`` is ``frames``.
    """

    Config = Config
    takes = "pictures"

    def __init__(self, config: Config, shape: tuple[int, ...]) -> None:
        super().__init__(config, shape)
        frames, channels, height, width = check_pictures("video_transformer", shape, config.patch)
        if height % config.patch or width % config.patch or frames % config.frames:
            raise UsageError(
                f"video_transformer: expected multiples of {config.frames} frames and of {config.patch} pixels, "
                f"got {frames} frames of {width} x {height} pixels",
                hint="another patch or number of frames, or prepare the clips in another size",
            )
        if config.size % config.heads:
            raise UsageError(f"video_transformer: expected a size that {config.heads} heads share, got {config.size}")
        self.size = self.map_size = config.size
        self.map_stride, self.chunk, self.steps = config.patch, config.frames, frames // config.frames
        self.streams, self.heads = config.causal, config.heads
        self.kept = config.window - 1 if config.causal else 0
        self.memory = self.kept * config.time_layers if config.causal else None
        self.rows = height // config.patch
        patches = self.rows * (width // config.patch)
        self.embed = nn.Linear(channels * config.frames * config.patch**2, config.size)
        self.places = nn.Parameter(torch.randn(patches, config.size) * 0.02)
        self.space = nn.ModuleList(Layer(config) for _ in range(config.space_layers))
        self.time = nn.ModuleList(Layer(config, self.kept) for _ in range(config.time_layers))
        self.known = Memory(self.kept, (1,)) if config.causal else None
        self.space_norm, self.time_norm = nn.LayerNorm(config.size), nn.LayerNorm(config.size)
        self.name_memories()

    def follow_widths(self) -> None:
        """See `Network.follow_widths`."""
        self.size = self.map_size = self.time_norm.normalized_shape[0]

    def run(self, x: Tensor, before: State, after: State) -> Features:
        """Features of the next frames."""
        patches = self.embed(self._tubelets(x)) + self.places
        steps = patches.shape[1]
        patches = patches.flatten(0, 1)
        for layer in self.space:
            patches = layer(patches, before, after)
        patches = self.space_norm(patches).unflatten(0, (-1, steps))
        y, bias = patches.mean(2), self._bias(patches, before, after)
        for layer in self.time:
            y = layer(y, before, after, bias)
        maps = patches[:, -1].transpose(1, 2).unflatten(2, (self.rows, -1))
        return Features(self.time_norm(y), maps)

    def _tubelets(self, x: Tensor) -> Tensor:
        """(B, T / frames, patches, numbers of a tubelet)."""
        x = x.unflatten(4, (-1, self.map_stride)).unflatten(3, (-1, self.map_stride)).unflatten(1, (-1, self.chunk))
        return x.permute(0, 1, 4, 6, 2, 3, 5, 7).flatten(4).flatten(2, 3)

    def _bias(self, patches: Tensor, before: State, after: State) -> Tensor:
        """What is added to the attention of steps (B, heads, T, kept + T): farther ones less, unseen ones never."""
        steps, device = patches.shape[1], patches.device
        apart = torch.arange(steps, device=device)[:, None] + self.kept - torch.arange(self.kept + steps, device=device)
        slopes = 2.0 ** (-8.0 * torch.arange(1, self.heads + 1, device=device) / self.heads)
        bias = -slopes[:, None, None] * apart.abs()
        if self.known is None:
            return bias[None].to(patches.dtype)
        known = self.known(torch.ones_like(patches[:, :, 0, :1]).transpose(1, 2).float(), before, after)
        seen = ((apart >= 0) & (apart <= self.kept))[None, None] & (known[:, :, None] > 0)
        return bias[None].masked_fill(~seen, float("-inf")).to(patches.dtype)


PART = VideoTransformer
