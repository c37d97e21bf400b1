"""Makes clips with planted defects out of real footage, and runs single analyzers."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from onlooker.core.plugins import load_plugin
from onlooker.sources import open_source
from onlooker.testing.drive import drive

RATE = 25


def read_pictures(path: Path, seconds: float, *, width: int = 320, height: int = 180):
    """RGB pictures at 25 a second, to and fro where the clip is short."""
    seen = []
    with av.open(str(path)) as clip:
        for frame in clip.decode(video=0):
            seen.append(frame.reformat(width, height, "rgb24").to_ndarray())
            if len(seen) >= seconds * RATE:
                break
    while len(seen) < seconds * RATE:
        seen += seen[-2:0:-1]
    return seen[: round(seconds * RATE)]


def write_clip(shown, target: Path, *, rate: int = RATE, crf: int = 23) -> Path:
    with av.open(str(target), "w") as out:
        height, width = (n // 2 * 2 for n in shown[0].shape[:2])
        stream = out.add_stream("libx264", rate=rate, options={"crf": str(crf), "preset": "veryfast", "g": "50"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for i, picture in enumerate(shown):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), "rgb24")
            frame = frame.reformat(width, height, "yuv420p")
            frame.pts, frame.time_base = i, Fraction(1, rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return target


@pytest.fixture
def plant(data, tmp_path):
    """``plant("shots/bikes.mp4", defect, 2, 5)``: a clip of 8 s whose pictures from 2 s to 5 s went through ``defect``
    (picture, number within the defect, first picture of the defect).
    """

    def made(clip, defect, start, end, length=8.0, rest=None):
        shown = read_pictures(data(clip), length)
        for i, picture in enumerate(shown):
            if start * RATE <= i < end * RATE:
                first = shown[round(start * RATE)] if i > start * RATE else picture
                shown[i] = defect(picture, i - round(start * RATE), first)
            elif rest is not None:
                shown[i] = rest(picture)
        return write_clip(shown, tmp_path / "planted.mp4")

    return made


@pytest.fixture
def observe():
    """``observe("quality", path, camera="fixed")``: the observations of one analyzer on one file."""

    def run(name, path, **settings):
        cls = load_plugin("analyzers", name)
        source = open_source(str(path))
        try:
            return drive([cls(cls.Config(**settings))], source)
        finally:
            source.close()

    return run


@pytest.fixture
def pictures():
    """``pictures(path, seconds)``: RGB pictures at 25 a second."""
    return read_pictures


@pytest.fixture
def write():
    """``write(pictures, path)``: an H.264 file."""
    return write_clip
