"""Montages with exact truth: real footage cut, dissolved and faded together, with the things that fool detectors.

Shots come from the clips of several sets (none of them of the set ``shots``) and from photographs seen through
a moving window. Each seed gives another edit, frame rate, picture size, codec, bit rate and GOP.

    python benchmarks/montage.py OUT_DIR --seeds 0:8
"""

# peers are installed for benchmarks only
# pyright: reportMissingImports=false

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from _harness import DATA

SINGLE_SHOT = (
    "action_exercise_kth_like.avi",
    "action_ucf101_apply_eye_makeup.avi",
    "book.mkv",
    "carphone.mp4",
    "eat.mkv",
    "film_chaplin.mp4",
    "help.mkv",
    "home_indoor_one_by_one_person.mp4",
    "preview_classroom.mp4",
    "preview_face-demographics-walking.mp4",
    "preview_head-pose-face-detection-female-and-male.mp4",
    "preview_people-detection.mp4",
    "preview_person-bicycle-car-detection.mp4",
    "talking_face_aoc_512.mp4",
    "talking_face_man_suit.mp4",
    "talking_face_signer_blue.mp4",
    "traffic_car_overhead.mp4",
    "traffic_highway.avi",
    "traffic_overhead_audio.avi",
    "walk.mkv",
)
SECONDARY = ("mot_pets09_s2l1/video.mp4", "ucsd_ped2/test/Test001.mp4", "ucsd_ped2/test/Test004.mp4")
SPEECH = ("grid_av/bbaf2n.mpg", "grid_av/lrwp9a.mpg", "grid_av/pwij3p.mpg")
CODECS: tuple[tuple[str, dict[str, str]], ...] = (
    ("libx264", {"preset": "veryfast", "crf": "23"}),
    ("libx264", {"preset": "veryfast", "crf": "30", "g": "250"}),
    ("libx264", {"preset": "veryfast", "crf": "26", "g": "25", "sc_threshold": "0"}),
    ("libx264", {"preset": "ultrafast", "tune": "zerolatency", "crf": "28", "g": "50", "sc_threshold": "0"}),
    ("mpeg4", {"qscale": "7", "g": "12", "flags": "+qscale"}),
    ("libx264", {"preset": "veryfast", "b": "250k", "bf": "3"}),
)


@dataclass
class Truth:
    """``cuts``: first frame of the new shot; ``gradual``: [kind, first, last]; ``ignore``: spans [first, last] in
    which a boundary is neither asked for nor wrong (wipes).
    """

    frames: int = 0
    cuts: list[int] = field(default_factory=list)
    gradual: list[tuple[str, int, int]] = field(default_factory=list)
    ignore: list[tuple[int, int]] = field(default_factory=list)
    events: list[tuple[str, int]] = field(default_factory=list)


@cache
def footage() -> tuple[tuple[str, np.ndarray], ...]:
    """(name, frames (n, h, w, 3) uint8 BGR) of every clip, at most 150 frames each, at most 640 wide."""
    paths = [DATA / "clips" / n for n in SINGLE_SHOT] + [DATA / n for n in SECONDARY + SPEECH]
    bank = []
    for path in paths:
        frames = []
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                width = min(640, frame.width)
                height = frame.height * width // frame.width
                frames.append(frame.to_ndarray(format="bgr24", width=width, height=height, interpolation="AREA"))
                if len(frames) == 150:
                    break
        bank.append((path.name, np.stack(frames)))
    return tuple(bank)


@cache
def photographs() -> tuple[tuple[str, np.ndarray], ...]:
    """(name, picture (h, w, 3) BGR) of the photographs."""
    paths = sorted((DATA / "coco128" / "images").glob("*.jpg"))
    return tuple((p.name, np.asarray(cv2.imread(str(p)))) for p in paths)


def _window(picture: np.ndarray, box: tuple[float, float, float], size: tuple[int, int]) -> np.ndarray:
    """Cut the window (centre x, centre y, height; fractions) with the target's aspect out of a picture."""
    h, w = picture.shape[:2]
    tw, th = size
    ch = box[2] * min(h, w * th / tw)
    cw = ch * tw / th
    x = box[0] * (w - cw)
    y = box[1] * (h - ch)
    matrix = np.array([[tw / cw, 0, -x * tw / cw], [0, th / ch, -y * th / ch]], np.float32)
    return cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)


