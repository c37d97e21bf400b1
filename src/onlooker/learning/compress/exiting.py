"""Early exits: a small head on the maps of an inner stage, and from which confidence on its answer stands.

Teerapittayanon et al. 2016, BranchyNet: fast inference via early exiting from deep neural networks, arXiv 1709.01686.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from onlooker.learning.model import Model
from onlooker.learning.network import Network
from onlooker.learning.task import Calibration
from onlooker.learning.views import View, batch_of_views

__all__ = ["Choice", "Early", "ExitHead", "Judging", "Late", "choose"]

Floats = NDArray[np.float32]


class ExitHead(nn.Module):
    """Maps (B, C, H, W) or (B, C, T, H, W) of an inner stage -> logits (B, classes) of each task.

    The means of ``cells`` x ``cells`` parts of each map, over all of T, and its greatest value go through one hidden
    layer.

    Args:
        shape: of one sample's maps, without the batch.
        classes: of each task, how many.
        cells: parts of a map along each side.
        hidden: numbers of the hidden layer.
        dropout: share of them that is left out in training.
    """

    def __init__(
        self, shape: Sequence[int], classes: Mapping[str, int], *, cells: int, hidden: int, dropout: float
    ) -> None:
        super().__init__()
        channels, (height, width) = shape[0], shape[-2:]
        rows, columns = min(cells, height), min(cells, width)
        self.register_buffer("rows", _means(height, rows), persistent=False)
        self.register_buffer("columns", _means(width, columns).T.contiguous(), persistent=False)
        self.rows: Tensor
        self.columns: Tensor
        size = channels * (rows * columns + 1)
        self.norm, self.hidden = nn.BatchNorm1d(size), nn.Linear(size, hidden)
        self.active, self.dropout = nn.ReLU(), nn.Dropout(dropout)
        self.answers = nn.ModuleDict({name: nn.Linear(hidden, count) for name, count in classes.items()})

    def forward(self, maps: Tensor) -> dict[str, Tensor]:
        """Logits by task."""
        plane = maps.mean(2) if maps.ndim == 5 else maps
        parts = (self.rows @ plane @ self.columns).flatten(1)
        greatest = maps.flatten(2).amax(2)
        x = self.dropout(self.active(self.hidden(self.norm(torch.cat([parts, greatest], 1)))))
        return {name: answer(x) for name, answer in self.answers.items()}


def _means(side: int, cells: int) -> Tensor:
    """(cells, side): the mean of each part of a side."""
    made = torch.zeros(cells, side)
    for cell in range(cells):
        first, last = cell * side // cells, -(-(cell + 1) * side // cells)
        made[cell, first:last] = 1 / (last - first)
    return made


class Early(nn.Module):
    """The part of the bundle's network up to the exit: maps, the exit's logits (1, classes) by task, and how confident
    it is (1,): the probability of its most probable class, of several tasks the least.

    Args:
        model: with one input.
        name: of the input.
        head: of the exit.
        cut: where it stands; see `Network.trunk`.
        scales: by task, what the exit's logits are multiplied by, so that the full network's temperature fits them.
        temperatures: by task, the full network's.
        views: of pictures that are answered together; see `onlooker.learning.views`.
        lone: the bundle's tensor has no axis of time.
    """

    def __init__(
        self, model: Model, name: str, head: ExitHead, cut: int, scales: Mapping[str, float],
        temperatures: Mapping[str, float], *, views: Sequence[View], lone: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.net, self.head, self.cut = model.network(name), head, cut
        self.scales, self.temperatures = dict(scales), dict(temperatures)
        self.views, self.lone = tuple(views), lone

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Maps, logits in the order of the tasks, confidence; of the bundle's tensor."""
        x = x[:, None] if self.lone else x
        maps = self.net.trunk(batch_of_views(x, self.views), self.cut)
        raw = {n: r.mean(0, keepdim=True) * self.scales[n] for n, r in self.head(maps).items()}
        sure = [(r / self.temperatures[n]).softmax(1).amax(1) for n, r in raw.items()]
        return maps, *raw.values(), torch.stack(sure).amin(0)


