"""Regions compared with the most similar ones of normal footage.

After Reiss and Hoshen 2022, Attribute-based representations for accurate and interpretable video anomaly detection
(arXiv 2212.00789): few attributes that mean something, each compared with its nearest neighbours on normal footage,
brought to one measure and added up. Here the attributes are a region's motion (speed and direction, after their
velocity features) and its moving size; instead of a detector's boxes, regions on a grid are compared, so that the whole
is one network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from onlooker.core.errors import UsageError
from onlooker.learning.anomaly.motion import CELL, FACTS, WINDOW, MotionCells, cell_grid
from onlooker.learning.anomaly.recipe import Neighbours, Pictures

__all__ = ["REASONS", "Moving", "NeighbourScore", "Scores", "find_scale", "held_out_scores", "moving_regions"]

REASONS: Final = ("speed", "direction", "size")
"""Labels of the shares that `NeighbourScore` gives."""
_LEAST_ROWS = 200
_SLOWEST = 0.05
_NEAR = 3

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Moving:
    """The moving regions of one clip of footage.

    Args:
        ticks: (n,): of each region's picture.
        rows: (n,): of the grid.
        facts: (n, 7): see `MotionCells`.
        seen: all ticks that were looked at, in order.
    """

    ticks: NDArray[np.int64]
    rows: NDArray[np.int64]
    facts: Floats
    seen: NDArray[np.int64]


def moving_regions(looks: Sequence[tuple[int, Floats]], columns: int, least: float) -> Moving:
    """Keep the regions of which at least a share moves.

    Args:
        looks: tick and (regions, 7) facts of each picture.
        columns: of the grid.
        least: see above.
    """
    kept = [(tick, np.flatnonzero(facts[:, 0] > least), facts) for tick, facts in looks]
    return Moving(
        np.concatenate([np.full(len(cells), tick) for tick, cells, _ in kept] or [np.zeros(0)]).astype(np.int64),
        np.concatenate([cells // columns for _, cells, _ in kept] or [np.zeros(0)]).astype(np.int64),
        np.concatenate([facts[cells] for _, cells, facts in kept] or [np.zeros((0, FACTS))]).astype(np.float32),
        np.array([tick for tick, _ in looks], np.int64),
    )


def find_scale(footage: Sequence[Moving], rows: int) -> Floats:
    """(rows,): the usual speed in each row of the grid, in pixels a picture: a line through the rows' medians.

    What is farther away, higher up in the picture, seems slower; speeds are compared after division by this.

    Raises:
        UsageError: nothing moves.
    """
    row = np.concatenate([m.rows for m in footage])
    facts = np.concatenate([m.facts for m in footage])
    if not len(row):
        raise UsageError("nothing moves in the normal footage", hint="use method: {method: prediction}")
    speed = facts[:, 1] / facts[:, 0]
    counts = np.bincount(row, minlength=rows)
    known = [r for r in range(rows) if counts[r] >= _LEAST_ROWS]
    if len(known) < 2:
        return np.full(rows, max(_SLOWEST, float(np.median(speed))), np.float32)
    medians = [float(np.median(speed[row == r])) for r in known]
    slope, offset = np.polyfit(known, medians, 1, w=np.sqrt(counts[known]))
    # beyond the rows that were seen the line is not trusted
    places = np.clip(np.arange(rows), known[0], known[-1])
    return np.maximum(slope * places + offset, _SLOWEST).astype(np.float32)


class NeighbourScore(nn.Module):
    """How unusual the most unusual region of a picture is, where it is, and why.

    ``forward`` takes clips (1, frames, 1, height, width) of grey in 0..1 and gives ``score`` (1, 1); ``region``
    (1, 4): left, top, right, bottom as shares of the picture; ``reasons`` (1, 3): the shares of `REASONS`.

    The score of a region is the mean distance of its motion to the nearest normal ones, in units of ``units[0]``, and
    the same of its size in ``units[1]``: 2 is what the most unusual region of a normal picture has at the median (1
    where only one of them is compared).

    Args:
        config: of the method.
        pictures: their size.
        scale: (rows,), see `find_scale`.
    """

    memory: Tensor
    deviations: Tensor
    units: Tensor
    _weights: Tensor
    _scale: Tensor
    _rows: Tensor
    _centres: Tensor
    _half: Tensor

    def __init__(self, config: Neighbours, pictures: Pictures, scale: Floats) -> None:
        super().__init__()
        self._config = config
        self.cells = MotionCells(config)
        rows, columns = cell_grid(pictures.width, pictures.height)
        self.register_buffer("_scale", torch.from_numpy(scale))
        down, across = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        sides = torch.tensor([pictures.width, pictures.height])
        centres = (torch.stack([across, down], -1).reshape(-1, 2) * CELL + 0.5) / sides
        self.register_buffer("_rows", down.reshape(-1))
        self.register_buffer("_centres", centres)
        self.register_buffer("_half", torch.tensor([WINDOW[1], WINDOW[0]]) / 2 / sides)
        self.register_buffer("memory", torch.zeros(config.memory, 6))
        self.register_buffer("deviations", torch.ones(6))
        self.register_buffer("units", torch.ones(2))
        self.register_buffer("_weights", torch.tensor([float(a in config.attributes) for a in ("motion", "size")]))

    def features(self, facts: Tensor, rows: Tensor) -> Tensor:
        """(n, 6): motion across, motion down, sum of speed, mean speed, moving share, moving share around; of (n, 7)
        facts in rows (n,) of the grid.
        """
        scale = self._scale[rows]
        mean = facts[:, 5] / scale / (facts[:, 4] + 0.05)
        parts = [facts[:, 2] / scale, facts[:, 3] / scale, facts[:, 1] / scale, mean, facts[:, 0], facts[:, 6]]
        return torch.stack(parts, 1)

    def remember(self, footage: Sequence[Moving], seed: int) -> None:
        """Fill the memory with regions drawn from normal footage.

        Raises:
            UsageError: there are fewer than are compared.
        """
        every = [self.features(torch.from_numpy(m.facts), torch.from_numpy(m.rows)) for m in footage]
        features = torch.cat(every)
        if len(features) < max(16, self._config.nearest):
            raise UsageError(
                f"only {len(features)} regions move in the normal footage", hint="give more of it, or lower least"
            )
        deviations = features.std(0).clamp(min=1e-3)
        chosen = np.random.default_rng(seed).permutation(len(features))[: self._config.memory]
        self.memory = features[torch.from_numpy(chosen)] / deviations
        self.deviations = deviations

    def distances(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(n,) distances of motion and of size to the normal ones, and the share of direction in the first."""
        own, memory, count = features / self.deviations, self.memory, self._config.nearest
        apart = (own[:, None, :2] - memory[None, :, :2]).square().sum(2)
        along = (_length(own)[:, None] - _length(memory)[None]).square()
        amount = (own[:, None, 2:4] - memory[None, :, 2:4]).square().sum(2)
        motion, places = torch.topk(apart + amount, count, dim=1, largest=False)
        turned = (apart - along).clamp(min=0).gather(1, places)
        size = (own[:, None, 4:] - memory[None, :, 4:]).square().sum(2)
        nearest = torch.topk(size, count, dim=1, largest=False).values
        share = turned.sum(1) / motion.sum(1).clamp(min=1e-9)
        return motion.sqrt().mean(1), nearest.sqrt().mean(1), share

    def forward(self, clip: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See the class."""
        facts = self.cells(clip)
        fast = facts[:, 1] / self._scale[self._rows]
        _, chosen = torch.topk(fast, min(self._config.regions, len(facts)))
        facts, centres = facts[chosen], self._centres[chosen]
        motion, size, turned = self.distances(self.features(facts, self._rows[chosen]))
        moving = (facts[:, 0] > self._config.least).to(facts.dtype)
        parts = torch.stack([motion * (1 - turned), motion * turned, size], 1)
        parts = parts * (self._weights / self.units)[[0, 0, 1]] * moving[:, None]
        scores = parts.sum(1)
        score, best = scores.max(0, keepdim=True)
        region = self._around(scores, score, centres, best)
        return score[None], region[None], parts[best] / score.clamp(min=1e-9)[:, None]

    def measured(self, parts: Tensor) -> Tensor:
        """(n, 2) distances of motion and size, each in its unit; what is not compared is 0."""
        return parts * (self._weights / self.units)

    def _around(self, scores: Tensor, score: Tensor, centres: Tensor, best: Tensor) -> Tensor:
        """(4,): the box around the best region and those near it that have at least half of its score."""
        near = ((centres - centres[best]).abs() <= _NEAR * 2 * self._half).all(1) & (scores >= score / 2)
        own = torch.where(near[:, None], centres, centres[best])
        low, high = own.min(0).values - self._half, own.max(0).values + self._half
        return torch.cat([low, high]).clamp(0, 1)


def _length(motion: Tensor) -> Tensor:
    return torch.sqrt(motion[:, :2].square().sum(1) + 1e-12)


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of one clip of footage: ``ticks`` (n,) and ``values`` (n,)."""

    ticks: NDArray[np.int64]
    values: NDArray[np.float64]


def held_out_scores(model: NeighbourScore, footage: Sequence[Moving], folds: int, seed: int) -> list[Scores]:
    """Score normal footage by memories that hold none of the same clip, and set the model's units by it.

    Args:
        model: its memory is filled with all footage at the end.
        footage: clips of normal footage.
        folds: each clip is left out in one of so many rounds.
        seed: of the memory.
    """
    parts: list[tuple[Moving, Tensor]] = []
    for fold in range(min(folds, len(footage))):
        model.remember([m for n, m in enumerate(footage) if n % folds != fold], seed)
        parts += [(m, _region_parts(model, m)) for n, m in enumerate(footage) if n % folds == fold]
    tops = torch.cat([_tops(m, p) for m, p in parts])
    model.units = tops[(tops > 0).all(1)].median(0).values.clamp(min=1e-6)
    model.remember(footage, seed)
    made = {id(m): _tick_scores(m, model.measured(p)) for m, p in parts}
    return [made[id(m)] for m in footage]


@torch.no_grad()
def _region_parts(model: NeighbourScore, moving: Moving) -> Tensor:
    """(n, 2): distances of each moving region."""
    features = model.features(torch.from_numpy(moving.facts), torch.from_numpy(moving.rows))
    made = [torch.stack(model.distances(part)[:2], 1) for part in features.split(256)]
    return torch.cat(made) if made else torch.zeros(0, 2)


def _tops(moving: Moving, parts: Tensor) -> Tensor:
    """(ticks, 2): the largest of each picture."""
    return torch.from_numpy(np.stack([_highest(moving, parts[:, part].numpy()) for part in (0, 1)], 1))


def _tick_scores(moving: Moving, parts: Tensor) -> Scores:
    return Scores(moving.seen, _highest(moving, parts.sum(1).numpy()).astype(np.float64))


def _highest(moving: Moving, values: Floats) -> Floats:
    made = np.zeros(len(moving.seen), np.float32)
    np.maximum.at(made, np.searchsorted(moving.seen, moving.ticks), values)
    return made
