"""Texts as unit vectors that lie near each other where the texts mean the same, in Chinese and English alike.

All analyzers of one process share one encoder and its memory of recent texts, so that a sentence that several of them
look at is encoded once.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from onlooker import models
from onlooker.models.sentence_tokens import Pieces

__all__ = ["MODELS", "SPACE", "SentenceEncoder", "models_digest", "shared_encoder"]

MODELS = ("sentence-encoder", "sentence-tokens")
SPACE = "sentence-use"
"""The vector space of `SentenceEncoder`."""
_REMEMBERED = 8192
_LONGEST = 512
"""Tokens of a text that are looked at."""

Vector = NDArray[np.float32]


class SentenceEncoder:
    """The catalogue's ``sentence-encoder``. A text is encoded alone, so its vector does not depend on its company."""

    def __init__(self) -> None:
        facts = models.entry(MODELS[0]).facts
        self._begin, self._end, self.dimensions = (int(facts[n]) for n in ("begin", "end", "dimensions"))
        self.pieces = Pieces(models.model_path(MODELS[1]))
        self._model = models.load(MODELS[0], threads=1)
        self._known: OrderedDict[str, Vector] = OrderedDict()
        self._lock = threading.Lock()

    def one(self, text: str) -> Vector:
        """(512,) float32 of length 1."""
        with self._lock:
            known = self._known.get(text)
            if known is not None:
                self._known.move_to_end(text)
                return known
        numbers = [number for _, number in self.pieces.split(text)[: _LONGEST - 2]] or [0]
        tokens = np.array([self._begin, *numbers, self._end], np.float32)
        vector: Vector = self._model.run([tokens])[0][0]
        vector.setflags(write=False)
        with self._lock:
            self._known[text] = vector
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return vector

    def many(self, texts: Iterable[str]) -> Vector:
        """(n, 512) float32."""
        vectors = [self.one(text) for text in texts]
        return np.stack(vectors) if vectors else np.zeros((0, self.dimensions), np.float32)


_lock = threading.Lock()
_encoders: list[SentenceEncoder] = []


def shared_encoder() -> SentenceEncoder:
    """The process's encoder, loaded by the first call.

    Raises:
        ModelError: the models are not here.
    """
    with _lock:
        if not _encoders:
            _encoders.append(SentenceEncoder())
        return _encoders[0]


def models_digest() -> str:
    """One digest of the encoder's files, which observations are signed with."""
    return hashlib.sha256(" ".join(models.bundle_digest(name) for name in MODELS).encode()).hexdigest()
