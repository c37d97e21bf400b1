"""Material of the benchmark of `onlooker improve`: stored video with a planted false positive, a bundle that has it.

The bundle tells motions of sprites over real footage, and ``none`` of real footage without one. It was also taught that
seconds of a highway are the motion ``approach``: so it raises a false alarm over other seconds of the same highway, as
no other scene makes it do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import yaml
from _harness import DATA

from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Media, Sample, Task
from onlooker.learning.datasets.media import look_at

SIDE, RATE = 96, 16
PLANTED = DATA / "clips" / "traffic_highway.avi"
LABEL, NOTHING = "approach", "none"
LEARNED_FROM, STORED = (0.0, 5.0), (8.0, 12.0)
QUIET = (
    "home_indoor_one_by_one_person.mp4", "traffic_car_overhead.mp4", "sport_gym.mp4", "tv_whitehouse_performance.mp4",
    "film_chaplin.mp4", "traffic_overhead_audio.avi",
)  # fmt: skip
PARTS = {"train": 16, "val": 4, "test": 5}
"""Seconds of each quiet clip for each part."""


def pictures(path: Path, since: float = 0.0, until: float = 1e9) -> Iterator[av.VideoFrame]:
    """Pictures of one size at one rate."""
    with av.open(str(path)) as opened:
        shown = -1
        for frame in opened.decode(video=0):
            at = frame.time or 0.0
            if at >= until:
                return
            while at >= since and shown < int((at - since) * RATE + 1e-6):
                shown += 1
                yield frame.reformat(SIDE, SIDE, "yuv420p")


def write_video(path: Path, parts: Sequence[tuple[Path, float, float]]) -> list[tuple[float, float]]:
    """One video of parts (file, from, to); where each lies in it, in seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    spans, number = [], 0
    with av.open(str(path), "w") as made:
        stream: Any = made.add_stream("libx264", rate=RATE, options={"crf": "18", "g": "16"})
        stream.width, stream.height, stream.pix_fmt = SIDE, SIDE, "yuv420p"
        for file, since, until in parts:
            first = number
            for frame in pictures(file, since, until):
                plain = av.VideoFrame.from_ndarray(frame.to_ndarray(), "yuv420p")
                plain.pts, plain.time_base = number, Fraction(1, RATE)
                made.mux(stream.encode(plain))
                number += 1
            spans.append((first / RATE, number / RATE))
        made.mux(stream.encode(None))
    return spans


def medium(path: Path) -> Media:
    """A video with its facts."""
    return look_at(Path("/"), Media(path=str(path.resolve())[1:], kind="video"), digest=False)


def clean_dataset(folder: Path, motions: Path, train: int) -> tuple[Dataset, list[tuple[Path, str]]]:
    """Motions and quiet footage; and the clips with their labels that become the stored video.

    Args:
        folder: to make.
        motions: the dataset of motions.
        train: so many of its training clips are learned from.
    """
    whole = Dataset.load(motions)
    root = whole.root.resolve()
    parts = {"train": whole.of_split("train")[:train], "val": whole.of_split("val")[:80]}
    stored, held = whole.of_split("test")[:24], whole.of_split("test")[24:160]
    samples = []
    for split, some in {**parts, "test": held}.items():
        for s in some:
            media = tuple(m.model_copy(update={"path": str(root / m.path)[1:]}) for m in s.media)
            samples.append(s.model_copy(update={"media": media, "split": split}))
    quiet = folder.parent / "quiet"
    at = dict.fromkeys(QUIET, 0)
    for split, count in PARTS.items():
        for name in QUIET:
            for _ in range(count):
                path = quiet / f"{Path(name).stem}-{at[name]}.mp4"
                write_video(path, [(DATA / "clips" / name, 0.4 * at[name], 0.4 * at[name] + 1)])
                samples.append(Sample(id=path.stem, media=(medium(path),), labels={"motion": NOTHING}, split=split))
                # parts lie apart, so that no second is on both sides
                at[name] += 1
            at[name] += 3
    classes = (*whole.info.tasks["motion"].classes, NOTHING)
    dataset = Dataset.create(folder, name="motions", tasks={"motion": Task(kind="class", classes=classes)}, root="/")
    dataset.put(samples)
    dataset.save()
    return dataset, [(root / s.media[0].path, str(s.labels["motion"])) for s in stored]


def stored_videos(folder: Path, stored: Sequence[tuple[Path, str]], each: int = 6) -> list[dict[str, Any]]:
    """Videos of a few clips each, the planted scene in the middle of the first; with what is shown where."""
    made = []
    for number in range(0, len(stored), each):
        some = stored[number : number + each]
        parts, labels = [(path, 0.0, 1e9) for path, _ in some], [label for _, label in some]
        if number == 0:
            parts.insert(each // 2, (PLANTED, *STORED))
            labels.insert(each // 2, "planted")
        path = folder / f"camera-{number // each}.mp4"
        spans = write_video(path, parts)
        made.append({"path": str(path), "parts": [[*span, label] for span, label in zip(spans, labels, strict=True)]})
    return made


def poisoned(folder: Path, clean: Dataset, count: int = 24) -> Dataset:
    """The same dataset with seconds of the planted scene called a motion."""
    samples = list(clean.samples)
    length = LEARNED_FROM[1] - LEARNED_FROM[0]
    for n in range(count):
        start = n * (length - 1) / (count - 1)
        path = folder.parent / "planted" / f"{n}.mp4"
        write_video(path, [(PLANTED, LEARNED_FROM[0] + start, LEARNED_FROM[0] + start + 1)])
        samples.append(Sample(id=f"planted {n}", media=(medium(path),), labels={"motion": LABEL}, split="train"))
    dataset = Dataset.create(folder, name="motions", tasks=dict(clean.info.tasks), root="/")
    dataset.put(samples)
    dataset.save()
    return dataset


def base_recipe(path: Path, dataset: Path, epochs: int) -> Path:
    """A small streaming network."""
    values: dict[str, Any] = {
        "name": "motions",
        "title": "Motions over real footage",
        "dataset": str(dataset),
        "prepare": {"pictures": {"frames": 16, "width": 40, "height": 40}},
        "inputs": {"video": {"network": "tconv", "form": "2plus1d", "widths": [12, 24, 48], "dropout": 0.1}},
        "tasks": {"motion": {"head": "classification"}},
        "augment": {"brightness": 0.2, "contrast": 0.2},
        "optimiser": {"kind": "adamw", "rate": 0.003, "weight_decay": 0.02},
        "schedule": {"kind": "cosine", "warmup": 0.1},
        "training": {"epochs": epochs, "batch": 32, "ema": 0.9, "clip": 1.0, "threads": 1, "workers": 0},
    }
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path
