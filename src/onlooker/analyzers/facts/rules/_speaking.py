"""Which of the faces on screen speaks, given that somebody does."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["speaking"]

_SUREST = 20.0
Floats = NDArray[np.float64]


def speaking(talking: Mapping[str, Floats], unseen: float, *, lips: bool = True) -> tuple[dict[str, Floats], Floats]:
    """By Bayes' rule, with one speaker in each moment: a face on screen or somebody who is not.

    Args:
        talking: by face: (n,) probability that its lips talk, NaN where it is not on screen.
        unseen: probability that the speaker is not on screen, before the lips are looked at.
        lips: whether to look at them; else all faces on screen are alike.

    Returns:
        By face: (n,) probability that it speaks, 0 where it is not on screen; and that of somebody unseen.
    """
    names = list(talking)
    count = len(next(iter(talking.values()))) if names else 0
    if not names:
        return {}, np.ones(count)
    given = np.stack([talking[n] for n in names])
    there = ~np.isnan(given)
    known = np.where(there, given, 0.0)
    odds = np.clip(known / np.maximum(1 - known, 1e-6), 1 / _SUREST, _SUREST) if lips else np.ones_like(known)
    shown = np.maximum(there.sum(0), 1)
    weights = np.where(there, odds * (1 - unseen) / shown, 0.0)
    total = weights.sum(0) + np.where(there.any(0), unseen, 1.0)
    return dict(zip(names, weights / total, strict=True)), np.where(there.any(0), unseen, 1.0) / total
