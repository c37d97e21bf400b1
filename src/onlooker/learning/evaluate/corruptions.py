"""What can go wrong with clips, as pure functions on arrays: the same input, severity and seed give the same output.

After the corruptions of Hendrycks & Dietterich 2019 (arXiv 1903.12261) in three severities, for clips and sound.
Pictures are uint8 (n, height, width, 1 or 3), all changed alike as one camera would; sound is float32 (samples,) in
-1..1.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from onlooker.core.media import UInt8Array

__all__ = ["PICTURES", "SEVERITIES", "SOUNDS", "babble", "corrupt_pictures", "corrupt_sound"]

Floats = NDArray[np.float32]
SEVERITIES = (1, 2, 3)
_GREY = 128


def corrupt_pictures(name: str, pictures: UInt8Array, severity: int, seed: int) -> UInt8Array:
    """Pictures with one of `PICTURES` done to them; the same shape.

    Args:
        name: of the corruption.
        pictures: uint8 (n, height, width, channels).
        severity: 1, 2 or 3.
        seed: of what is random in it, the same for all severities: what is lost at one is lost at the next.
    """
    return PICTURES[name](pictures, severity, np.random.default_rng(seed))


def corrupt_sound(name: str, sound: Floats, rate: int, severity: int, seed: int) -> Floats:
    """Sound with one of `SOUNDS` done to it; the same shape.

    Args:
        name: of the corruption.
        sound: (samples,).
        rate: samples a second.
        severity: 1, 2 or 3.
        seed: of what is random in it.
    """
    return SOUNDS[name](sound, rate, severity, np.random.default_rng(seed))


def _bytes(values: NDArray[Any]) -> UInt8Array:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _dark(pictures: UInt8Array, severity: int, random: np.random.Generator) -> UInt8Array:
    """Less light: 50, 25, 12 % of it."""
    return _bytes(pictures * np.float32((0.5, 0.25, 0.12)[severity - 1]))


def _bright(pictures: UInt8Array, severity: int, random: np.random.Generator) -> UInt8Array:
    """More light: 1.5, 2, 3 times as much, burnt out at white."""
    return _bytes(pictures * np.float32((1.5, 2.0, 3.0)[severity - 1]))


def _contrast(pictures: UInt8Array, severity: int, random: np.random.Generator) -> UInt8Array:
    """Less contrast: 50, 30, 15 % around the mean of all pictures."""
    mean = np.float32(pictures.mean())
    return _bytes((pictures - mean) * np.float32((0.5, 0.3, 0.15)[severity - 1]) + mean)


def _each(pictures: UInt8Array, change: Callable[[Image.Image], Image.Image]) -> UInt8Array:
    """Pictures changed one by one by Pillow."""
    made = [np.asarray(change(Image.fromarray(p[..., 0] if p.shape[2] == 1 else p))) for p in pictures]
    return np.stack(made).reshape(pictures.shape)


def _blur(pictures: UInt8Array, severity: int, random: np.random.Generator) -> UInt8Array:
    """Out of focus: a Gaussian of 1, 2, 4 % of the smaller side."""
    radius = (0.01, 0.02, 0.04)[severity - 1] * min(pictures.shape[1:3])
    return _each(pictures, lambda image: image.filter(ImageFilter.GaussianBlur(radius)))


def _noise(pictures: UInt8Array, severity: int, random: np.random.Generator) -> UInt8Array:
    """Noise of the sensor: a normal distribution of 10, 25, 50 levels, anew in each picture."""
    return _bytes(pictures + random.normal(0, (10, 25, 50)[severity - 1], pictures.shape).astype(np.float32))


def _jpeg(pictures: UInt8Array, severity: int, random: np.random.Generator) -> UInt8Array:
    """Compression: JPEG of the quality 25, 10, 3."""

    def change(image: Image.Image) -> Image.Image:
        held = io.BytesIO()
        image.save(held, "JPEG", quality=(25, 10, 3)[severity - 1])
        return Image.open(held)

    return _each(pictures, change)


def _occlusion(pictures: UInt8Array, severity: int, random: np.random.Generator) -> UInt8Array:
    """A grey box over 10, 25, 50 % of the picture, at one place for the whole clip."""
    share = (0.10, 0.25, 0.50)[severity - 1] ** 0.5
    high, wide = pictures.shape[1:3]
    tall, broad = max(1, round(high * share)), max(1, round(wide * share))
    top, left = int(random.integers(0, high - tall + 1)), int(random.integers(0, wide - broad + 1))
    made = pictures.copy()
    made[:, top : top + tall, left : left + broad] = _GREY
    return made


def _turned(pictures: UInt8Array, matrix: Sequence[float]) -> UInt8Array:
    """Pictures by an affine map around their middle, from output to input; grey where there is nothing."""
    high, wide = pictures.shape[1:3]
    x, y = (wide - 1) / 2, (high - 1) / 2
    a, b, c, d = matrix
    values = (a, b, x - a * x - b * y, c, d, y - c * x - d * y)

    def change(image: Image.Image) -> Image.Image:
        fill = _GREY if image.mode == "L" else (_GREY,) * 3
        return image.transform(
            image.size, Image.Transform.AFFINE, values, Image.Resampling.BILINEAR, fillcolor=fill
        )  # fmt: skip

    return _each(pictures, change)


def _side(random: np.random.Generator) -> float:
    return 1.0 if random.random() < 0.5 else -1.0


def _rotation(pictures: UInt8Array, severity: int, random: np.random.Generator) -> UInt8Array:
    """A camera that hangs askew by 8, 20, 40 degrees, to one side or the other."""
    angle = np.deg2rad((8, 20, 40)[severity - 1]) * _side(random)
    return _turned(pictures, (np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle)))


def _shear(pictures: UInt8Array, severity: int, random: np.random.Generator) -> UInt8Array:
    """Another viewpoint: the picture sheared by 0.15, 0.3, 0.6."""
    return _turned(pictures, (1.0, (0.15, 0.3, 0.6)[severity - 1] * _side(random), 0.0, 1.0))


def _far(pictures: UInt8Array, severity: int, random: np.random.Generator) -> UInt8Array:
    """A camera farther away: everything 0.8, 0.6, 0.4 times as large."""
    scale = 1 / (0.8, 0.6, 0.4)[severity - 1]
    return _turned(pictures, (scale, 0.0, 0.0, scale))


def _near(pictures: UInt8Array, severity: int, random: np.random.Generator) -> UInt8Array:
    """A camera nearer by: everything 1.25, 1.6, 2.2 times as large."""
    scale = 1 / (1.25, 1.6, 2.2)[severity - 1]
    return _turned(pictures, (scale, 0.0, 0.0, scale))


def _dropped(pictures: UInt8Array, severity: int, random: np.random.Generator) -> UInt8Array:
    """Frames that are lost, 20, 50, 80 %, each shown as the last one that came."""
    lost = random.random(len(pictures)) < (0.2, 0.5, 0.8)[severity - 1]
    lost[:1] = False
    return pictures[np.maximum.accumulate(np.where(lost, 0, np.arange(len(pictures))))]


def _frozen(pictures: UInt8Array, severity: int, random: np.random.Generator) -> UInt8Array:
    """A stream that stands still for the last 25, 50, 100 % of the clip."""
    moving = max(1, round(len(pictures) * (0.75, 0.5, 0.0)[severity - 1]))
    return pictures[np.minimum(np.arange(len(pictures)), moving - 1)]


def _loudness(sound: Floats) -> float:
    return float(np.sqrt(np.mean(sound.astype(np.float64) ** 2))) if len(sound) else 0.0


def _mixed(sound: Floats, other: NDArray[Any], ratio: float) -> Floats:
    """Sound with another at so many dB below it; silence stays silent."""
    loud = _loudness(other.astype(np.float32))
    if not loud:
        return sound
    return np.clip(sound + other * (_loudness(sound) * 10 ** (-ratio / 20) / loud), -1, 1).astype(np.float32)


def _white(sound: Floats, rate: int, severity: int, random: np.random.Generator) -> Floats:
    """White noise, 20, 10, 0 dB below the sound."""
    return _mixed(sound, random.normal(0, 1, len(sound)), (20, 10, 0)[severity - 1])


def _clipped(sound: Floats, rate: int, severity: int, random: np.random.Generator) -> Floats:
    """A microphone that is too loud: cut off at 50, 20, 5 % of the peak, then as loud as before."""
    peak = float(np.abs(sound).max(initial=0))
    limit = peak * (0.5, 0.2, 0.05)[severity - 1]
    return (np.clip(sound, -limit, limit) * (peak / limit)).astype(np.float32) if limit else sound


def _muffled(sound: Floats, rate: int, severity: int, random: np.random.Generator) -> Floats:
    """Nothing above 4000, 2000, 800 Hz, as behind a wall."""
    spectrum = np.fft.rfft(sound)
    spectrum[np.fft.rfftfreq(len(sound), 1 / rate) > (4000, 2000, 800)[severity - 1]] = 0
    return np.fft.irfft(spectrum, len(sound)).astype(np.float32)


def _quiet(sound: Floats, rate: int, severity: int, random: np.random.Generator) -> Floats:
    """A microphone far away: 12, 24, 36 dB quieter."""
    return (sound * 10 ** (-(12, 24, 36)[severity - 1] / 20)).astype(np.float32)


def _gaps(sound: Floats, rate: int, severity: int, random: np.random.Generator) -> Floats:
    """A line that breaks up: of its pieces of 50 ms, 10, 30, 60 % are silent."""
    length = max(1, rate // 20)
    lost = random.random(-(-len(sound) // length)) < (0.1, 0.3, 0.6)[severity - 1]
    return np.where(np.repeat(lost, length)[: len(sound)], 0, sound).astype(np.float32)


def babble(sound: Floats, others: Sequence[Floats], severity: int, seed: int) -> Floats:
    """Other sounds at once, together 10, 0, -10 dB below this one.

    Args:
        sound: (samples,).
        others: of other samples; each is repeated as often as needed, from a random place on.
        severity: 1, 2 or 3.
        seed: of the places.
    """
    random = np.random.default_rng(seed)
    total = np.zeros(len(sound), np.float64)
    for other in others:
        loud = _loudness(other)
        if loud:
            begin = int(random.integers(0, len(other)))
            total += np.resize(np.roll(other, -begin), len(sound)) / loud
    return _mixed(sound, total, (10, 0, -10)[severity - 1])


PICTURES: dict[str, Callable[[UInt8Array, int, np.random.Generator], UInt8Array]] = {
    "dark": _dark,
    "bright": _bright,
    "low contrast": _contrast,
    "blur": _blur,
    "noise": _noise,
    "compression": _jpeg,
    "occlusion": _occlusion,
    "rotation": _rotation,
    "shear": _shear,
    "farther": _far,
    "nearer": _near,
    "frames lost": _dropped,
    "frozen": _frozen,
}
"""What can go wrong with pictures, by name."""

SOUNDS: dict[str, Callable[[Floats, int, int, np.random.Generator], Floats]] = {
    "white noise": _white,
    "clipping": _clipped,
    "muffled": _muffled,
    "quiet": _quiet,
    "gaps": _gaps,
}
"""What can go wrong with sound, by name; `babble` is beside them, as it needs other sounds."""
