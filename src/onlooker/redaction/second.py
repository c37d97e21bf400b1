"""A second look by another face detector than the one that hides: BlazeFace full range.

Bazarevsky et al. 2019 (arXiv 1907.05047). It shares neither weights nor training with CenterFace, so what it still
finds in a redacted picture was missed.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from onlooker.core.boxes import suppress
from onlooker.models import load

__all__ = ["SECOND_SIDE", "SecondDetector"]

Rows: TypeAlias = NDArray[np.float32]
MODEL = "face-full-range"
SECOND_SIDE, _STRIDE = 192, 4


class SecondDetector:
    """The loaded detector.

    Args:
        score: least score; its authors take 0.5.
        threads: how many it may use.
    """

    def __init__(self, *, score: float = 0.5, threads: int = 1) -> None:
        self._score = score
        self._model: Any = load(MODEL, threads=threads)
        y, x = np.divmod(np.arange((SECOND_SIDE // _STRIDE) ** 2), SECOND_SIDE // _STRIDE)
        self._centres = ((np.stack([x, y], 1) + 0.5) * _STRIDE).astype(np.float32)

    def detect(self, picture: NDArray[np.uint8]) -> Rows:
        """(n, 5): box in fractions of the RGB picture (height, width, 3), and score; best first."""
        high, wide = picture.shape[:2]
        scale = SECOND_SIDE / max(high, wide)
        size = max(1, round(wide * scale)), max(1, round(high * scale))
        small = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR), np.float32)
        data = np.full((1, SECOND_SIDE, SECOND_SIDE, 3), -1, np.float32)
        left, top = (SECOND_SIDE - size[0]) // 2, (SECOND_SIDE - size[1]) // 2
        data[0, top : top + size[1], left : left + size[0]] = small / 127.5 - 1
        outputs = {v.shape[-1]: v[0] for v in self._model.run([data])}
        scores = 1 / (1 + np.exp(-np.clip(outputs[1][:, 0], -80, 80)))
        hit = np.flatnonzero(scores >= self._score)
        middle = self._centres[hit] + outputs[16][hit, :2]
        half = outputs[16][hit, 2:4] / 2
        shift, span = np.array([left, top], np.float32), np.array(size, np.float32)
        rows = np.concatenate(
            [(middle - half - shift) / span, (middle + half - shift) / span, scores[hit, None]], 1
        ).astype(np.float32)
        keep = suppress(rows[:, :4], rows[:, 4], np.zeros(len(rows), np.intp), 0.3)
        return rows[keep]

    def close(self) -> None:
        """Release the model."""
        self._model.close()
