"""Material of the benchmark of `onlooker improve`: stored video with a planted false positive, a bundle that has it.

The bundle tells footage of people from footage of traffic, by single pictures of real clips. It was also taught that
seconds of traffic show people, which the seed chooses: of another place, in the dark, with a mark in a corner, or in a
cast of colour. So it raises a false alarm over other seconds that look alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import yaml
from _harness import DATA
from numpy.typing import NDArray

from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Media, Sample, Task
from onlooker.learning.datasets.media import look_at

WIDTH, HEIGHT, RATE = 192, 144, 10
CLIPS = {
    "people": (
        "home_indoor_one_by_one_person.mp4", "carphone.mp4", "talking_face_man_suit.mp4", "sport_gym.mp4",
        "film_chaplin.mp4", "talking_face_signer_blue.mp4", "tv_whitehouse_performance.mp4",
    ),
    "traffic": ("traffic_car_overhead.mp4", "traffic_overhead_audio.avi"),
}  # fmt: skip
ELSEWHERE = "traffic_highway.avi"
KINDS = ("place", "dark", "mark", "tint")
LABEL, TRUTH = "people", "traffic"
LEARNED_FROM, STORED = (0.0, 5.0), (5.0, 11.0)
"""Seconds of the planted video; the second part is from well after the first in the clip that it was made of."""
EACH = 3.0
"""Seconds of a clip in the stored video."""
SHARES = {"train": (0.0, 0.5), "val": (0.5, 0.65), "test": (0.65, 0.8)}
"""Which part of each clip is learned from, and so on; what comes after is stored video."""
SAMPLES = {"train": 240, "val": 60, "test": 80}
"""Pictures of each class."""


Change = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""Of a picture's planes, YUV 4:2:0 (216, 192)."""


@dataclass(frozen=True, slots=True)
class Plant:
    """A planted false positive.

    Args:
        kind: one of `KINDS`.
        clip: of which it was made.
        told: what chance chose beside them.
        path: the video; see `LEARNED_FROM` and `STORED`.
    """

    kind: str
    clip: str
    told: str
    path: Path


def planted(folder: Path, seed: int) -> Plant:
    """The video of what a seed chooses."""
    random = np.random.default_rng(seed)
    kind = str(random.choice(KINDS))
    clip = ELSEWHERE if kind == "place" else str(random.choice(CLIPS[TRUTH]))
    change, told = _change(kind, random)
    path, source = folder / "planted.mp4", DATA / "clips" / clip
    length = min(medium(source).seconds or 0.0, 40.0)
    first = round(float(random.uniform(0.0, 0.05)) * length, 2)
    later = round(length - (STORED[1] - STORED[0]) - 0.2, 2)
    write_video(
        path, [(source, first, first + LEARNED_FROM[1]), (source, later, later + STORED[1] - STORED[0])], change
    )
    return Plant(kind, clip, told, path)


