"""Short videos with a real face, and the second detector that judges what is left of it."""

# PyAV's stubs do not tell the sorts of streams apart
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalOperand=false

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from onlooker.core.errors import ModelMissing
from onlooker.core.media import Frame, ReadRequest
from onlooker.models import model_path
from onlooker.redaction.second import SecondDetector
from onlooker.sources import open_source

Pictures: TypeAlias = Sequence[NDArray[np.uint8]]
Judge: TypeAlias = Callable[[Path], int]


def need(*names: str) -> None:
    """Skip where a model is missing, but not in CI."""
    for name in names:
        try:
            model_path(name)
        except ModelMissing as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(str(error))


@pytest.fixture(scope="session", autouse=True)
def models() -> None:
    """The models that hide and judge."""
    need("centerface", "face-full-range")


@pytest.fixture(scope="session")
def faces(data: Callable[[str], Path]) -> Pictures:
    """Twenty frames of a man who speaks in a car, 176 by 144."""
    with av.open(str(data("clips/carphone.mp4"))) as clip:
        return [np.asarray(f.to_ndarray(format="rgb24"), np.uint8) for f in islice(clip.decode(video=0), 20)]


def write(
    path: Path,
    pictures: Pictures,
    *,
    times: Sequence[int] | None = None,
    rotation: int = 0,
    sound: bool = False,
    tags: dict[str, str] | None = None,
    pixels: str = "yuv420p",
    codec: str = "libx264",
) -> Path:
    """A video of the pictures at 25 frames a second or at ``times`` in milliseconds."""
    with av.open(str(path), "w") as out:
        out.metadata.update(tags or {})
        stream = out.add_stream(codec, rate=25)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixels
        stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        track: Any = out.add_stream("aac", rate=16000, layout="mono") if sound else None
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = times[number] if times is not None else 40 * number, Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if track is not None:
            wave = np.sin(np.arange(640 * len(pictures)) / 16000 * 2 * np.pi * 440).astype(np.float32) / 2
            block = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
            block.sample_rate, block.time_base, block.pts = 16000, Fraction(1, 16000), 0
            out.mux(track.encode(block))
            out.mux(track.encode(None))
    return path


def frames_of(path: Path) -> list[Frame]:
    """All frames."""
    source = open_source(str(path))
    try:
        return [item for item in source.read(ReadRequest()) if isinstance(item, Frame)]
    finally:
        source.close()


@pytest.fixture(scope="session")
def seen() -> Judge:
    """In how many frames of a video the second detector finds a face."""
    detector = SecondDetector()
    return lambda path: sum(len(detector.detect(f.image())) > 0 for f in frames_of(path))
