"""Makes clips of two people side by side, of whom known ones speak, out of GRID's talking faces."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from _harness import DATA
from _sound_mixtures import load
from numpy.typing import NDArray

RATE, SOUND = 25, 16_000
WIDTH, HEIGHT = 360, 288
PEOPLE = ("bbaf2n", "brbk7n", "lbax4n", "lbbc2a", "lrwp9a", "lwbsza", "pwij3p")
"""Seven different people, three seconds each."""
_REST = 12
"""Frames at the clip's end in which the mouth is closed."""
Pictures = NDArray[np.uint8]


@dataclass(frozen=True)
class Part:
    """Three seconds of a clip.

    Args:
        moves: the sides whose mouths move; 0 is left.
        heard: the side whose voice is heard, 2 for a third person's, or None.
    """

    moves: tuple[int, ...] = ()
    heard: int | None = None


LEFT, RIGHT = Part((0,), 0), Part((1,), 1)
BOTH = Part((0, 1), 0)
MUTED = Part((0,))
UNSEEN = Part((), 2)
NOBODY = Part()
SECONDS = 3


@cache
def pictures(person: str) -> Pictures:
    """(75, 288, 360, 3) RGB."""
    with av.open(str(DATA / "grid_av" / f"{person}.mpg")) as clip:
        shown = [f.reformat(WIDTH, HEIGHT, "rgb24").to_ndarray() for f in clip.decode(video=0)]
    return np.stack(shown).astype(np.uint8)


@cache
def voice(person: str) -> NDArray[np.float32]:
    """Three seconds at 16 kHz."""
    samples = load(DATA / "grid_av" / f"{person}.mpg")[: 3 * SOUND]
    return np.pad(samples, (0, 3 * SOUND - len(samples)))


def resting(person: str, count: int) -> Pictures:
    """So many pictures with a closed mouth, to and fro."""
    last = pictures(person)[-_REST:]
    there_and_back = np.concatenate([last, last[-2:0:-1]])
    return there_and_back[np.arange(count) % len(there_and_back)]


def write(path: Path, shown: Pictures, samples: NDArray[Any] | None) -> Path:
    """An H.264 file with AAC sound at 16 kHz, or without a sound track."""
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream("libx264", rate=RATE)
        video.width, video.height, video.pix_fmt = shown.shape[2], shown.shape[1], "yuv420p"
        video.options = {"preset": "veryfast", "crf": "20"}
        audio: Any = out.add_stream("aac", rate=SOUND, layout="mono") if samples is not None else None
        for i, picture in enumerate(shown):
            frame: Any = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
            frame.pts, frame.time_base = i, Fraction(1, RATE)
            out.mux(video.encode(frame))
        out.mux(video.encode())
        if audio is not None and samples is not None:
            block: Any = av.AudioFrame.from_ndarray(samples.astype(np.float32)[None], "fltp", "mono")
            block.sample_rate, block.pts, block.time_base = SOUND, 0, Fraction(1, SOUND)
            out.mux(audio.encode(block))
            out.mux(audio.encode())
    return path


def talk(path: Path, people: tuple[str, str, str], parts: tuple[Part, ...]) -> Path:
    """A clip of the first two people side by side; the third is only heard. Each part lasts `SECONDS`."""
    shown: list[Pictures] = []
    sound: list[NDArray[np.float32]] = []
    count = SECONDS * RATE
    for part in parts:
        halves = [pictures(p)[:count] if side in part.moves else resting(p, count) for side, p in enumerate(people[:2])]
        shown.append(np.concatenate(halves, axis=2))
        sound.append(np.zeros(SECONDS * SOUND, np.float32) if part.heard is None else voice(people[part.heard]))
    return write(path, np.concatenate(shown), np.concatenate(sound))
