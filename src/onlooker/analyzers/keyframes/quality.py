"""How good a frame is as a picture of its shot: sharp, well exposed, not flat, and like the rest of the shot.

Sharpness is the spread of second differences (the variance of the Laplacian, Pech-Pacheco 2000, by rows);
what is not representative of a shot is told by the distance from the shot's median picture.
"""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["Candidate", "candidate_values", "encode_jpeg", "pick_best", "quality_of"]

_ROWS: Final = 9
_COLUMNS: Final = 16
Candidate = NDArray[np.float32]
"""(436,): sharpness, spread, share too dark, share too bright, then a 9×16 picture in colours."""


def candidate_values(rgb: NDArray[np.uint8]) -> Candidate:
    """What is kept of a candidate besides its JPEG.

    Args:
        rgb: (height, width, 3) uint8.

    Returns:
        See `Candidate`.
    """
    green = rgb[::2, :, 1].astype(np.int16)
    second = 2 * green[:, 1:-1] - green[:, :-2] - green[:, 2:]
    height, width = rgb.shape[:2]
    rows = np.arange(_ROWS) * height // _ROWS
    columns = np.arange(_COLUMNS) * width // _COLUMNS
    # every fourth row and column is plenty for means over a ninth of the height
    step = 4 if height >= 8 * _ROWS and width >= 8 * _COLUMNS else 1
    thin = rgb[::step, ::step]
    sums = np.add.reduceat(thin, rows // step, axis=0, dtype=np.uint32)
    sums = np.add.reduceat(sums, columns // step, axis=1)
    tall = np.append(rows[1:] // step, thin.shape[0]) - rows // step
    wide = np.append(columns[1:] // step, thin.shape[1]) - columns // step
    means = sums / np.maximum(1, np.outer(tall, wide))[..., None]
    sparse = green[::2, ::4]
    figures = [
        float(second.std()) if second.size else 0.0,
        float(sparse.std()),
        float((sparse <= 12).mean()),
        float((sparse >= 250).mean()),
    ]
    return np.concatenate([figures, means.reshape(-1)]).astype(np.float32)


def encode_jpeg(rgb: NDArray[np.uint8], quality: int) -> bytes:
    """The picture as JPEG."""
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def quality_of(candidate: Candidate) -> float:
    """0..1: sharp, with contrast, neither black nor burnt out."""
    sharpness, spread, dark, bright = (float(v) for v in candidate[:4])
    exposed = (1 - max(0.0, dark - 0.3) / 0.7) * (1 - max(0.0, bright - 0.2) / 0.8)
    return sharpness / (sharpness + 6) * min(1.0, spread / 20) * exposed


def pick_best(candidates: NDArray[np.float32]) -> int:
    """Which of a shot's candidates shows it best; the earliest of equals.

    Args:
        candidates: (n, 436), n >= 1.
    """
    quality = np.array([quality_of(c) for c in candidates])
    pictures = candidates[:, 4:]
    distance = np.abs(pictures - np.median(pictures, axis=0)).mean(axis=1)
    return int(np.argmax(quality * np.exp(-distance / 25)))
