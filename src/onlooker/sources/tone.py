"""High dynamic range to 8 bits: PQ and HLG pictures are brought to the range of an ordinary display.

Transfer functions: SMPTE ST 2084 and ARIB STD-B67 as in ITU-R BT.2100; colour volume BT.2020 to BT.709; highlights
are compressed by Reinhard's curve (2002) around a diffuse white of 203 cd/m2 (ITU-R BT.2408).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.core.media import UInt8Array

__all__ = ["is_hdr", "needs_tone_map", "tone_map"]

_PQ, _HLG = 16, 18
_WHITE = 203.0
_TO_709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)


def is_hdr(transfer: int) -> bool:
    """Whether a transfer characteristic (ITU-T H.273 number) is PQ or HLG."""
    return int(transfer) in (_PQ, _HLG)


def needs_tone_map(picture: Any) -> bool:
    """Whether a PyAV frame is HDR."""
    return is_hdr(picture.color_trc)


def _table(transfer: int) -> NDArray[np.float32]:
    """Display light in cd/m2 for each 8-bit code value."""
    code = np.arange(256, dtype=np.float64) / 255
    if transfer == _PQ:
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
        power = code ** (1 / m2)
        light = 10000 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
    else:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
        light = 1000 * scene**1.2
    return light.astype(np.float32)


def tone_map(rgb: UInt8Array, picture: Any) -> UInt8Array:
    """(h, w, 3) code values of an HDR picture to (h, w, 3) of an ordinary one."""
    light = _table(int(picture.color_trc))[rgb] / _WHITE
    light = np.maximum(light @ _TO_709.T, 0)
    peak = light.max(axis=-1, keepdims=True)
    limit = 1000 / _WHITE
    light = light * (1 + peak / limit**2) / (1 + peak)
    return (np.clip(light, 0, 1) ** (1 / 2.2) * 255 + 0.5).astype(np.uint8)
