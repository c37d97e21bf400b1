"""Vectors that are near for the same individual and far for others.

Unit vectors (B, size) from pooled features, learned by a margin between classes on the sphere (ArcFace: Deng et al.
2019, arXiv 1801.07698; CosFace: Wang et al. 2018, arXiv 1801.09414) or by drawing a batch's vectors of one individual
together (supervised contrastive: Khosla et al. 2020, arXiv 2004.11362). What is learned so tells individuals apart that
training never saw.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from onlooker.learning.datasets.clips import Clip
from onlooker.learning.datasets.manifest import Task
from onlooker.learning.metrics import told
from onlooker.learning.metrics.verification import pairs_of, verification
from onlooker.learning.network import Features
from onlooker.learning.task import Array, Calibration, Head, Metric, Pool, TaskFacts, pooled
from onlooker.learning.tasks._example import Example
from onlooker.learning.tasks._labels import label_of
from onlooker.learning.tasks._scored import LayerConfig, layers

__all__ = ["PART", "Config", "Embedding"]


class Config(LayerConfig):
    """Settings of the head.

    Attributes:
        pool: how steps become one: their mean, the last, or the greatest of each number.
        size: numbers of a vector.
        loss: ``arcface``, ``cosface`` or ``contrastive``; the last needs batches in which individuals are there twice.
        margin: of ``arcface`` in radians, of ``cosface`` in cosine.
        scale: what cosines are multiplied by before the softmax; None: by the number of individuals, as AdaCos has it
            (Zhang et al. 2019, arXiv 1905.00292), at least 10.
        temperature: of ``contrastive``.
        space: name of the vector space when deployed; None: the names of bundle and task.
        every_seconds: length of the observations when deployed.
    """

    head: Literal["embedding"] = "embedding"
    pool: Pool = "mean"
    size: int = Field(default=128, ge=2, le=65_536)
    loss: Literal["arcface", "cosface", "contrastive"] = "arcface"
    margin: float = Field(default=0.2, ge=0, lt=1.5)
    scale: float | None = Field(default=None, gt=0, le=1000)
    temperature: float = Field(default=0.1, gt=0, le=10)
    space: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$")
    every_seconds: float = Field(default=1.0, gt=0, le=3600)


class Embedding(Head):
    """Pooled features (B, T, D) to unit vectors (B, size); labels are numbers of individuals (n,) int64.

    Individuals of the training part have the numbers of ``facts.classes``; any other has a larger number of its own.

    Metrics over all pairs of samples: ``verification_auc``; ``eer``, the equal error rate; ``tar_at_far_1``, the share
    of pairs of one individual that is accepted where 1 % of the others is; ``rank1``, the share of samples whose
    nearest other is of the same individual, among those that have such.
    """

    Config = Config
    kinds: ClassVar[tuple[str, ...]] = ("identity", "class")
    main: ClassVar[Metric] = Metric("verification_auc")
    task: ClassVar[str] = "embedding"

    def __init__(self, config: Config, facts: TaskFacts, size: int, map_size: int | None = None) -> None:
        super().__init__(config, facts, size, map_size)
        self.config, self.classes = config, len(facts.classes)
        self.answer = layers(config, size, config.size)
        self.scale = config.scale or max(10.0, math.sqrt(2) * math.log(max(2, self.classes - 1)))
        if config.loss != "contrastive":
            self.centres = nn.Parameter(torch.empty(self.classes, config.size))
            nn.init.xavier_normal_(self.centres)

    def forward(self, features: Features) -> Tensor:
        """Unit vectors (B, size)."""
        return functional.normalize(self.answer(pooled(features.steps, self.config.pool)).float(), dim=-1)

    def loss(self, raw: Tensor, values: Tensor) -> Tensor:
        """(B,); 0 for individuals that are not of the training part, or alone in the batch of ``contrastive``."""
        if self.config.loss == "contrastive":
            return _contrastive(raw.float(), values, self.config.temperature)
        cosines = raw.float() @ functional.normalize(self.centres.float(), dim=-1).T
        seen = (values >= 0) & (values < self.classes)
        true = values.clamp(0, self.classes - 1)
        own = cosines.gather(1, true[:, None])
        moved = _turned(own, self.config.margin) if self.config.loss == "arcface" else own - self.config.margin
        logits = self.scale * cosines.scatter(1, true[:, None], moved)
        return functional.cross_entropy(logits, true, reduction="none") * seen

    @classmethod
    def encode(cls, facts: TaskFacts, config: Config, clips: Sequence[Clip]) -> tuple[Array, NDArray[np.bool_]]:
        """Numbers of individuals (n,) int64, -1 where there is none."""
        number = {name: n for n, name in enumerate(facts.classes)}
        names = [label_of(facts, config, clip) for clip in clips]
        values = [-1 if n is None else number.get(n, len(number) + _number_of(n)) for n in names]
        return np.array(values, np.int64), np.array([n is not None for n in names], np.bool_)

    @classmethod
    def metrics(cls, raw: Array, values: Array, facts: TaskFacts, calibration: Calibration) -> dict[str, float]:
        """See the class; ``raw`` (n, size), ``values`` (n,)."""
        pairs = pairs_of(raw, values)
        found = verification(pairs)
        made: dict[str, float | None] = {"rank1": pairs.nearest}
        if found is not None:
            made |= {"verification_auc": found.auc, "eer": found.equal_error, "tar_at_far_1": found.accepted}
        return told(made)

    @classmethod
    def calibrate(cls, raw: Array, values: Array, facts: TaskFacts) -> Calibration:
        """``threshold``: the cosine with the equal error rate."""
        found = verification(pairs_of(raw, values))
        return {} if found is None else {"threshold": round(found.threshold, 4)}

    @classmethod
    def decode(cls, raw: Array, facts: TaskFacts, calibration: Calibration) -> list[Any]:
        """None for each: a vector names nobody."""
        return [None] * len(raw)

    @classmethod
    def output(cls, facts: TaskFacts, config: Config, calibration: Calibration) -> dict[str, Any]:
        """Of the task ``embedding``."""
        space = config.space or re.sub("[^A-Za-z0-9]+", "-", facts.name).strip("-") or cls.task
        made = {"task": cls.task, "size": config.size, "space": space, "unit_length": True}
        return made | {"every_seconds": config.every_seconds}


def _number_of(name: str) -> int:
    """A number of its own, the same in every process."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=6).digest(), "big")


