"""Clips of two of GRID's people side by side, of whom known ones speak."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

RATE, SOUND = 25, 16_000


def _sound(path: Path, count: int | None = None) -> np.ndarray:
    """At 16 kHz, mono; cut or filled up to ``count`` samples."""
    resampler = av.AudioResampler("fltp", "mono", SOUND)
    parts: list[np.ndarray] = []
    with av.open(str(path)) as opened:
        for frame in opened.decode(audio=0):
            parts += [block.to_ndarray()[0] for block in resampler.resample(frame)]
        parts += [block.to_ndarray()[0] for block in resampler.resample(None)]
    samples = np.concatenate(parts)
    return samples if count is None else np.pad(samples, (0, max(0, count - len(samples))))[:count]


def _write(path: Path, shown: Any, samples: np.ndarray | None) -> Path:
    """RGB pictures at 25 a second, and sound at 16 kHz or none."""
    with av.open(str(path), "w") as out:
        height, width = shown[0].shape[:2]
        video: Any = out.add_stream("libx264", rate=RATE, options={"preset": "veryfast", "crf": "20", "g": "50"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        audio: Any = None if samples is None else out.add_stream("aac", rate=SOUND, layout="mono")
        for i, picture in enumerate(shown):
            frame: Any = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
            frame.pts, frame.time_base = i, Fraction(1, RATE)
            out.mux(video.encode(frame))
        out.mux(video.encode())
        if samples is not None:
            block: Any = av.AudioFrame.from_ndarray(samples.astype(np.float32)[None], "fltp", "mono")
            block.sample_rate, block.pts, block.time_base = SOUND, 0, Fraction(1, SOUND)
            out.mux(audio.encode(block))
            out.mux(audio.encode())
    return path


def _pictures(path: Path) -> np.ndarray:
    with av.open(str(path)) as clip:
        return np.stack([f.reformat(360, 288, "rgb24").to_ndarray() for f in clip.decode(video=0)])


@pytest.fixture(scope="session")
def talk(data, tmp_path_factory):
    """``talk("L", "R", "l", "u", "-")``: three seconds each of the left or right person speaking, the left or right
    mouth moving unheard, a third voice with closed mouths, and nobody.
    """
    folder = data("grid_av")
    left, right = (_pictures(folder / f"{name}.mpg") for name in ("bbaf2n", "brbk7n"))
    voices = {k: _sound(folder / f"{n}.mpg", 3 * SOUND) for k, n in (("L", "bbaf2n"), ("R", "brbk7n"), ("u", "lwbsza"))}

    def resting(pictures: np.ndarray) -> np.ndarray:
        last = pictures[-12:]
        there_and_back = np.concatenate([last, last[-2:0:-1]])
        return there_and_back[np.arange(75) % len(there_and_back)]

    def make(*parts: str, sound: bool = True) -> Path:
        shown, heard = [], []
        for part in parts:
            halves = [left if part in "Ll" else resting(left), right if part in "Rr" else resting(right)]
            shown.append(np.concatenate(halves, axis=2))
            heard.append(voices.get(part, np.zeros(3 * SOUND)))
        path = tmp_path_factory.mktemp("talk") / "talk.mp4"
        return _write(path, np.concatenate(shown), np.concatenate(heard) if sound else None)

    return make


@pytest.fixture(scope="session")
def sound_of():
    """``sound_of(path, count)``: its sound at 16 kHz, mono; cut or filled up to so many samples."""
    return _sound


@pytest.fixture(scope="session")
def film():
    """``film(path, pictures, samples)``: an H.264 file with AAC sound at 16 kHz."""
    return _write
