"""What a tagger of sounds that learned from AudioSet (YAMNet, catalogue) tells of clips, by a linear classifier."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from numpy.typing import NDArray

from onlooker.analyzers.sounds.listener import HOP, LENGTH, Listener

__all__ = ["linear", "tagged"]

_RATE, _LEAST = 16_000, 1e-4


def tagged(paths: Sequence[Path]) -> NDArray[np.float64]:
    """(clips, 2 x classes): logarithms of the mean and the highest score of each class."""
    listener = Listener(1)
    rows: list[NDArray[np.float64]] = []
    for path in paths:
        sound = _sound(path)
        scores = np.array([listener.scores(sound[n : n + LENGTH])[0] for n in range(0, len(sound) - LENGTH + 1, HOP)])
        rows.append(np.log(np.concatenate([scores.mean(0), scores.max(0)]) + _LEAST))
    listener.close()
    return np.array(rows)


def _sound(path: Path) -> NDArray[np.float32]:
    resampler, parts = av.AudioResampler(format="flt", layout="mono", rate=_RATE), []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            parts += [made.to_ndarray().reshape(-1) for made in resampler.resample(frame)]
    sound = np.concatenate(parts).astype(np.float32)
    return np.pad(sound, (0, max(0, LENGTH - len(sound))))


def linear(rows: NDArray[np.float64], truth: NDArray[np.bool_], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-odds of other rows by logistic regression with a penalty of squares (weight 1 on standardised numbers)."""
    mean, deviation = rows.mean(0), rows.std(0) + 0.05
    x, wanted, y = (torch.from_numpy(a) for a in ((rows - mean) / deviation, truth.astype(np.float64), others))
    weights = torch.zeros(x.shape[1] + 1, dtype=x.dtype, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=60)

    def loss() -> Any:
        optimiser.zero_grad()
        raw = x @ weights[1:] + weights[0]
        made = torch.nn.functional.binary_cross_entropy_with_logits(raw, wanted) + weights[1:].square().sum() / 2
        made.backward()
        return made

    optimiser.step(loss)
    with torch.no_grad():
        y = (y - torch.from_numpy(mean)) / torch.from_numpy(deviation)
        return (y @ weights[1:] + weights[0]).numpy()
