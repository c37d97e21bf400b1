"""Makes the datasets that the shipped recipes learn from, out of the labelled sets in one folder.

``python scripts/recipe_datasets.py NAME... [--into datasets] [--data ../shared/data]``, or ``--list``. Every dataset is
the same on every run. One that is whole is left as it is; one that was broken off goes on.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from recipe_digits import make_digits
from recipe_moods import pair_moods
from recipe_motions import make_motions

from onlooker.core.errors import OnlookerError, UsageError
from onlooker.learning.datasets.dataset import MANIFEST, Dataset
from onlooker.learning.datasets.importing import ImportRequest, import_samples
from onlooker.learning.datasets.likeness import near_pairs, prints_of
from onlooker.learning.datasets.manifest import LabelledBox, LabelledSpan, Sample, Task
from onlooker.learning.datasets.splitting import split_dataset

REPOSITORY = Path(__file__).resolve().parents[1]
PED2_RATE = Fraction(10)
"""Frames a second of UCSD Ped2."""
FACE = (0.24, 0.22, 0.76, 0.78)
"""Where the face is on pictures of LFW."""


@dataclass(frozen=True)
class Recipe:
    """How one dataset is made: what it is made of, what is made, for people, and by what."""

    sources: tuple[str, ...]
    description: str
    make: Callable[[Path, Dataset], None]


class Progress:
    """A line on the terminal that says how far the work is; none where nobody looks."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __call__(self, done: int, of: int) -> None:
        if sys.stderr.isatty() and (done == of or done % max(1, of // 100) == 0):
            sys.stderr.write(f"\r{self._what}: {done} of {of}" + ("\n" if done == of else ""))


def take(dataset: Dataset, format: str, path: Path, options: Mapping[str, Any] | None = None, **more: Any) -> None:
    """Import, and refuse to go on where a medium cannot be used."""
    request = ImportRequest(format, path, dict(options or {}), **more)
    report = import_samples(dataset, request, Progress(f"{dataset.info.name}: {path.name}"))
    if report.failures:
        name, reason = next(iter(report.failures.items()))
        raise UsageError(f"{dataset.info.name}: {name}: {reason}", hint="the labelled sets are not whole")


def divide(dataset: Dataset, parts: Mapping[str, float], *, near: bool = True, **more: Any) -> None:
    """Split by groups, with near-duplicates on one side."""
    pairs = near_pairs(prints_of(dataset, dataset.samples, Progress(f"{dataset.info.name}: comparing"))) if near else []
    split_dataset(dataset, parts, pairs=pairs, near_duplicates=near, **more)


def make_cifar10(data: Path, dataset: Dataset) -> None:
    """The test part is the original; a tenth of the training part is for validation, the same of every class."""
    options = {"data": "jpeg", "form": "encoded", "labels": {"object": "labels"}, "classes": "classes"}
    take(dataset, "arrays", data / "cifar10/train_jpeg.npz", options)
    divide(dataset, {"train": 0.9, "val": 0.1}, near=False)
    take(dataset, "arrays", data / "cifar10/test_jpeg.npz", options, split="test")


def make_fight_folds(data: Path, dataset: Dataset) -> None:
    """The same in five parts of equal size, each of which is tested once."""
    make_fights(data, dataset, {f"f{n}": 0.2 for n in range(5)})


def make_fights(data: Path, dataset: Dataset, parts: Mapping[str, float] | None = None) -> None:
    """Clips that look alike are on one side; the clips that can be heard are spread evenly.

    A silent track counts as no sound: there is nothing in it to learn from, and a model has to do without.
    """
    take(dataset, "csv", data / "fight_surv/labels.csv", {"labels": {"action": "label"}})
    rows = {r["file"]: r for r in read_table(data / "fight_surv/labels.csv")}
    task = Task(
        kind="class", classes=("silent", "heard"), description="whether the clip has a sound that is not silent"
    )
    samples: list[Sample] = []
    for sample in dataset.samples:
        heard = float(rows[sample.media[0].path]["audio_rms"]) > 0
        media = tuple(m if heard else m.model_copy(update={"sound": None}) for m in sample.media)
        labels = {**sample.labels, "audible": "heard" if heard else "silent"}
        samples.append(sample.model_copy(update={"labels": labels, "media": media}))
    dataset.put(samples, {"audible": task})
    divide(dataset, dict(parts or {"train": 0.65, "val": 0.15, "test": 0.2}))


def make_expression(data: Path, dataset: Dataset) -> None:
    """No person is on two sides."""
    options = {"labels": {"expression": "labels"}, "classes": "classes"}
    take(dataset, "arrays", data / "ckplus48/ckplus48.npz", options, groups={"person": "{subjects}"})
    divide(dataset, {"train": 0.7, "val": 0.1, "test": 0.2}, near=False)


def make_emotion(data: Path, dataset: Dataset) -> None:
    """No actor is on two sides; the sentence is the same on all."""
    labels = {"emotion": "emotion", "gender": "gender", "intensity": "intensity", "statement": "statement"}
    options = {"media": "audio/{file}", "labels": labels}
    take(dataset, "csv", data / "ravdess_speech/labels.csv", options, groups={"person": "{actor}"})
    divide(dataset, {"train": 12, "val": 3, "test": 3}, near=False)


def make_moods(data: Path, dataset: Dataset) -> None:
    """Faces and voices are divided as they are by themselves: no person and no actor is on two sides."""
    parts: list[Dataset] = []
    for name, fill in (("faces", make_expression), ("voices", make_emotion)):
        shutil.rmtree(dataset.folder / name, ignore_errors=True)
        parts.append(Dataset.create(dataset.folder / name, name=name))
        fill(data, parts[-1])
    pair_moods(dataset, parts[0], parts[1])


def faces(data: Path, dataset: Dataset) -> None:
    """Pictures of 250 x 250 with the face in their middle, as the set was cut by its authors."""
    options = {
        "media": "images/{file}",
        "labels": {"who": "identity:identity", "gender": "gender", "expression": "expression"},
    }
    take(dataset, "csv", data / "lfw_multitask/labels.csv", options, groups={"person": "{identity}"})
    face = (LabelledBox(label="face", box=FACE),)
    task = Task(kind="boxes", classes=("face",), description="where the face is")
    dataset.put([s.model_copy(update={"labels": {**s.labels, "face": face}}) for s in dataset.samples], {"face": task})


def make_faces(data: Path, dataset: Dataset) -> None:
    """Nobody is on two sides: who is told by comparing faces of strangers, and gender cannot be told by knowing who."""
    faces(data, dataset)
    divide(dataset, {"train": 0.65, "val": 0.1, "test": 0.25})


def make_known_faces(data: Path, dataset: Dataset) -> None:
    """Everybody is on all sides with other pictures: who is told as one of the known."""
    faces(data, dataset)
    dataset.info = dataset.info.model_copy(update={"overlap": ("person",)})
    pairs = near_pairs(prints_of(dataset, dataset.samples, Progress("known_faces: comparing")))
    alike: dict[str, set[str]] = {}
    for pair in pairs:
        first, second = (dataset.samples[n].id for n in (pair.first, pair.second))
        alike.setdefault(first, set()).add(second)
        alike.setdefault(second, set()).add(first)
    people: dict[str, list[Sample]] = {}
    for sample in dataset.samples:
        people.setdefault(sample.groups["person"], []).append(sample)
    sides: dict[str, str] = {}
    for samples in people.values():
        # one picture of each for validation and one in four for the test, but none that has a near-duplicate
        free = [s.id for s in samples if s.id not in alike]
        tests = max(1, round(len(samples) / 4))
        sides |= dict.fromkeys(free[-tests:], "test")
        sides |= dict.fromkeys(free[-tests - 1 : -tests], "val")
    dataset.samples = [s.model_copy(update={"split": sides.get(s.id, "train")}) for s in dataset.samples]
    dataset.info = dataset.info.model_copy(update={"splits": ("train", "val", "test")})


def make_sounds(data: Path, dataset: Dataset) -> None:
    """Folds 1 and 2 are for training, 3 for validation, 4 for the test; the fold of each is kept as a group."""
    options = {"media": "audio/{file}", "labels": {"sound": "label"}}
    groups = {"source": r"file~^\d-(\d+)-", "fold": "{fold}"}
    take(dataset, "csv", data / "esc10/labels.csv", options, groups=groups)
    part = {"1": "train", "2": "train", "3": "val", "4": "test"}
    dataset.put([s.model_copy(update={"split": part[s.groups["fold"]]}) for s in dataset.samples])


def make_ped2(data: Path, dataset: Dataset) -> None:
    """The parts are the original ones; of the training part nothing is abnormal."""
    folder = data / "ucsd_ped2"
    take(dataset, "folders", folder, {"labelled": False})
    truth = json.loads((folder / "frame_gt.json").read_text(encoding="utf-8"))
    samples: list[Sample] = []
    for sample in dataset.samples:
        spans: tuple[LabelledSpan, ...] = ()
        if sample.split == "test":
            first, last = truth[Path(sample.media[0].path).stem]["abnormal_frames_1based_inclusive"]
            start, end = Fraction(first - 1) / PED2_RATE, Fraction(last) / PED2_RATE
            spans = (LabelledSpan(label="abnormal", start=float(start), end=float(end)),)
        samples.append(sample.model_copy(update={"labels": {"abnormal": spans}}))
    dataset.put(samples, {"abnormal": Task(kind="spans", classes=("abnormal",))})


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


RECIPES = {
    "cifar10": Recipe(("cifar10",), "CIFAR-10 (Krizhevsky 2009), JPEG copies", make_cifar10),
    "digits": Recipe(
        ("av_digits",), "digits seen and heard: degraded MNIST digits with spoken digits in babble", make_digits
    ),
    "emotion": Recipe(("ravdess_speech",), "emotions in speech (RAVDESS), by actor", make_emotion),
    "expression": Recipe(("ckplus48",), "expressions of faces (CK+), by person", make_expression),
    "faces": Recipe(("lfw_multitask",), "faces (LFW): who, gender, expression; by person", make_faces),
    "fights": Recipe(("fight_surv",), "fights in footage of surveillance cameras (Akti et al. 2019)", make_fights),
    "fight_folds": Recipe(("fight_surv",), "the same fights in five parts of equal size", make_fight_folds),
    "known_faces": Recipe(("lfw_multitask",), "the same faces with everybody on all sides", make_known_faces),
    "moods": Recipe(
        ("ckplus48", "ravdess_speech"), "moods seen and heard: faces (CK+) with voices (RAVDESS)", make_moods
    ),
    "motions": Recipe(("clips",), "eight motions of sprites over real footage, told by their order", make_motions),
    "ped2": Recipe(("ucsd_ped2",), "UCSD Pedestrian 2: normal training clips, test clips", make_ped2),
    "sounds": Recipe(("esc10",), "environmental sounds (ESC-10)", make_sounds),
}


def make(name: str, data: Path, into: Path) -> Dataset:
    """Make one dataset, or load it where it is whole.

    Raises:
        UsageError: the labelled set is missing.
    """
    recipe, folder = RECIPES[name], into / name
    if (folder / MANIFEST).is_file():
        return Dataset.load(folder)
    if folder.exists():
        raise UsageError(
            f"{folder} is there and holds no dataset", hint="move it away, or choose another folder: --into"
        )
    for source in recipe.sources:
        if not (data / source).is_dir():
            raise UsageError(f"there is no folder {data / source}", hint="name the folder of the labelled sets: --data")
    # it has its name only when it is whole
    unfinished = into / f"{name}.unfinished"
    (unfinished / MANIFEST).unlink(missing_ok=True)
    dataset = Dataset.create(unfinished, name=name, description=recipe.description)
    recipe.make(data, dataset)
    dataset.save()
    unfinished.rename(folder)
    return Dataset.load(folder)


def main() -> None:
    known = os.environ.get("ONLOOKER_DATA") or REPOSITORY.parent / "shared" / "data"
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="which; see --list")
    parser.add_argument("--into", type=Path, default=REPOSITORY / "datasets", help="folder of the datasets")
    parser.add_argument("--data", type=Path, default=Path(known), help="folder of the labelled sets")
    parser.add_argument("--list", action="store_true", help="say which there are")
    asked = parser.parse_args()
    unknown = [n for n in asked.names if n not in RECIPES]
    if unknown or not (asked.names or asked.list):
        parser.error(f"{', '.join(unknown) or 'which'}? there are {', '.join(RECIPES)}")
    if asked.list:
        print("\n".join(f"{name:12} {recipe.description}" for name, recipe in RECIPES.items()))
    for name in asked.names:
        try:
            dataset = make(name, asked.data, asked.into)
        except OnlookerError as error:
            sys.exit(f"error: {error.message}\n{error.hint or ''}".rstrip())
        counts = {split: len(dataset.of_split(split)) for split in dataset.info.splits}
        print(f"{dataset.folder}: {len(dataset.samples)} samples: {', '.join(f'{k} {v}' for k, v in counts.items())}")


if __name__ == "__main__":
    main()
