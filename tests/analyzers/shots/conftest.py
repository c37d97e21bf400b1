"""Small videos with known boundaries, made on the spot."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest


def picture(seed: int, width: int = 320, height: int = 180) -> np.ndarray:
    """A smooth random picture, another for each seed."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 8, 3)).astype(np.float64)
    rows, columns = np.linspace(0, 5, height), np.linspace(0, 7, width)
    low_r, low_c = np.minimum(rows.astype(int), 4), np.minimum(columns.astype(int), 6)
    fr, fc = (rows - low_r)[:, None, None], (columns - low_c)[None, :, None]
    top = coarse[low_r][:, low_c] * (1 - fc) + coarse[low_r][:, low_c + 1] * fc
    bottom = coarse[low_r + 1][:, low_c] * (1 - fc) + coarse[low_r + 1][:, low_c + 1] * fc
    return (top * (1 - fr) + bottom * fr).astype(np.uint8)


def mix(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
    """A dissolve's frame."""
    return (a * (1 - share) + b * share).astype(np.uint8)


@pytest.fixture(scope="session")
def write(tmp_path_factory):
    """Writes pictures to a video file and returns its path: ``write(pictures, times=None, options=None)``."""

    def make(pictures, *, times=None, options=None, codec="libx264", pix_fmt="yuv420p"):
        path = tmp_path_factory.mktemp("video") / "video.mp4"
        with av.open(str(path), "w") as container:
            stream: Any = container.add_stream(codec, rate=25, options=options or {"preset": "ultrafast", "crf": "20"})
            stream.height, stream.width = pictures[0].shape[:2]
            stream.pix_fmt = pix_fmt
            stream.codec_context.time_base = Fraction(1, 1000)
            for i, array in enumerate(pictures):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(array), format="rgb24")
                frame.pts = round(i * 40 if times is None else times[i] * 1000)
                frame.time_base = Fraction(1, 1000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return make
