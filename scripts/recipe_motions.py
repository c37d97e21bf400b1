"""Motions over real footage: a sprite moves one way or the other way round, so that only the order in time tells.

Every motion has its opposite, made by the same path run backwards: the frames of both, taken without their order, are
alike. Footage of one video is on one side only.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Media, Sample, Task
from onlooker.learning.datasets.media import kind_of, look_at

SEED = 0
SIZE = 96
"""Pixels of a side."""
FRAMES = 16
RATE = 16
"""Frames a second; a clip is a second long."""
CLIPS = {"train": 1040, "val": 240, "test": 320}
PAIRS = (("right", "left"), ("approach", "recede"), ("clockwise", "anticlockwise"), ("appear", "disappear"))
"""A motion, and the same backwards."""
MOTIONS = tuple(name for pair in PAIRS for name in pair)
SHAPES = ("disc", "square", "triangle", "star", "ring")
SIDES = {
    "val": ("carphone", "preview_classroom", "sport_gym"),
    "test": ("action_arm_wrestling", "help", "home_indoor_one_by_one_person", "traffic_car_overhead"),
}
"""Footage of validation and test; all other is for training."""

Place = tuple[float, float, float, float]
"""Centre x and y and size in fractions of the picture, and how much of the sprite is seen, 0..1."""


def path_of(pair: str, draw: np.random.Generator) -> Callable[[float], Place]:
    """Where the sprite is at a time 0..1, for the first motion of a pair."""
    x, y = draw.uniform(0.3, 0.7, 2)
    size = float(draw.uniform(0.2, 0.36))
    if pair == "right":
        begin, end, drift = draw.uniform(0.08, 0.28), draw.uniform(0.72, 0.92), draw.uniform(-0.15, 0.15)
        return lambda t: (begin + (end - begin) * t, y + drift * (t - 0.5), size, 1.0)
    if pair == "approach":
        small, large = draw.uniform(0.1, 0.16), draw.uniform(0.36, 0.55)
        aside = draw.uniform(-0.12, 0.12, 2)
        return lambda t: (x + aside[0] * (t - 0.5), y + aside[1] * (t - 0.5), small * (large / small) ** t, 1.0)
    if pair == "clockwise":
        radius, start, turn = draw.uniform(0.18, 0.3), draw.uniform(0, 2 * math.pi), draw.uniform(1.2, 2.0) * math.pi
        size *= 0.8
        return lambda t: (
            0.5 + radius * math.cos(start + turn * t),
            0.5 + radius * math.sin(start + turn * t),
            size,
            1.0,
        )
    middle, width = draw.uniform(0.35, 0.65), draw.uniform(0.15, 0.4)
    return lambda t: (x, y, size, min(1.0, max(0.0, (t - middle) / width + 0.5)))


def sprite(draw: np.random.Generator) -> Image.Image:
    """An RGBA picture of 128 pixels: a textured shape with a soft edge."""
    side, shape = 128, SHAPES[int(draw.integers(len(SHAPES)))]
    mask = Image.new("L", (side, side))
    pen = ImageDraw.Draw(mask)
    turned = float(draw.uniform(0, 2 * math.pi))
    if shape in ("disc", "ring"):
        pen.ellipse((4, 4, side - 4, side - 4), fill=255)
        if shape == "ring":
            pen.ellipse((40, 40, side - 40, side - 40), fill=0)
    else:
        corners = {"square": 4, "triangle": 3, "star": 10}[shape]
        radii = [60 if shape != "star" or n % 2 == 0 else 26 for n in range(corners)]
        angles = [turned + 2 * math.pi * n / corners for n in range(corners)]
        pen.polygon([(64 + r * math.cos(a), 64 + r * math.sin(a)) for r, a in zip(radii, angles, strict=True)], 255)
    colours = draw.integers(0, 256, (4, 4, 3)).astype(np.uint8)
    if draw.random() < 0.5:  # one colour, hardly textured
        colours = (colours[:1, :1] * 0.85 + colours * 0.15).astype(np.uint8)
    made = Image.fromarray(colours).resize((side, side), Image.Resampling.BICUBIC)
    made.putalpha(mask.filter(ImageFilter.GaussianBlur(1.5)))
    return made


def footage(path: Path) -> NDArray[np.uint8]:
    """At most 240 frames (n, h, w, 3) of a video, its shorter side 160 pixels."""
    made: list[NDArray[np.uint8]] = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            scale = 160 / min(frame.width, frame.height)
            size = round(frame.width * scale), round(frame.height * scale)
            made.append(np.asarray(frame.reformat(*size, format="rgb24").to_ndarray(), np.uint8))
            if len(made) == 240:
                break
    return np.stack(made)


def background(frames: NDArray[np.uint8], draw: np.random.Generator) -> list[Image.Image]:
    """Sixteen frames in a row of a random part, forwards or backwards and mirrored or not, so that it tells nothing."""
    count, high, wide = frames.shape[:3]
    first = int(draw.integers(max(1, count - FRAMES)))
    numbers = [min(first + n, count - 1) for n in range(FRAMES)]
    side = int(draw.integers(SIZE, 161))
    top, left = int(draw.integers(high - side + 1)), int(draw.integers(wide - side + 1))
    back, mirror = draw.random(2) < 0.5
    part = frames[numbers[::-1] if back else numbers, top : top + side, left : left + side]
    part = part[:, :, ::-1] if mirror else part
    return [Image.fromarray(np.ascontiguousarray(f)).resize((SIZE, SIZE), Image.Resampling.BOX) for f in part]


def clip(motion: str, frames: NDArray[np.uint8], draw: np.random.Generator) -> list[NDArray[np.uint8]]:
    """Sixteen frames (96, 96, 3) of a motion."""
    pair, backwards = next((p, motion == p[1]) for p in PAIRS if motion in p)
    where, shown = path_of(pair[0], draw), sprite(draw)
    made: list[NDArray[np.uint8]] = []
    for n, picture in enumerate(background(frames, draw)):
        at = n / (FRAMES - 1)
        x, y, size, seen = where(1 - at if backwards else at)
        pixels = max(2, round(size * SIZE))
        small = shown.resize((pixels, pixels), Image.Resampling.LANCZOS)
        alpha = small.getchannel("A").point([round(v * seen) for v in range(256)])
        picture.paste(small.convert("RGB"), (round(x * SIZE - pixels / 2), round(y * SIZE - pixels / 2)), alpha)
        made.append(np.asarray(picture))
    return made


def write_clip(path: Path, frames: list[NDArray[np.uint8]]) -> None:
    """H.264 of high quality in MP4; whole or not at all."""
    unfinished = path.with_name(f".{path.name}")
    with av.open(str(unfinished), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "16", "preset": "fast", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = SIZE, SIZE, "yuv420p"
        stream.time_base = Fraction(1, RATE)
        for n, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = n, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    os.replace(unfinished, path)


def make_motions(data: Path, dataset: Dataset, clips: dict[str, int] | None = None) -> None:
    """Write clips, motions alike often; ``clips`` are how many by side."""
    films = {p.stem: p for p in sorted((data / "clips").iterdir()) if kind_of(p) == "video"}
    held = {name: footage(path) for name, path in films.items()}
    fixed = {name for names in SIDES.values() for name in names}
    samples: list[Sample] = []
    for number, (side, count) in enumerate((clips or CLIPS).items()):
        names = [n for n in held if n in SIDES.get(side, ()) or (side == "train" and n not in fixed)]
        for n in range(count):
            draw = np.random.default_rng([SEED, number, n])
            motion, name = MOTIONS[n % len(MOTIONS)], names[int(draw.integers(len(names)))]
            path = f"{side}/{n:04d}.mp4"
            place = dataset.folder / path
            if not place.is_file():
                place.parent.mkdir(parents=True, exist_ok=True)
                write_clip(place, clip(motion, held[name], draw))
            media = look_at(dataset.folder, Media(path=path, kind="video"))
            samples.append(
                Sample(id=path, media=(media,), split=side, labels={"motion": motion}, groups={"source": name})
            )
    dataset.put(samples, {"motion": Task(kind="class", classes=MOTIONS)})
