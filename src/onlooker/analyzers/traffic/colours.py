"""Named colours of a part of a picture, by lightness, chroma and hue of CIE L*a*b* (D65)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["COLOURS", "Light", "colour_votes", "light_of"]

COLOURS = ("black", "white", "grey", "silver", "red", "blue", "green", "yellow", "orange", "brown")
_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_WHITE = np.array([0.95047, 1.0, 1.08883])
_SIDE = 16
_FULL_WHITE, _LEAST_WHITE, _MOST_CAST = 95.0, 50.0, 5.0
# chosen on the odd tracks of a hazy highway; see benchmarks/traffic.py
_LEAST_CHROMA, _LEVELS = 6.0, (30, 50, 68)


def _lab(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    value = picture / 255.0
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    ratio = linear @ _TO_XYZ.T / _WHITE
    root = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


@dataclass(frozen=True, slots=True)
class Light:
    """What the whole picture says of its light: the cast (a, b) of its middle colour, and its white's lightness."""

    a: float = 0.0
    b: float = 0.0
    white: float = _FULL_WHITE


def light_of(picture: NDArray[np.uint8]) -> Light:
    """The light of an RGB picture (h, w, 3).

    A strong cast is taken for the colour of a lawn or a wall, not of the light.
    """
    colours = _lab(picture[::8, ::8]).reshape(-1, 3)
    a, b = (float(np.clip(np.median(colours[:, i]), -_MOST_CAST, _MOST_CAST)) for i in (1, 2))
    return Light(a, b, max(float(np.percentile(colours[:, 0], 98)), _LEAST_WHITE))


def colour_votes(picture: NDArray[np.uint8], light: Light | None = None) -> NDArray[np.float32]:
    """(10,) share of each of `COLOURS` in an RGB picture (h, w, 3); zeros for an empty one."""
    if picture.shape[0] < 2 or picture.shape[1] < 2:
        return np.zeros(len(COLOURS), np.float32)
    light = light or Light()
    small = np.asarray(Image.fromarray(picture).resize((_SIDE, _SIDE), Image.Resampling.BOX))
    bright, a, b = np.moveaxis(_lab(small), -1, 0)
    bright, a, b = np.minimum(bright * _FULL_WHITE / light.white, 100), a - light.a, b - light.b
    hue = np.degrees(np.arctan2(b, a)) % 360
    # from purple over red, orange, yellow, green to blue; limits half-way between the primaries' own hues
    names = np.array([COLOURS.index(n) for n in ("red", "orange", "yellow", "green", "blue", "red")])
    found = names[np.searchsorted([52, 78, 108, 190, 330], hue, side="right")]
    found = np.where((hue >= 40) & (hue < 85) & (bright < 50), COLOURS.index("brown"), found)
    greys = np.array([COLOURS.index(n) for n in ("black", "grey", "silver", "white")])
    plain = greys[np.searchsorted(_LEVELS, bright, side="right")]
    # dark pixels carry no dependable hue
    found = np.where((np.hypot(a, b) < _LEAST_CHROMA) | (bright < 15), plain, found)
    return (np.bincount(found.ravel(), minlength=len(COLOURS)) / found.size).astype(np.float32)
