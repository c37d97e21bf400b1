"""Digits seen and heard: pairs of a degraded MNIST digit and the same digit spoken in the babble of other voices.

As AV-MNIST of Vielzeuf et al. 2018 (arXiv 1808.07275), with louder noise: each sense alone leaves much open. Images and
recordings, those in the babble too, are on one side only; the six speakers are on all sides.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Media, MediaKind, Sample, Task

SEED = 0
RATE = 8000
"""Samples a second; every sound is a second long."""
ENERGY = 0.25
"""Share of the training images' variance that the kept principal components have."""
RATIO = -10.0
"""dB of the second with the spoken digit, silence around it counted, over the babble."""
VOICES = 100
"""At once in the babble: a hall full of people, of whom none is understood."""
LOUDNESS = 0.1
"""Root mean square of a sound, of full scale 1."""
PAIRS = {"train": 20_000, "val": 2_000, "test": 10_000}
IMAGES = {"train": slice(0, 5400), "val": slice(5400, 6000), "test": slice(6000, 8000)}
"""Places after shuffling: the set's second half was written by other people, less clearly."""
TAKES = {"train": range(5, 23), "val": range(23, 25), "test": range(25, 30)}
"""Which of a speaker's recordings of a digit."""


@dataclass(frozen=True)
class Side:
    """What the pairs of one side are drawn from: images and recordings with their numbers in the originals."""

    images: NDArray[np.int64]
    recordings: NDArray[np.int64]


class Speech:
    """The recordings, float32 in -1..1."""

    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as held:
            self.digits, self.takes, self.speakers = held["digits"], held["index"], held["speakers"]
            samples, offsets = held["audio"].astype(np.float32) / 32768, held["offsets"]
        self.sounds = [samples[a:b] for a, b in itertools.pairwise(offsets)]

    def voices(self, which: NDArray[np.int64]) -> NDArray[np.float32]:
        """Recordings one after another, equally loud."""
        return np.concatenate([self.sounds[n] / loudness(self.sounds[n]) for n in which])

    def spoken(self, which: int, voices: NDArray[np.float32], draw: np.random.Generator) -> NDArray[np.float32]:
        """A second of a recording in the babble of many stretches of others."""
        said = self.sounds[which][:RATE]
        said = said / (loudness(said) * (len(said) / RATE) ** 0.5)
        babble = np.zeros(RATE, np.float32)
        for start in draw.integers(len(voices) - RATE, size=VOICES):
            babble += voices[start : start + RATE]
        mixed = babble / loudness(babble) * 10 ** (-RATIO / 20)
        start = (RATE - len(said)) // 2
        mixed[start : start + len(said)] += said
        return mixed / loudness(mixed) * LOUDNESS


def loudness(sound: NDArray[np.float32]) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(sound.astype(np.float64) ** 2))) + 1e-9


def degraded(images: NDArray[np.uint8], training: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Images (n, 28, 28) of which only the first principal components of the training images are left."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    mean = flat[training].mean(0)
    values, vectors = np.linalg.eigh(np.cov(flat[training] - mean, rowvar=False))
    shares = np.cumsum(values[::-1]) / values.sum()
    kept = vectors[:, ::-1][:, : int(np.searchsorted(shares, ENERGY)) + 1]
    made = (flat - mean) @ kept @ kept.T + mean
    return made.round().clip(0, 255).astype(np.uint8).reshape(images.shape)


def drawn(side: Side, labels: NDArray[np.uint8], digits: NDArray[np.uint8], count: int, number: int) -> Iterator[tuple]:
    """Pairs (digit, image, recording): digits alike often, everything of a digit used before anything is used again."""
    draw = np.random.default_rng([SEED, number])
    queues: dict[tuple[str, int], list[int]] = {}

    def following(sort: str, digit: int, held: NDArray[np.int64]) -> int:
        queue = queues.setdefault((sort, digit), [])
        if not queue:
            queue.extend(int(n) for n in draw.permutation(held))
        return queue.pop()

    for digit in draw.permutation(np.arange(count) % 10):
        image = following("image", int(digit), side.images[labels[side.images] == digit])
        yield int(digit), image, following("sound", int(digit), side.recordings[digits[side.recordings] == digit])


def png(picture: NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG")
    return out.getvalue()


def wav(sound: NDArray[np.float32]) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((sound.clip(-1, 1) * 32767).round().astype("<i2").tobytes())
    return out.getvalue()


def stored(folder: Path, path: str, kind: MediaKind, body: bytes, **facts: int | float) -> Media:
    """A medium of these bytes, written unless it is there as a whole."""
    place = folder / path
    if not (place.is_file() and place.read_bytes() == body):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(body)
    return Media.model_validate({"path": path, "kind": kind, "digest": hashlib.sha256(body).hexdigest()[:32], **facts})


def make_digits(data: Path, dataset: Dataset, pairs: dict[str, int] | None = None) -> None:
    """Write images, sounds and pairs; ``pairs`` are how many by side."""
    with np.load(data / "av_digits/mnist_t10k_part.npz", allow_pickle=False) as held:
        order = np.random.default_rng(SEED).permutation(len(held["images"]))
        images, labels = held["images"], held["labels"]
    images = degraded(images, order[IMAGES["train"]])
    speech = Speech(data / "av_digits/fsdd.npz")
    samples: list[Sample] = []
    for number, (name, count) in enumerate((pairs or PAIRS).items()):
        side = Side(
            np.sort(order[IMAGES[name]]),
            np.flatnonzero(np.isin(speech.takes, list(TAKES[name]))),
        )
        voices = speech.voices(side.recordings)
        for n, (digit, image, recording) in enumerate(drawn(side, labels, speech.digits, count, number)):
            sound = speech.spoken(recording, voices, np.random.default_rng([SEED, number, n]))
            seen = stored(dataset.folder, f"images/{image:04d}.png", "image", png(images[image]), width=28, height=28)
            path = f"sounds/{name}/{n:05d}.wav"
            heard = stored(dataset.folder, path, "audio", wav(sound), seconds=1.0, sound=RATE)
            samples.append(
                Sample(
                    id=f"{name}/{n:05d}",
                    media=(seen, heard),
                    split=name,
                    labels={"digit": str(digit)},
                    groups={
                        "image": f"{image:04d}",
                        "recording": f"{recording:04d}",
                        "speaker": str(speech.speakers[recording]),
                    },
                )
            )
    dataset.info = dataset.info.model_copy(update={"overlap": ("speaker",)})
    dataset.put(samples, {"digit": Task(kind="class", classes=tuple("0123456789"))})
