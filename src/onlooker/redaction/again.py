"""Finds a small part of a picture again in a later or earlier one, by normalised cross-correlation.

Lewis 1995, Fast normalized cross-correlation: the sums under every shift come from one Fourier transform and from
running sums.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["alike", "find_again"]

Grey: TypeAlias = NDArray[np.float32]
_FLAT = 1.5
"""Standard deviation in grey levels below which a part shows nothing by which it could be found."""


def alike(one: Grey, other: Grey) -> float:
    """Correlation of two parts of the same form, -1..1; 1 where both are flat.

    >>> ramp = np.arange(12, dtype=np.float32).reshape(3, 4) * 9
    >>> round(alike(ramp, 50 - ramp), 3)
    -1.0
    """
    a, b = one - one.mean(), other - other.mean()
    x, y = float(np.sqrt((a * a).mean())), float(np.sqrt((b * b).mean()))
    if max(x, y) < _FLAT:
        return 1.0
    return float((a * b).mean()) / max(x * y, _FLAT)


def find_again(part: Grey, picture: Grey, left: int, top: int, reach: int) -> tuple[int, int, float]:
    """Where a part lies in another picture.

    Args:
        part: (h, w) grey.
        picture: (height, width) grey, no smaller than the part.
        left: column at which it is expected.
        top: row at which it is expected.
        reach: how many pixels away from there it is looked for, within the picture.

    Returns:
        Its column and row, and its correlation with what is there, -1..1.
    """
    high, wide = part.shape
    across, down = picture.shape[1] - wide, picture.shape[0] - high
    x0, x1 = min(max(0, left - reach), across), max(0, min(across, left + reach))
    y0, y1 = min(max(0, top - reach), down), max(0, min(down, top + reach))
    window = picture[y0 : y1 + high, x0 : x1 + wide]
    window = window - window.mean()
    own = part - part.mean()
    shape = window.shape
    product = np.fft.rfft2(window) * np.conj(np.fft.rfft2(own, shape))
    shifts = np.fft.irfft2(product, shape)[: y1 - y0 + 1, : x1 - x0 + 1]
    count = high * wide
    spread = _sums(window * window, high, wide) - _sums(window, high, wide) ** 2 / count
    energy = float((own * own).sum())
    least = count * _FLAT**2
    likeness = shifts / np.sqrt(np.maximum(spread, least) * max(energy, least))
    row, column = np.unravel_index(int(np.argmax(likeness)), likeness.shape)
    return x0 + int(column), y0 + int(row), float(likeness[row, column])


def _sums(values: Grey, high: int, wide: int) -> NDArray[np.float64]:
    """Sum over each (high, wide) part."""
    running = np.zeros((values.shape[0] + 1, values.shape[1] + 1))
    running[1:, 1:] = values.cumsum(0, dtype=np.float64).cumsum(1)
    return running[high:, wide:] - running[:-high, wide:] - running[high:, :-wide] + running[:-high, :-wide]
