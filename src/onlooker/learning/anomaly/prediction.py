"""A network that foretells the next picture; where it is wrong, something is unusual.

After Liu et al. 2018, Future frame prediction for anomaly detection (arXiv 1712.09867), without its losses of flow and
an adversary: a small U-Net is trained on normal footage, and its squared error is averaged over regions and compared
with what is normal at the same place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from onlooker.learning.anomaly.recipe import Pictures, Prediction

__all__ = ["PREDICTION_REASONS", "PredictionScore", "train_predictor"]

PREDICTION_REASONS: Final = ("picture",)
_WINDOW, _STEP = 12, 6

Floats = NDArray[np.float32]


class Foreteller(nn.Module):
    """The next picture: (n, frames - 1, height, width) to (n, 1, height, width), as the last one and a change of it.

    Args:
        before: pictures that it sees.
        widths: channels at full and half size; twice the second at a quarter.
    """

    def __init__(self, before: int, widths: tuple[int, int]) -> None:
        super().__init__()
        full, half = widths
        self.at_full = _convolved(before, full, 1)
        self.at_half = _convolved(full, half, 2)
        self.at_quarter = _convolved(half, 2 * half, 2)
        self.up_half = _convolved(3 * half, half, 1)
        self.up_full = _convolved(half + full, full, 1)
        self.change = nn.Conv2d(full, 1, 3, padding=1)

    def forward(self, seen: Tensor) -> Tensor:
        """See the class."""
        full = self.at_full(seen)
        half = self.at_half(full)
        deep = functional.interpolate(self.at_quarter(half), size=half.shape[-2:])
        half = self.up_half(torch.cat([deep, half], 1))
        full = self.up_full(torch.cat([functional.interpolate(half, size=full.shape[-2:]), full], 1))
        return seen[:, -1:] + self.change(full)


def _convolved(before: int, after: int, stride: int) -> nn.Sequential:
    first = nn.Conv2d(before, after, 3, stride=stride, padding=1)
    return nn.Sequential(first, nn.ReLU(), nn.Conv2d(after, after, 3, padding=1), nn.ReLU())


class PredictionScore(nn.Module):
    """How badly the last picture of a clip is foretold, where worst.

    ``forward`` takes clips (1, frames, 1, height, width) of grey in 0..1 and gives ``score`` (1, 1), standard
    deviations above the mean error at that place on normal footage; ``region`` (1, 4) and ``reasons`` (1, 1) as
    `NeighbourScore` does.
    """

    mean: Tensor
    deviation: Tensor
    _centres: Tensor
    _half: Tensor

    def __init__(self, config: Prediction, pictures: Pictures) -> None:
        super().__init__()
        self.net = Foreteller(config.frames - 1, config.widths)
        rows, columns = ((side - _WINDOW) // _STEP + 1 for side in (pictures.height, pictures.width))
        sides = torch.tensor([pictures.width, pictures.height])
        down, across = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        centres = (torch.stack([across, down], -1).reshape(-1, 2) * _STEP + _WINDOW / 2) / sides
        self.register_buffer("_centres", centres)
        self.register_buffer("_half", _WINDOW / 2 / sides)
        self.register_buffer("mean", torch.zeros(rows * columns))
        self.register_buffer("deviation", torch.ones(rows * columns))

    def errors(self, clip: Tensor) -> Tensor:
        """(n, regions): mean squared error of each region, as a logarithm."""
        pictures = clip[:, :, 0]
        apart = (self.net(pictures[:, :-1]) - pictures[:, -1:]).square()
        return torch.log(functional.avg_pool2d(apart, _WINDOW, _STEP).flatten(1) + 1e-5)

    def settle(self, errors: Tensor) -> None:
        """Take what is normal from (n, regions) errors on normal footage that was not trained on."""
        self.mean = errors.mean(0)
        self.deviation = (errors.var(0) + errors.var(0).mean()).sqrt().clamp(min=1e-3)

    def forward(self, clip: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See the class."""
        scores = ((self.errors(clip) - self.mean) / self.deviation)[0]
        score, best = scores.max(0, keepdim=True)
        centre = self._centres[best][0]
        region = torch.cat([centre - self._half, centre + self._half]).clamp(0, 1)
        return score[None], region[None], torch.ones_like(score)[None]


def train_predictor(
    model: PredictionScore, clips: Sequence[Floats], config: Prediction, seed: int, say: Callable[[int, int], None]
) -> float:
    """Train on the moving parts of clips of normal footage.

    Args:
        model: whose network is trained.
        clips: (frames, height, width) of grey in 0..1 each.
        config: of the training.
        seed: of what is drawn.
        say: told of the steps that are done, and of all.

    Returns:
        The mean loss of the last tenth of the steps.
    """
    random = np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(model.net.parameters(), lr=config.rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.rate, total_steps=config.steps + 1)
    losses: list[float] = []
    model.net.train()
    for step in range(config.steps):
        batch = torch.from_numpy(np.stack([_moving_part(clips, config.crop, random) for _ in range(config.batch)]))
        loss = functional.smooth_l1_loss(model.net(batch[:, :-1]), batch[:, -1:], beta=0.05)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
        say(step + 1, config.steps)
    model.net.eval()
    return float(np.mean(losses[-max(1, config.steps // 10) :]))


def _moving_part(clips: Sequence[Floats], side: int, random: np.random.Generator) -> Floats:
    """Of a clip, the one of four random parts in which most changes."""
    clip = clips[int(random.integers(len(clips)))]
    high, wide = (min(side, s) for s in clip.shape[1:])
    places = [
        (int(random.integers(clip.shape[1] - high + 1)), int(random.integers(clip.shape[2] - wide + 1)))
        for _ in range(4)
    ]
    parts = [clip[:, y : y + high, x : x + wide] for y, x in places]
    part = max(parts, key=lambda p: float(np.abs(p[-1] - p[0]).mean()))
    return np.ascontiguousarray(part[..., ::-1] if random.random() < 0.5 else part)
