"""Moods seen and heard: a face and a voice of the same emotion, of people and actors that are on one side only.

The pairs are not natural: faces are of CK+ (Lucey et al. 2010), voices of RAVDESS (Livingstone and Russo 2018).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping

import numpy as np

from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Media, Sample, Task

SEED = 0
PAIRS = {"train": 1800, "val": 240, "test": 480}
MOODS = {
    "anger": "angry", "disgust": "disgust", "fear": "fearful", "happiness": "happy", "sadness": "sad",
    "surprise": "surprised",
}  # fmt: skip
"""By mood, what the voices call it."""
FACES = {"happiness": "happy"}
"""What the faces call a mood, where it is another word."""


def pair_moods(dataset: Dataset, faces: Dataset, voices: Dataset, pairs: Mapping[str, int] | None = None) -> None:
    """Draw pairs from the same sides of both, moods alike often; ``pairs`` are how many by side.

    Args:
        dataset: to fill.
        faces: in a folder of it.
        voices: in another.
        pairs: by side; None: `PAIRS`.
    """
    samples: list[Sample] = []
    for place, (side, count) in enumerate((pairs or PAIRS).items()):
        draw = np.random.default_rng([SEED, place])
        seen = _by_mood(faces, side, "expression", {mood: FACES.get(mood, mood) for mood in MOODS})
        heard = _by_mood(voices, side, "emotion", MOODS)
        for number in range(count):
            mood = tuple(MOODS)[number % len(MOODS)]
            face, voice = (held[mood][draw.integers(len(held[mood]))] for held in (seen, heard))
            samples.append(
                Sample(
                    id=f"{side}/{number:05d}",
                    media=(_of(dataset, faces, face.media[0]), _of(dataset, voices, voice.media[0])),
                    split=side,
                    labels={"mood": mood},
                    groups={"person": face.groups["person"], "actor": voice.groups["person"]},
                )
            )
    dataset.put(samples, {"mood": Task(kind="class", classes=tuple(MOODS))})


def _of(dataset: Dataset, part: Dataset, media: Media) -> Media:
    """A medium of a dataset in a folder of this one; copied to there where it lies elsewhere."""
    place = part.folder / media.path
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(part.path(media), place)
    return media.model_copy(update={"path": place.relative_to(dataset.folder).as_posix()})


def _by_mood(dataset: Dataset, side: str, task: str, names: Mapping[str, str]) -> dict[str, list[Sample]]:
    held = dataset.of_split(side)
    return {mood: [s for s in held if s.labels.get(task) == name] for mood, name in names.items()}
