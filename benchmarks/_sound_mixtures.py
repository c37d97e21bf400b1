"""Mixtures of labelled clips at known places, for the benchmarks of sound."""

from __future__ import annotations

import csv
import wave
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

RATE = 16_000


@dataclass(frozen=True)
class Event:
    """What is heard from when to when, in seconds."""

    start: float
    end: float
    label: str


def load(path: Path) -> NDArray[np.float32]:
    """A file's sound at 16 kHz, mono."""
    resampler = av.AudioResampler("fltp", "mono", RATE)
    parts: list[NDArray[np.float32]] = []
    with av.open(str(path)) as opened:
        for frame in opened.decode(audio=0):
            parts += [block.to_ndarray()[0] for block in resampler.resample(frame)]
        parts += [block.to_ndarray()[0] for block in resampler.resample(None)]
    return np.concatenate(parts)


def save_wave(path: Path, samples: NDArray[np.floating]) -> Path:
    """As 16-bit PCM."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def rows(folder: Path) -> list[dict[str, str]]:
    """The lines of a set's labels."""
    with (folder / "labels.csv").open() as file:
        return list(csv.DictReader(file))


def pink(count: int, level: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Noise with power falling as 1/f, at a level in dB of full scale."""
    spectrum = np.fft.rfft(rng.normal(size=count))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    noise = np.fft.irfft(spectrum, count)
    return noise / np.sqrt(np.mean(noise**2)) * 10 ** (level / 20)


def level(samples: NDArray[np.floating]) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) + 1e-12


def loud_parts(
    samples: NDArray[np.float32], below_peak: float = 40.0, gap: float = 1.0, least: float = 0.1
) -> list[tuple[float, float]]:
    """Where a clip sounds: stretches, in seconds, less than ``below_peak`` dB under its loudest 50 ms."""
    step = RATE // 20
    count = len(samples) // step
    power = np.square(samples[: count * step].astype(np.float64)).reshape(count, step).mean(1)
    loud = 10 * np.log10(power + 1e-12) >= max(10 * np.log10(power.max() + 1e-12) - below_peak, -65)
    found: list[list[float]] = []
    for i in np.flatnonzero(loud):
        start, end = i / 20, (i + 1) / 20
        if found and start - found[-1][1] <= gap:
            found[-1][1] = end
        else:
            found.append([start, end])
    return [(a, b) for a, b in found if b - a >= least]
