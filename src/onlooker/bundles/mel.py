"""Mel spectra of short windows in numpy, in the two forms that networks are trained on, and as a bundle's facts say."""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from onlooker.bundles.inputs import LogMelInput

__all__ = ["log_mel", "mel_bank", "spectrum"]

Scale = Literal["htk", "slaney"]
_BREAK = 1000.0
_LINEAR = 200.0 / 3
_STEP = np.log(6.4) / 27


def _to_mel(hertz: NDArray[np.float64], scale: Scale) -> NDArray[np.float64]:
    if scale == "htk":
        return 2595.0 * np.log10(1.0 + hertz / 700.0)
    return np.where(hertz < _BREAK, hertz / _LINEAR, 15.0 + np.log(np.maximum(hertz, 1e-9) / _BREAK) / _STEP)


def _to_hertz(mel: NDArray[np.float64], scale: Scale) -> NDArray[np.float64]:
    if scale == "htk":
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    return np.where(mel < 15, mel * _LINEAR, _BREAK * np.exp(_STEP * (mel - 15)))


@cache
def mel_bank(rate: int, size: int, bands: int, low: float, high: float, scale: Scale) -> NDArray[np.float32]:
    """Triangles on the mel scale as (size // 2 + 1, bands) float32.

    ``htk`` gives triangles of height 1 on the scale of HTK; ``slaney`` the form of librosa, triangles of equal area on
    a scale that is linear up to 1 kHz.
    """
    frequencies = np.linspace(0, rate / 2, size // 2 + 1)
    limits = _to_mel(np.array([low, high]), scale)
    edges = _to_hertz(np.linspace(float(limits[0]), float(limits[1]), bands + 2), scale)
    rise = (frequencies[:, None] - edges[None, :-2]) / np.diff(edges)[None, :-1]
    fall = (edges[None, 2:] - frequencies[:, None]) / np.diff(edges)[None, 1:]
    bank = np.maximum(0.0, np.minimum(rise, fall))
    if scale == "slaney":
        bank = bank * (2.0 / (edges[2:] - edges[:-2]))[None]
    return bank.astype(np.float32)


def spectrum(samples: NDArray[np.float32], window: int, hop: int, size: int) -> NDArray[np.float32]:
    """Magnitudes (frames, size // 2 + 1) of Hann windows of ``window`` samples every ``hop`` samples.

    The first window begins with the first sample; what is left at the end is not used.
    """
    frames = np.lib.stride_tricks.sliding_window_view(samples, window)[::hop]
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)
    return np.abs(np.fft.rfft(frames * hann, size)).astype(np.float32)


def log_mel(samples: NDArray[np.float32], facts: LogMelInput) -> NDArray[np.float32]:
    """(frames, bands) float32 of ``facts.length`` samples in -1..1; see `LogMelInput`."""
    magnitudes = spectrum(samples, facts.window, facts.step, facts.fft)
    bank = mel_bank(facts.sample_rate, facts.fft, facts.bands, facts.low, facts.high, facts.scale)
    mels = np.maximum((magnitudes**facts.power) @ bank, np.float32(facts.floor)) + np.float32(facts.offset)
    logs = np.log(mels) if facts.log == "ln" else np.log10(mels) * (10.0 if facts.log == "db" else 1.0)
    return ((logs - facts.mean) / facts.std).astype(np.float32)
