"""Makes the long or large files that benchmarks read, out of the real clips of the labelled sets."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import av
from _harness import DATA

SCENES = ("shots/bikes.mp4", "shots/rings_195.mp4", "clips/tv_whitehouse_performance.mp4", "clips/sport_gym.mp4")


def _frames(width: int, height: int, scenes: tuple[str, ...]) -> Iterator[Any]:
    for name in cycle(scenes):
        with av.open(str(DATA / name)) as container:
            for frame in container.decode(video=0):
                yield frame.reformat(width=width, height=height, format="yuv420p", interpolation="BILINEAR")


def encode(
    path: Path,
    *,
    seconds: int,
    width: int = 1920,
    height: int = 1080,
    rate: int = 25,
    options: dict[str, str] | None = None,
    scenes: tuple[str, ...] = SCENES,
) -> Path:
    """An H.264 file (B-frames, GOP of 2 s unless ``options`` say else) of real footage; kept if it exists."""
    if path.exists():
        return path
    part = path.with_suffix(".part.mp4")
    with av.open(str(part), "w") as out:
        stream: Any = out.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "28", "g": str(2 * rate), "bf": "3", **(options or {})}
        for index, frame in enumerate(islice(_frames(width, height, scenes), seconds * rate)):
            frame.pts, frame.time_base, frame.pict_type = index, Fraction(1, rate), 0
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    part.rename(path)
    return path


def repeat(path: Path, base: Path, times: int) -> Path:
    """``base`` played ``times`` times over, by stream copy; kept if it exists."""
    if path.exists():
        return path
    part = path.with_suffix(".part.mp4")
    with av.open(str(part), "w") as out, av.open(str(base)) as first:
        length = first.streams.video[0].duration or 0
        stream = out.add_stream_from_template(first.streams.video[0])
        for turn in range(times):
            with av.open(str(base)) as source:
                for packet in source.demux(video=0):
                    if packet.dts is None or packet.pts is None:
                        continue
                    packet.dts += turn * length
                    packet.pts += turn * length
                    packet.stream = stream
                    out.mux(packet)
    part.rename(path)
    return path
