"""What a search begins with: the parts of the dataset, a copy of the bundle, and what is there from before."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onlooker.bundles import Bundle, load_bundle
from onlooker.bundles.folder import MANIFEST
from onlooker.bundles.outputs import Anomaly
from onlooker.core.errors import UsageError
from onlooker.learning.compress.request import Request
from onlooker.learning.compress.step import Subject
from onlooker.learning.compress.students import check_students
from onlooker.learning.compress.teaching import load_teacher
from onlooker.learning.datasets.dataset import Dataset, common_parts
from onlooker.learning.datasets.typed_yaml import write_whole
from onlooker.learning.evaluate.opening import Subject as Opened
from onlooker.learning.evaluate.tasks import Judge, judges_of
from onlooker.learning.run_folder import RunFolder, dataset_digest

__all__ = [
    "Parts",
    "check_judged",
    "check_taught",
    "check_tested",
    "judged_by",
    "kept_baseline",
    "parts_of",
    "same_as_before",
]


_LEARNING = ("prune", "distil", "low_rank", "early_exit")
"""Steps after which, or in which, a network learns for as many passes as were asked for."""
_ALONE = "only the bundle is known, not the run that it was made of, so that nothing is trained"


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a dataset that are learned from, chosen by, and kept to the end.

    Args:
        training, validation, test: their names; ``train+val`` are both.
        warnings: what they are not good for, for people.
    """

    training: str
    validation: str
    test: str
    warnings: tuple[str, ...] = ()


def parts_of(dataset: Dataset, opened: Opened) -> Parts:
    """The parts as the run's recipe says, and what the bundle is known to have learned from.

    Args:
        dataset: the samples.
        opened: the bundle, with its run where that is known.

    Raises:
        UsageError: there is no such part, or nothing is left to hold a contract to: what is tested on was learned from
            or chosen by.
    """
    splits: Mapping[str, Any] = opened.recipe.get("splits") or {}
    found = (splits.get("train") or "train", splits.get("validation") or "val", splits.get("test") or "test")
    for part in found:
        if any(name not in dataset.info.splits for name in part.split("+")):
            raise UsageError(
                f"{dataset.folder} has no part {part!r}: one is learned from, one is chosen by, one is kept to the end",
                hint="onlooker dataset split DATASET train=0.7 val=0.15 test=0.15",
            )
    training, validation, test = found
    learned = training
    if opened.bundle.manifest.provenance.dataset == dataset_digest(dataset):
        learned += f"+{opened.train_split}"
    for what, other in (("learned from", learned), ("chosen by", validation)):
        if both := common_parts(test, other):
            raise UsageError(
                f"the part {both} of {dataset.folder} was {what} and is the one to test on: nothing is held out",
                hint="train with three parts that share nothing, such as splits: {train: train, validation: val, "
                "test: test}; onlooker dataset split makes them",
            )
    if both := common_parts(validation, learned):
        told = (
            f"{both} was learned from and candidates are chosen by it: only the part {test} tells what they are worth"
        )
        return Parts(*found, (told,))
    return Parts(*found)


def check_tested(dataset: Dataset, opened: Opened, parts: Parts) -> None:
    """Try that each task by which candidates are judged can be measured on the test part too.

    Raises:
        UsageError: one has no label there.
    """
    known = [
        {name for s in dataset.of_split(part) if s.status == "labelled" for name in s.labels}
        for part in (parts.validation, parts.test)
    ]
    for judge in judged_by(opened, dataset):
        if judge.of in known[0] and judge.of not in known[1]:
            raise UsageError(
                f"no sample of the part {parts.test} of {dataset.folder} has a label of {judge.of}: whether "
                f"{judge.name} keeps the contract could not be told there",
                hint="label some; or spread what is labelled over all parts: onlooker dataset split",
            )


def judged_by(opened: Opened, dataset: Dataset) -> list[Judge]:
    """What judges a bundle by a dataset's labels.

    Raises:
        UsageError: the dataset has no task that it answers, or it has measures of its own.
    """
    if _scores_alone(opened):
        raise UsageError(
            f"{opened.name} scores how unusual moments are, which has measures of its own",
            hint="onlooker evaluate gives them by themselves",
        )
    try:
        return judges_of(opened.bundle.manifest, dataset, {}, opened.calibration, opened.recipe.get("tasks") or {})
    except UsageError as error:
        raise UsageError(
            f"{opened.name}: {error.message}",
            hint="the dataset's tasks must be called as the bundle's outputs: onlooker bundles show, onlooker dataset "
            "stats",
        ) from None