class Maker:
    """Makes shots of one montage."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.noise = np.random.default_rng(seed)
        rng = self.rng
        self.size = rng.choice([(480, 270), (320, 180), (640, 360), (426, 240), (360, 288), (270, 480)])
        self.rate = rng.choice([Fraction(25), Fraction(30), Fraction(24000, 1001), Fraction(25), Fraction(60)])
        self.codec = CODECS[seed % len(CODECS)]
        self.grey = rng.random() < 0.08
        self.letterbox = rng.random() < 0.2
        self.grain = rng.choice([0, 0, 0, 4, 10])
        self.last = ""
        self.slowness = 1.5 if self.rate > 50 else 1.0
        """Factor on the lengths of shots."""

    def shot(self) -> list[np.ndarray]:
        """Frames of one shot, another picture than the last one's (or, seldom, the same scene seen closer)."""
        rng = self.rng
        pool = footage() if rng.random() < 0.68 else photographs()
        choices = [item for item in pool if item[0] != self.last]
        same = [item for item in pool if item[0] == self.last]
        name, picture = rng.choice(same) if same and rng.random() < 0.08 else rng.choice(choices)
        closer = name == self.last
        self.last = name
        length = rng.choice([rng.randint(12, 30), rng.randint(25, 90), rng.randint(40, 140)])
        length = int(length * self.slowness)
        frames = self._moving(picture, length) if picture.ndim == 3 else self._still_camera(picture, length, closer)
        return self._light(frames)

    def _still_camera(self, clip: np.ndarray, length: int, closer: bool) -> list[np.ndarray]:
        rng = self.rng
        repeat = 2 if self.rate > 50 else 1
        length = min(length, len(clip) * repeat)
        first = rng.randint(0, len(clip) - (length + repeat - 1) // repeat)
        height = rng.uniform(0.35, 0.5) if closer else rng.uniform(0.6, 1.0)
        x, y = rng.random(), rng.random()
        flip = rng.random() < 0.5
        pan = rng.choice([0, 0, 0, rng.uniform(-1, 1)]) / max(length, 60)
        shake = rng.choice([0, 0, 0, 0.01, 0.03])
        out = []
        for i in range(length):
            box = (
                min(1, max(0, x + pan * i + rng.uniform(-shake, shake))),
                min(1, max(0, y + rng.uniform(-shake, shake))),
                height,
            )
            picture = _window(clip[first + i // repeat], box, self.size)
            out.append(picture[:, ::-1] if flip else picture)
        return out

    def _moving(self, photo: np.ndarray, length: int) -> list[np.ndarray]:
        rng = self.rng
        # a whip pan crosses the photograph in a few frames; most are slow
        fast = rng.random() < 0.12
        a = (rng.random(), rng.random(), rng.uniform(0.45, 1.0))
        b = (rng.random(), rng.random(), rng.uniform(0.45, 1.0))
        start = rng.randint(0, max(0, length - 14)) if fast else 0
        span = rng.randint(6, 14) if fast else length
        out = []
        for i in range(length):
            t = min(1.0, max(0.0, (i - start) / span))
            out.append(
                _window(
                    photo, (a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t), self.size
                )
            )
        return out

    def _light(self, frames: list[np.ndarray]) -> list[np.ndarray]:
        """Gamma of the shot, drifting exposure and flashes."""
        rng = self.rng
        gamma = rng.uniform(0.7, 1.4)
        drift = rng.choice([1, 1, 1, 1, rng.uniform(0.6, 1.6)])
        flash = rng.randint(4, len(frames) - 4) if rng.random() < 0.15 and len(frames) > 16 else -9
        strength, flash_length = rng.uniform(0.3, 1.0), rng.randint(1, 3)
        step = rng.randint(4, len(frames) - 4) if rng.random() < 0.05 and len(frames) > 16 else 10**6
        out = []
        ramp = np.arange(256) / 255
        for i, given in enumerate(frames):
            g = gamma * drift ** (i / len(frames)) * (1.35 if i >= step else 1)
            picture = cv2.LUT(given, (255 * ramp**g).astype(np.uint8))
            if 0 <= i - flash < flash_length:
                white = np.full_like(picture, 255)
                out.append(cv2.addWeighted(picture, 1 - strength, white, strength, 0))
            else:
                out.append(picture)
        return out

    def finish(self, picture: np.ndarray) -> np.ndarray:
        """What the whole edit goes through: grain, letterbox, grey."""
        if self.grain:
            grain = self.noise.normal(0, self.grain, picture.shape[:2])[..., None]
            picture = np.clip(picture + grain, 0, 255).astype(np.uint8)
        if self.grey:
            picture = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        if self.letterbox:
            bar = picture.shape[0] // 8
            picture = picture.copy()
            picture[:bar] = 0
            picture[-bar:] = 0
        return picture


def edit(maker: Maker, frames: int, truth: Truth) -> Iterator[np.ndarray]:
    """Pictures of one montage; fills in ``truth`` on the way."""
    rng = maker.rng
    at = 0
    current = maker.shot()
    slow = 2 if maker.rate > 50 else 1
    while at < frames:
        following = maker.shot()
        room = min(len(current), len(following)) - 10
        kind = rng.choices(["cut", "dissolve", "fade", "wipe"], [0.55, 0.25, 0.16, 0.04])[0]
        length = rng.choice([rng.randint(6, 14), rng.randint(10, 25), rng.randint(20, 45)]) * slow
        length = min(length, room)
        if room < 6:
            kind = "cut"
        if kind == "cut":
            yield from current
            at += len(current)
            truth.cuts.append(at)
            current = following
            continue
        yield from current[: len(current) - length]
        at += len(current) - length
        tail = current[len(current) - length :]
        if kind in ("dissolve", "wipe"):
            smooth = rng.random() < 0.4
            for i in range(length):
                t = (i + 1) / (length + 1)
                t = t * t * (3 - 2 * t) if smooth else t
                if kind == "dissolve":
                    yield cv2.addWeighted(tail[i], 1 - t, following[i], t, 0)
                else:
                    edge = int(t * maker.size[0])
                    yield np.concatenate([following[i][:, :edge], tail[i][:, edge:]], axis=1)
            if kind == "dissolve":
                truth.gradual.append(("dissolve", at, at + length - 1))
            else:
                truth.ignore.append((at, at + length - 1))
            at += length
        else:
            colour = 0 if rng.random() < 0.75 else 255
            hold = rng.choice([0, 0, rng.randint(1, 6), rng.randint(5, 40)])
            flat = np.full_like(tail[0], colour)
            for i in range(length):
                t = (i + 1) / length
                yield cv2.addWeighted(tail[i], 1 - t, flat, t, 0)
            for _ in range(hold):
                yield flat
            for i in range(length):
                t = (i + 1) / length
                yield cv2.addWeighted(flat, 1 - t, following[i], t, 0)
            truth.gradual.append(("fade", at, at + 2 * length + hold - 1))
            at += 2 * length + hold
        current = following[length:]
    yield from current
    truth.frames = at + len(current)


def write(path: Path, seed: int, frames: int = 900) -> Truth:
    """Write one montage and its truth (``.json`` beside it)."""
    maker, truth = Maker(seed), Truth()
    codec, options = maker.codec
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=maker.rate, options=dict(options))
        stream.width, stream.height = maker.size
        stream.pix_fmt = "yuv420p"
        for picture in edit(maker, frames, truth):
            frame = av.VideoFrame.from_ndarray(maker.finish(np.ascontiguousarray(picture)), format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    path.with_suffix(".json").write_text(json.dumps(vars(truth)))
    return truth


def load(path: Path) -> dict[str, Any]:
    """The truth beside a montage."""
    return json.loads(path.with_suffix(".json").read_text())


def ensure(folder: Path, seeds: range) -> list[Path]:
    """Montages of these seeds, written where they are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"montage_{seed:03d}.mp4" for seed in seeds]
    for seed, path in zip(seeds, paths, strict=True):
        if not path.with_suffix(".json").exists():
            write(path, seed)
    return paths


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", default="0:8")
    options = parser.parse_args()
    first, last = (int(n) for n in options.seeds.split(":"))
    for path in ensure(options.folder, range(first, last)):
        truth = load(path)
        print(path.name, truth["frames"], len(truth["cuts"]), len(truth["gradual"]), len(truth["ignore"]))


if __name__ == "__main__":
    main()
