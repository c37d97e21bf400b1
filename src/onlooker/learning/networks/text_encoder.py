"""Words or sentences to one step: projected, or learned by hashed numbers, and pooled.

Pooling by attention: Yang et al. 2016, Hierarchical attention networks for document classification, NAACL; embeddings
of hashed words and pairs of words: Joulin et al. 2017, Bag of tricks for efficient text classification,
arXiv 1607.01759.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from torch import Tensor, nn

from onlooker.core.errors import UsageError
from onlooker.learning.network import Features, Network, NetworkConfig
from onlooker.learning.networks._recurrent import Recurrent

EXAMPLE: dict[str, Any] = {"config": {"size": 12}, "shape": (7, 10)}
VARIANTS: tuple[dict[str, Any], ...] = ({"size": 12, "recurrent": True, "pool": "mean"},)

_MOST_BUCKETS = 1 << 20


class Config(NetworkConfig):
    """Settings of `TextEncoder`.

    Attributes:
        embedding: ``frozen``: the input are vectors that another model made; ``learned``: numbers of words and pairs of
            words, as one row (1, L), with 0 where there is none.
        places: of ``learned``: L, how many words and pairs of a text are looked at.
        buckets: of ``learned``: how many vectors there are; higher numbers share them.
        size: D, numbers of a step.
        recurrent: a GRU goes over the words both ways before they are pooled.
        pool: ``attention``, learned, or the ``mean``.
        dropout: share of the vectors' numbers left out in training.
    """

    network: Literal["text_encoder"] = "text_encoder"
    embedding: Literal["frozen", "learned"] = "frozen"
    places: int = Field(default=64, ge=1, le=4096)
    buckets: int = Field(default=20_000, ge=2, le=_MOST_BUCKETS)
    size: int = Field(default=128, ge=1, le=4096)
    recurrent: bool = False
    pool: Literal["attention", "mean"] = "attention"
    dropout: float = Field(default=0.0, ge=0, lt=1)

    def words(self) -> int | None:
        """See `NetworkConfig.words`."""
        return self.places if self.embedding == "learned" else None

    def shallower(self) -> dict[str, Any] | None:
        """Without a recurrent network; see `NetworkConfig.shallower`."""
        return {"recurrent": False} if self.recurrent else None


class TextEncoder(Network):
    """Text (B, L, E), or (B, 1, L) numbers of words -> steps (B, 1, D). Places of zeros are empty and not looked at.

    ``project`` (or ``vectors`` of hashed numbers) makes (B, L, D), ``recurrent`` goes over them where it is asked for,
    and ``score`` weighs each place for the weighted mean.
    """

    Config = Config
    takes = "text"

    def __init__(self, config: Config, shape: tuple[int, ...]) -> None:
        super().__init__(config, shape)
        if len(shape) != 2 or min(shape) < 1:
            raise UsageError(f"text_encoder: expected text of the shape (places, numbers), got {tuple(shape)}")
        if config.embedding == "learned" and shape[0] != 1:
            raise UsageError(
                f"text_encoder: learned embeddings take one row of numbers, got {shape[0]}",
                hint="embedding: frozen, for vectors",
            )
        self.size, self.steps = config.size, 1
        learned = config.embedding == "learned"
        self.vectors = nn.Embedding(config.buckets, config.size) if learned else None
        self.project = None if learned else nn.Sequential(nn.LayerNorm(shape[1]), nn.Linear(shape[1], config.size))
        if config.recurrent and config.size % 2:
            raise UsageError(f"text_encoder: expected an even size for a GRU both ways, got {config.size}")
        half = config.size // 2
        self.recurrent = Recurrent("gru", config.size, half, both_ways=True) if config.recurrent else None
        self.score = None
        if config.pool == "attention":
            self.score = nn.Sequential(
                nn.Linear(config.size, config.size), nn.Tanh(), nn.Linear(config.size, 1, bias=False)
            )
        self.dropout = nn.Dropout(config.dropout)

    def follow_widths(self) -> None:
        """See `Network.follow_widths`."""
        if self.recurrent is not None:
            self.size = self.recurrent.size
        else:
            made = self.project[-1].out_features if self.project is not None else self.vectors.embedding_dim  # type: ignore[union-attr]
            self.size = int(made)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Features:
        """Features of text (B, L, E), or (B, 1, L) numbers of words."""
        there = (x != 0).any(2, keepdim=True) if self.vectors is None else (x[:, 0] != 0)[:, :, None]
        y = self.dropout(self.embedded(x)) * there
        if self.recurrent is not None:
            y = self.recurrent(y, {}, {})
        scores = there * 0.0 if self.score is None else self.score(y).float()
        weights = scores.masked_fill(~there, -1e4).softmax(1) * there
        return Features((weights * y).sum(1, keepdim=True))

    def embedded(self, x: Tensor) -> Tensor:
        """(B, L, D) of text (B, L, E), or of (B, 1, L) numbers of words, each place by itself."""
        if self.vectors is not None:
            return self.vectors(x[:, 0].long() % self.vectors.num_embeddings)
        assert self.project is not None
        return self.project(x)


PART = TextEncoder