def check_judged(opened: Opened) -> None:
    """Try that a bundle answers something that a contract can be held to.

    Raises:
        UsageError: it only scores how unusual moments are.
    """
    if _scores_alone(opened):
        raise UsageError(
            f"{opened.bundle.manifest.name} scores how unusual moments are and cannot be compressed: nothing that it "
            "answers has labels that a contract could be held to",
            hint="train a smaller one: fewer or smaller pictures in its recipe, docs/guides/anomaly.md",
        )


def _scores_alone(opened: Opened) -> bool:
    return all(isinstance(output, Anomaly) for output in opened.bundle.manifest.outputs)


def check_taught(request: Request, original: Subject) -> None:
    """Try that teachers can teach and students learn.

    Raises:
        UsageError: one cannot, or the step is not to be used.
    """
    students = request.students or ()
    check_students(original, students)
    _check_epochs(request, original)
    for option, given in (("--teacher", request.teachers), ("--student", students)):
        if given and request.steps and "distil" not in request.steps:
            raise UsageError(f"{option}: it is for distil, which --steps leaves out", hint="add distil to it")
    if students and request.student_epochs == 0:
        raise UsageError("--student: with --student-epochs 0 it would not be tried", hint="leave one of both out")
    if not request.teachers:
        return
    if original.run is None:
        raise UsageError(f"--teacher: {_ALONE}", hint="give the folder of the run")
    recipe, facts = RunFolder(original.run).recipe(), RunFolder(original.run).facts()
    for folder in request.teachers:
        if not (folder / "recipe.yaml").is_file():
            raise UsageError(f"--teacher: {folder} is not the folder of a run", hint="give what train --out wrote")
        load_teacher(folder, facts, list(recipe.tasks))


def _check_epochs(request: Request, original: Subject) -> None:
    """Try that what is to be learned for so many passes learns at all.

    Raises:
        UsageError: it does not.
    """
    for option, given, steps in (
        ("--epochs", request.epochs, _LEARNING),
        ("--student-epochs", request.student_epochs, ("distil",)),
    ):
        if not given:
            continue
        if original.run is None:
            raise UsageError(f"{option}: {_ALONE}", hint=f"leave {option} out, or give the folder of the run")
        if request.steps and not set(steps) & set(request.steps):
            last = f"{', '.join(steps[:-1])} or {steps[-1]}" if len(steps) > 1 else steps[0]
            raise UsageError(f"{option}: it is for {last}, which --steps leaves out", hint=f"leave {option} out")


def kept_baseline(bundle: Bundle, folder: Path) -> Path:
    """A copy of the baseline, whole or not there, so that the search stands for itself.

    Args:
        bundle: the baseline.
        folder: in which the copy is put.

    Raises:
        UsageError: there is a copy of another bundle.
    """
    place, draft = folder / "bundle", folder / "bundle.draft"
    if (place / MANIFEST).is_file():
        if load_bundle(place).digest != bundle.digest:
            raise UsageError(f"{folder.parent} is of another bundle", hint="give another --out")
        return place
    for left in (place, draft):
        shutil.rmtree(left, ignore_errors=True)
    shutil.copytree(bundle.folder, draft)
    return draft.rename(place)


def same_as_before(request: Request, dataset: Dataset) -> None:
    """What is in the folder was made of the same samples, by the same teachers and chances.

    Raises:
        UsageError: it was not.
    """
    now = {
        "another dataset": dataset_digest(dataset),
        "other teachers": [str(folder.resolve()) for folder in request.teachers],
        "another seed": request.seed,
    }
    note = request.out / "begun.json"
    before = json.loads(note.read_text(encoding="utf-8")) if note.is_file() else now
    if others := [name for name, value in now.items() if before[name] != value]:
        raise UsageError(f"{request.out} was begun with {others[0]}", hint="give another --out")
    write_whole(note, json.dumps(now))
