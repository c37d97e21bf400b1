"""The feeling of a sentence by its likeness to sentences of known feeling, for want of words."""

from __future__ import annotations

import numpy as np

from onlooker.models.sentences import SentenceEncoder

__all__ = ["LikenessFeeling"]

_GOOD = (
    "这很好，我很喜欢", "我非常满意", "太棒了，推荐", "真高兴", "质量不错",
    "I like it very much", "excellent and enjoyable", "thank you, wonderful",
)  # fmt: skip
_BAD = (
    "这很差，我很失望", "我非常不满意", "太糟糕了，不推荐", "真难过", "质量太差",
    "I hate it", "terrible and disappointing", "this is awful",
)  # fmt: skip
_SCALE, _MOST = 5.0, 0.6
_LEAST = 0.3
"""Weaker likeness is no feeling: of neutral sentences one in ten comes as far."""


class LikenessFeeling:
    """The difference of likeness to the good and the bad ones."""

    def __init__(self, encoder: SentenceEncoder) -> None:
        self._encoder = encoder
        self._way = encoder.many(_GOOD).mean(axis=0) - encoder.many(_BAD).mean(axis=0)

    def __call__(self, text: str) -> float:
        """-0.6 .. 0.6; 0 where it is not clear."""
        value = _SCALE * float(self._encoder.one(text) @ self._way)
        return float(np.clip(value, -_MOST, _MOST)) if abs(value) >= _LEAST else 0.0
