"""A CNN over log-mel pictures of sound, its maps pooled over the bands, so that steps over time are left.

Kong et al. 2020, PANNs: large-scale pretrained audio neural networks, arXiv 1912.10211, with residual stages.
"""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn

from onlooker.core.errors import UsageError
from onlooker.learning.network import Features, Network
from onlooker.learning.networks._blocks import Body, BodyConfig, Pooling, projected, width_of

EXAMPLE: dict[str, Any] = {"config": {"widths": (8, 16)}, "shape": (1, 24, 16)}
VARIANTS: tuple[dict[str, Any], ...] = ({"widths": (8, 16), "pool": "max", "size": 12, "form": "plain"},)


class Config(BodyConfig):
    """Settings of `AudioCnn`; those of its convolutions are told in `BodyConfig`."""

    network: Literal["audio_cnn"] = "audio_cnn"


class AudioCnn(Network):
    """Log-mel (B, 1, F, M) -> steps (B, ceil(F / stride), D); ``stride`` is stem * 2 ** (len(widths) - 1).

    Each of the M bands is normalised by itself; ``body`` makes maps (B, widths[-1], T, M'); the mean or the largest of
    their bands makes T steps; and ``project`` makes D numbers of each where ``size`` is given.
    """

    Config = Config
    takes = "log_mel"

    def __init__(self, config: Config, shape: tuple[int, ...]) -> None:
        super().__init__(config, shape)
        if len(shape) != 3 or shape[0] != 1 or min(shape) < 1:
            raise UsageError(f"audio_cnn: expected log-mel of the shape (1, windows, bands), got {tuple(shape)}")
        _, windows, bands = shape
        if min(windows, bands) < config.stride:
            raise UsageError(
                f"audio_cnn: expected at least {config.stride} windows and bands, got {windows} and {bands}",
                hint="longer sound, more bands, fewer widths, or a smaller stem",
            )
        self.bands = nn.BatchNorm1d(bands)
        self.body = Body(config, 1)
        self.size = config.size or config.widths[-1]
        self.project = nn.Linear(config.widths[-1], self.size) if config.size else nn.Identity()
        self.dropout = nn.Dropout(config.dropout)
        self.pool: Pooling = config.pool
        self.steps = -(-windows // config.stride)

    def follow_widths(self) -> None:
        """See `Network.follow_widths`."""
        self.size = projected(self.project, width_of(self.body))

    def forward(self, x: Tensor) -> Features:
        """Features of log-mel (B, 1, F, M)."""
        return self._features(self.body(self._even(x)))

    @property
    def cuts(self) -> int:
        """See `Network.cuts`."""
        return self.body.cuts

    def trunk(self, x: Tensor, cut: int) -> Tensor:
        """(B, C, T, M') after some stages."""
        return self.body.trunk(self._even(x), cut)

    def rest(self, maps: Tensor, cut: int) -> Features:
        """See `Network.rest`."""
        return self._features(self.body.rest(maps, cut))

    def _even(self, x: Tensor) -> Tensor:
        return self.bands(x[:, 0].transpose(1, 2)).transpose(1, 2)[:, None]

    def _features(self, maps: Tensor) -> Features:
        steps = (maps.mean(3) if self.pool == "mean" else maps.amax(3)).transpose(1, 2)
        return Features(self.dropout(self.project(steps)))


PART = AudioCnn
