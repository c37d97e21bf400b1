"""Scores of a second of sound by YAMNet, and its loudness.

YAMNet (https://github.com/tensorflow/models/tree/master/research/audioset/yamnet) is a MobileNet on 96 frames of 64 mel
bands, trained on AudioSet (Gemmeke et al. 2017). The loudness weighs frequencies as ITU-R BS.1770 does.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from onlooker import models
from onlooker.analyzers._sound_stream import RATE
from onlooker.bundles.mel import mel_bank, spectrum

__all__ = ["HOP", "LENGTH", "MODEL", "Listener"]

MODEL = "yamnet"
HOP = 7680
"""Samples from one patch to the next: 0.48 s."""
_WINDOW, _STEP, _SIZE, _BANDS, _FRAMES = 400, 160, 512, 64, 96
LENGTH = _STEP * (_FRAMES - 1) + _WINDOW
"""Samples of a patch."""
_OFFSET = 0.001
_FLOOR = -70.0


@cache
def _weights() -> NDArray[np.float64]:
    """Gain of each frequency's power by the two filters of BS.1770, given there for 48 kHz."""
    z = np.exp(-2j * np.pi * np.linspace(0, RATE / 2, _SIZE // 2 + 1) / 48_000)
    shelf = (1.53512485958697 - 2.69169618940638 * z + 1.19839281085285 * z**2) / (
        1 - 1.69065929318241 * z + 0.73248077421585 * z**2
    )
    high = (1 - 2 * z + z**2) / (1 - 1.99004745483398 * z + 0.99007225036621 * z**2)
    gains = np.abs(shelf * high) ** 2
    # the spectrum of real samples holds each frequency but the first and last twice
    gains[1:-1] *= 2
    return gains


class Listener:
    """The network and what comes before it.

    Args:
        threads: how many the engine may use.
    """

    def __init__(self, threads: int) -> None:
        self._model = models.load(MODEL, threads=threads)
        self._bank = mel_bank(RATE, _SIZE, _BANDS, 125.0, 7500.0, "htk")
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)
        self._power = float(np.square(hann).sum()) * _SIZE

    def scores(self, patch: NDArray[np.float32]) -> tuple[NDArray[np.float64], float]:
        """The probability of each class, 0..1, and the loudness in LUFS, from -70, of LENGTH samples."""
        magnitudes = spectrum(patch, _WINDOW, _STEP, _SIZE)
        mels = np.log(magnitudes @ self._bank + np.float32(_OFFSET))
        (logits,) = self._model.run([mels[None, None]])
        power = float((np.square(magnitudes, dtype=np.float64) @ _weights()).mean()) / self._power
        loudness = max(_FLOOR, -0.691 + 10 * np.log10(power + 1e-12))
        return 1 / (1 + np.exp(-np.clip(logits[0].astype(np.float64), -50, 50))), loudness

    def close(self) -> None:
        """Release the network."""
        self._model.close()
