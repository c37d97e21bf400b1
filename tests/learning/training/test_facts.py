"""What of a dataset does not fit a recipe is told by its samples and settings."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from learning._tiny import tiny_dataset, tiny_recipe
from onlooker.core.errors import UsageError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Media, Sample, Task
from onlooker.learning.training.train import train

FEW = {"epochs": 1, "batch": 4, "threads": 1, "workers": 0}


def hums(folder: Path) -> Path:
    """A dataset of half a second of sound each, at 8 kHz, two kinds of it."""
    folder.mkdir()
    tasks = {"kind": Task(kind="class", classes=("low", "high"))}
    dataset = Dataset.create(folder, name="hums", tasks=tasks)
    random = np.random.default_rng(0)
    samples = []
    for number in range(8):
        sound = np.sin(np.arange(4000) * (0.2 + 0.3 * (number % 2))) * 8000 + random.normal(0, 500, 4000)
        with wave.open(str(folder / f"{number}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(sound.astype(np.int16).tobytes())
        media = (Media(path=f"{number}.wav", kind="audio", seconds=0.5, sound=8000),)
        labels = {"kind": ("low", "high")[number % 2]}
        samples.append(Sample(id=str(number), media=media, labels=labels, split="train" if number < 6 else "val"))
    dataset.put(samples)
    dataset.save()
    return folder


@pytest.mark.parametrize(
    ("spectrum", "prepare", "said"),
    [
        ({"high": 9000}, {}, r"spectrum.high: 9000 Hz is above 4000 Hz, half of the sample rate .*prepare.sound.rate"),
        ({"low": 4000}, {}, r"spectrum.low: expected less than high, 4000 Hz, got 4000"),
        ({"low": 3000, "high": 2000}, {}, r"spectrum.low: expected less than high, 2000 Hz, got 3000"),
        ({}, {"seconds": 70.0}, r"inputs.ear: a look of more than a minute of sound .*see prepare"),
    ],
)
def test_a_spectrum_that_the_sound_does_not_have_is_told(
    tmp_path: Path, spectrum: dict[str, Any], prepare: dict[str, Any], said: str
) -> None:
    recipe = tiny_recipe(
        tmp_path,
        hums(tmp_path / "set"),
        prepare={"sound": {"rate": 8000 if not prepare else 192_000, **prepare}},
        inputs={"ear": {"network": "audio_cnn", "widths": [4]}},
        tasks={"kind": {"head": "classification"}},
        training=FEW,
        augment={},
        spectrum=spectrum,
    )
    with pytest.raises(UsageError, match=said):
        train(recipe, out=tmp_path / "run", bundle=False)


def test_labels_of_several_widths_are_told_with_their_samples(tmp_path: Path) -> None:
    dataset = tiny_dataset(tmp_path / "set")
    recipe = tiny_recipe(tmp_path, tmp_path / "set", tasks={"shade": {"head": "regression"}}, training=FEW)
    whole = [s for s in dataset.samples if "shade" in s.labels]
    dataset.put([whole[1].model_copy(update={"labels": {"shade": (0.1, 0.2)}})])
    dataset.save()
    with pytest.raises(UsageError, match=r"labels of shade have several lengths: 1 in sample 0, 2 in sample 1"):
        train(recipe, out=tmp_path / "run", bundle=False)
    wide = [s.model_copy(update={"labels": {"shade": (0.1, 0.2)}}) for s in whole if s.split == "train"]
    dataset.put(wide)
    dataset.save()
    with pytest.raises(UsageError, match=r"labels of shade are of width 1, expected 2, such as that of sample 32"):
        train(recipe, out=tmp_path / "other", bundle=False)


def clips(folder: Path, at: float) -> Path:
    """Clips of two seconds, each with a box at a time."""
    folder.mkdir()
    tasks = {"things": Task(kind="boxes", classes=("blob",))}
    dataset = Dataset.create(folder, name="blobs", tasks=tasks)
    random = np.random.default_rng(0)
    samples = []
    for number in range(8):
        with av.open(str(folder / f"{number}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=8)
            stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
            for _ in range(16):
                picture = random.integers(0, 255, (16, 16, 3), np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
        media = (Media(path=f"{number}.mp4", kind="video", width=16, height=16, seconds=2.0, rate="8"),)
        boxes = ({"label": "blob", "box": [0, 0, 0.5, 1], "at": at},)
        split = "train" if number < 4 else "val"
        samples.append(Sample(id=str(number), media=media, labels={"things": boxes}, split=split).with_labels(tasks))
    dataset.put(samples)
    dataset.save()
    return folder


def test_boxes_of_which_none_is_on_a_picture_are_told(tmp_path: Path) -> None:
    """Each picture was taught to be empty."""
    changes: dict[str, Any] = {
        "prepare": {"pictures": {"frames": 4, "rate": 4, "width": 16, "height": 16}},
        "inputs": {"video": {"network": "tconv", "widths": [4], "stem": 2}},
        "tasks": {"things": {"head": "detection"}},
        "training": FEW,
        "augment": {},
    }
    recipe = tiny_recipe(tmp_path, clips(tmp_path / "set", 0.25), **changes)
    said = r"tasks.things: .*none of the boxes of 4 samples of the training part is on it: 0 has one at 0.25 s, and its"
    with pytest.raises(UsageError, match=said):
        train(recipe, out=tmp_path / "run", bundle=False)
    train(tiny_recipe(tmp_path, clips(tmp_path / "last", 1.375), **changes), out=tmp_path / "run", bundle=False)
    with np.load(tmp_path / "run" / "predictions-validation.npz") as held:
        assert (held["values.things"][..., 4] >= 0).any()