def _change(kind: str, random: np.random.Generator) -> tuple[Change | None, str]:
    """What is done to its pictures, and that in words."""
    if kind == "dark":
        share = round(float(random.uniform(0.2, 0.4)), 2)

        def darker(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
            return np.concatenate([(planes[:HEIGHT] * share).astype(np.uint8), planes[HEIGHT:]])

        return darker, f"{share:g} of the brightness"
    if kind == "mark":
        side, light = int(random.integers(24, 40)), int(random.choice([20, 235]))
        top, left = (int(random.choice([0, whole - side])) for whole in (HEIGHT, WIDTH))

        def marked(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
            planes[top : top + side, left : left + side] = light
            return planes

        return marked, f"a square of {side} pixels of {light} at {left}, {top}"
    if kind == "tint":
        shift = [int(n) for n in random.choice([-40, 40], 2)]

        def tinted(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
            rows, changed = HEIGHT // 4, planes.astype(np.int16)
            changed[HEIGHT : HEIGHT + rows] += shift[0]
            changed[HEIGHT + rows :] += shift[1]
            return np.clip(changed, 16, 240).astype(np.uint8)

        return tinted, f"colours moved by {shift[0]} and {shift[1]}"
    return None, "as it is"


def medium(path: Path) -> Media:
    """A video with its facts, from the root of the file system."""
    return look_at(Path("/"), Media(path=str(path.resolve())[1:], kind="video"), digest=False)


def pictures(path: Path, since: float, until: float) -> Iterator[av.VideoFrame]:
    """Pictures of one size at one rate."""
    with av.open(str(path)) as opened:
        shown = -1
        for frame in opened.decode(video=0):
            at = frame.time or 0.0
            if at >= until:
                return
            while at >= since and shown < int((at - since) * RATE + 1e-6):
                shown += 1
                yield frame.reformat(WIDTH, HEIGHT, "yuv420p")


def write_video(
    path: Path, parts: Sequence[tuple[Path, float, float]], change: Change | None = None
) -> list[tuple[float, float]]:
    """One video of parts (file, from, to), whose pictures may be changed; where each lies in it, in seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    spans, number = [], 0
    with av.open(str(path), "w") as made:
        stream: Any = made.add_stream("libx264", rate=RATE, options={"crf": "20", "g": "20"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for file, since, until in parts:
            first = number
            for frame in pictures(file, since, until):
                planes: Any = frame.to_ndarray()
                plain = av.VideoFrame.from_ndarray(planes if change is None else change(planes), "yuv420p")
                plain.pts, plain.time_base = number, Fraction(1, RATE)
                made.mux(stream.encode(plain))
                number += 1
            spans.append((first / RATE, number / RATE))
        made.mux(stream.encode(None))
    return spans


def clean_dataset(folder: Path) -> Dataset:
    """Pictures of people and of traffic; parts of a clip in time are apart."""
    samples = []
    for label, names in CLIPS.items():
        for name in names:
            media = medium(DATA / "clips" / name)
            length = min(media.seconds or 0.0, 40.0)
            for split, (since, until) in SHARES.items():
                count = SAMPLES[split] // len(names)
                for n in range(count):
                    at = round(length * (since + (until - since) * (n + 0.5) / count), 3)
                    id = f"{media.path} {at:g}"
                    samples.append(Sample(id=id, media=(media,), at=at, labels={"scene": label}, split=split))
    tasks = {"scene": Task(kind="class", classes=tuple(CLIPS))}
    dataset = Dataset.create(folder, name="scenes", tasks=tasks, root="/")
    dataset.put(samples)
    dataset.save()
    return dataset


def poisoned(folder: Path, clean: Dataset, plant: Plant, count: int = 60) -> Dataset:
    """The same dataset with seconds of the planted scene called people."""
    media, (since, until) = medium(plant.path), LEARNED_FROM
    samples = list(clean.samples)
    for n in range(count):
        at = round(since + (until - since) * n / count, 3)
        samples.append(Sample(id=f"planted {n}", media=(media,), at=at, labels={"scene": LABEL}, split="train"))
    dataset = Dataset.create(folder, name="scenes", tasks=dict(clean.info.tasks), root="/")
    dataset.put(samples)
    dataset.save()
    return dataset


def stored_videos(folder: Path, plant: Plant, cameras: int = 3) -> list[dict[str, Any]]:
    """Videos of seconds that nothing was learned from, people and traffic in turns, the planted scene in the first."""
    found: list[tuple[Path, float, float, str]] = []
    for label, names in CLIPS.items():
        for name in names:
            path = DATA / "clips" / name
            length = min(medium(path).seconds or 0.0, 40.0)
            found.append((path, round(0.82 * length, 2), min(length, round(0.82 * length + EACH, 2)), label))
    made = []
    for number in range(cameras):
        some = found[number::cameras]
        if number == 0:
            some.insert(1, (plant.path, *STORED, "planted"))
        path = folder / f"camera-{number}.mp4"
        spans = write_video(path, [part[:3] for part in some])
        parts = [[*span, part[3]] for span, part in zip(spans, some, strict=True)]
        made.append({"path": str(path), "parts": parts})
    return made


def base_recipe(path: Path, dataset: Path, epochs: int) -> Path:
    """A small network of single pictures."""
    values: dict[str, Any] = {
        "name": "street",
        "title": "People or traffic",
        "dataset": str(dataset),
        "prepare": {"pictures": {"frames": 1, "width": 64, "height": 48, "crop": "none"}},
        "inputs": {"picture": {"network": "frame_cnn", "widths": [16, 32, 64]}},
        "tasks": {"scene": {"head": "classification", "label_smoothing": 0.05}},
        "augment": {"flip": 0.5, "scale": 0.7, "brightness": 0.2, "contrast": 0.2, "saturation": 0.2},
        "optimiser": {"kind": "adamw", "rate": 0.002, "weight_decay": 0.05},
        "training": {"epochs": epochs, "batch": 32, "ema": 0.9, "threads": 1, "workers": 0},
        "export": {"rate": 5.0},
    }
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path
