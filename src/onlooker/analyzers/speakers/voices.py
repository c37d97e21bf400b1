"""Vectors of the voice in windows of 1.6 s, by the encoder of Resemblyzer.

Wan et al. 2018, Generalized End-to-End Loss for Speaker Verification, https://arxiv.org/abs/1710.10467. The encoder
takes 160 frames of 40 mel powers, 10 ms apart, of sound that was made at least as loud as -30 dB of full scale.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onlooker import models
from onlooker.analyzers._sound_stream import RATE
from onlooker.bundles.mel import mel_bank, spectrum

__all__ = ["DIMENSIONS", "HOP", "LENGTH", "MODEL", "VoiceEncoder"]

MODEL = "speaker"
DIMENSIONS = 256
HOP = 6400
"""Samples from one window to the next."""
_WINDOW, _STEP, _FRAMES, _BANDS = 400, 160, 160, 40
LENGTH = _STEP * (_FRAMES - 1) + _WINDOW
"""Samples of one window."""
_LEVEL = 10 ** (-30 / 20)


class VoiceEncoder:
    """The network and what comes before it.

    Args:
        threads: how many the engine may use.
    """

    def __init__(self, threads: int) -> None:
        self._model = models.load(MODEL, threads=threads)
        self._bank = mel_bank(RATE, _WINDOW, _BANDS, 0.0, RATE / 2, "slaney")

    def vectors(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Unit vectors (n, 256) of windows (n, LENGTH); no element is below 0."""
        mels = np.stack([self._mels(window) for window in windows])
        return self._model.run([mels])[0]

    def _mels(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        level = float(np.sqrt(np.mean(np.square(window, dtype=np.float64)))) + 1e-9
        gain = np.float32(max(1.0, _LEVEL / level))
        return np.square(spectrum(window * gain, _WINDOW, _STEP, _WINDOW)) @ self._bank

    def close(self) -> None:
        """Release the network."""
        self._model.close()