class Late(nn.Module):
    """The rest of the bundle's network: maps at the exit -> logits (1, classes) of each task.

    Args:
        model: with one input.
        name: of the input.
        cut: where the exit stands.
    """

    def __init__(self, model: Model, name: str, cut: int) -> None:
        super().__init__()
        self.model, self.name, self.cut = model, name, cut

    def forward(self, maps: Tensor) -> tuple[Tensor, ...]:
        """Of the maps that `Early` gave."""
        features = self.model.network(self.name).rest(maps, self.cut)
        return tuple(r.float().mean(0, keepdim=True) for r in self.model.answer({self.name: features}).raw.values())


@dataclass(frozen=True, slots=True)
class Judging:
    """What the full network and an exit answer to n samples of the validation part.

    Args:
        early: by task, the exit's logits (n, classes), scaled for the full network's temperature.
        full: by task, the full network's.
        values, known: by task, class numbers (n,) and where there are any.
        sure: (n,): the exit's confidence.
    """

    early: dict[str, Floats]
    full: dict[str, Floats]
    values: dict[str, NDArray[np.int64]]
    known: dict[str, NDArray[np.bool_]]
    sure: Floats

    def answers(self, threshold: float) -> dict[str, Floats]:
        """By task the logits (n, classes) with an exit from that confidence on."""
        leaves = (self.sure >= threshold)[:, None]
        return {n: np.where(leaves, e, self.full[n]) for n, e in self.early.items()}

    def drops(self) -> tuple[Floats, NDArray[np.float64]]:
        """Confidences from the greatest down (n,), and the share (n,) of answers that are lost where all that are at
        least so confident leave, right by the full network and wrong by the exit: of the task that loses most.

        What the exit has right by chance where the full network is wrong does not make up for it.
        """
        order = np.argsort(-self.sure, kind="stable")
        worst = np.full(len(order), -np.inf)
        for name, early in self.early.items():
            known, true = self.known[name], self.values[name]
            lost = ((self.full[name].argmax(1) == true) & (early.argmax(1) != true)).astype(np.int64)
            lost = np.where(known, lost, 0)
            worst = np.maximum(worst, np.cumsum(lost[order]) / max(1, int(known.sum())))
        return self.sure[order], worst


@dataclass(frozen=True, slots=True)
class Choice:
    """From which confidence on looks leave.

    Args:
        threshold: that.
        share: of the samples that leave.
        drop: right answers that are lost, as a share, at the task that loses most: accuracy falls by no more.
    """

    threshold: float
    share: float
    drop: float


def choose(judging: Judging, max_drop: float) -> Choice | None:
    """The threshold by which most leave without losing more than ``max_drop`` (a share); None where none may leave.

    It lies halfway between the last that leaves and the first that does not.
    """
    sure, drops = judging.drops()
    # those of equal confidence leave together
    last = np.append(sure[:-1] > sure[1:], True)
    fits = np.flatnonzero(last & (drops <= max_drop + 1e-9))
    if not len(fits):
        return None
    place = int(fits[-1])
    below = float(sure[place + 1]) if place + 1 < len(sure) else 0.0
    threshold = round((float(sure[place]) + below) / 2, 6)
    leaves = judging.sure >= threshold
    if int(leaves.sum()) != place + 1:
        threshold = float(sure[place])
    return Choice(threshold, (place + 1) / len(sure), float(drops[place]))


def temperature_of(calibration: Mapping[str, Calibration], task: str) -> float:
    """Of the full network's answers to a task."""
    return float(calibration.get(task, {}).get("temperature", 1.0))


def maps_shape(net: Network, x: Tensor, cut: int) -> tuple[int, ...]:
    """Of one sample's maps at a cut."""
    with torch.no_grad():
        return tuple(net.trunk(x[:1], cut).shape[1:])