def _turned(cosine: Tensor, margin: float) -> Tensor:
    """The cosine of the angle and the margin together; beyond half a turn it goes on falling in a line."""
    sine = (1 - cosine**2).clamp(min=1e-9).sqrt()
    turned = cosine * math.cos(margin) - sine * math.sin(margin)
    return torch.where(cosine > math.cos(math.pi - margin), turned, cosine - margin * math.sin(math.pi - margin))


def _contrastive(vectors: Tensor, values: Tensor, temperature: float) -> Tensor:
    """(B,): mean over the mates of each of the negative logarithm of its share among all others."""
    itself = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    logits = (vectors @ vectors.T / temperature).masked_fill(itself, -1e9)
    mates = (values[:, None] == values) & ~itself
    shares = functional.log_softmax(logits, -1)
    return -(shares * mates).sum(-1) / mates.sum(-1).clamp(min=1)


def _apart(values: Array, size: int) -> Array:
    """Vectors of a direction for each individual, none the same as another."""
    vectors = np.eye(size, dtype=np.float32)[values % size]
    return vectors + np.random.default_rng(0).normal(0, 0.01, vectors.shape).astype(np.float32)


EXAMPLE = Example(
    TaskFacts("who", Task(kind="identity"), ("Ann", "Bob", "Eve"), (4, 4, 4)),
    ("Ann", "Bob", "Eve"),
    lambda values, facts: _apart(values, Config().size),
)
PART = Embedding
