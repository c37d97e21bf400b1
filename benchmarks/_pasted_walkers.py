"""Normal videos of a walkway with walkers of other videos pasted in who move faster or are larger: made anomalies.

Settings of anomaly learning are chosen by them, so that the labelled test videos stay unseen (see anomaly_settings.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["Walker", "pasted", "read_video", "walkers", "write_video"]

Pixels = NDArray[np.uint8]
_APART, _LEAST, _MOST = 18, 90, 700
_SHORTEST, _MARGIN = 36, 2


@dataclass(frozen=True, slots=True)
class Walker:
    """Somebody who was cut out of a video: for each picture the top left corner, the pixels, and which are theirs."""

    corners: tuple[tuple[int, int], ...]
    pixels: tuple[Pixels, ...]
    masks: tuple[NDArray[np.bool_], ...]


def read_video(path: Path) -> Pixels:
    """(frames, height, width) in grey."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="gray") for frame in container.decode(video=0)]).astype(np.uint8)


def write_video(path: Path, pictures: Pixels, rate: int = 10) -> None:
    """H.264 of high quality."""
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=rate, options={"crf": "10", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = pictures.shape[2], pictures.shape[1], "yuv420p"
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="gray").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())


def walkers(pictures: Pixels) -> list[Walker]:
    """Those who walk by themselves for some seconds, against the median of all pictures, followed by overlap."""
    ground = np.median(pictures, 0)
    going: list[list[tuple[tuple[slice, slice], NDArray[np.bool_], Pixels]]] = []
    ended: list[list[tuple[tuple[slice, slice], NDArray[np.bool_], Pixels]]] = []
    for picture in pictures:
        moving = ndimage.binary_closing(np.abs(picture.astype(np.int16) - ground) > _APART, iterations=2)
        labels: Any = ndimage.label(moving)[0]  # pyright: ignore[reportIndexIssue]
        found = [
            (place, labels[place] == number, picture[place])
            for number, place in enumerate(ndimage.find_objects(labels), 1)
            if _LEAST <= (labels[place] == number).sum() <= _MOST and _inside(place, picture.shape)
        ]
        still: list[Any] = []
        for track in going:
            best = max(found, key=lambda f: _overlap(track[-1][0], f[0]), default=None)
            if best is not None and _overlap(track[-1][0], best[0]) > 0.5:
                track.append(best)
                found = [f for f in found if f is not best]
                still.append(track)
            else:
                ended.append(track)
        going = [*still, *([f] for f in found)]
    long = [track for track in (*ended, *going) if len(track) >= _SHORTEST]
    return [
        Walker(
            tuple((p[0].start, p[1].start) for p, _, _ in track),
            tuple(pixels for _, _, pixels in track),
            tuple(np.asarray(ndimage.binary_dilation(mask), np.bool_) for _, mask, _ in track),
        )
        for track in long
    ]


def _inside(place: tuple[slice, slice], shape: Sequence[int]) -> bool:
    ends = (place[0].start, place[1].start, shape[0] - place[0].stop, shape[1] - place[1].stop)
    return min(ends) >= _MARGIN


def _overlap(a: tuple[slice, slice], b: tuple[slice, slice]) -> float:
    down, across = (min(p.stop, q.stop) - max(p.start, q.start) for p, q in zip(a, b, strict=True))
    if min(down, across) <= 0:
        return 0.0
    areas = [(p[0].stop - p[0].start) * (p[1].stop - p[1].start) for p in (a, b)]
    return down * across / (sum(areas) - down * across)


def pasted(pictures: Pixels, walker: Walker, first: int, *, speed: float, size: float) -> tuple[Pixels, int]:
    """The video with a walker in it who is so many times as fast and as large, and the picture after the last of them.

    Args:
        pictures: (frames, height, width).
        walker: of another video.
        first: the picture in which they begin.
        speed: times as fast: pictures of them are left out.
        size: times as large.
    """
    pixels: Any
    mask: Any
    made, count = pictures.copy(), int(len(walker.pixels) / speed)
    last = min(first + count, len(pictures))
    for number in range(first, last):
        own = int((number - first) * speed)
        pixels, mask = walker.pixels[own], walker.masks[own]
        foot = walker.corners[own][0] + mask.shape[0], walker.corners[own][1] + mask.shape[1] // 2
        if size != 1:
            pixels = ndimage.zoom(pixels, size, order=1)
            mask = ndimage.zoom(mask.astype(np.float32), size, order=1) > 0.5
        top, left = foot[0] - mask.shape[0], foot[1] - mask.shape[1] // 2
        rows = slice(max(top, 0), min(foot[0], pictures.shape[1]))
        columns = slice(max(left, 0), min(left + mask.shape[1], pictures.shape[2]))
        cut = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
        made[number, rows, columns][mask[cut]] = pixels[cut][mask[cut]]
    return made, last
