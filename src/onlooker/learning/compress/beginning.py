"""What a search begins with: the parts of the dataset, a copy of the bundle, and what is there from before."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onlooker.bundles import Bundle, load_bundle
from onlooker.bundles.folder import MANIFEST
from onlooker.core.errors import UsageError
from onlooker.learning.compress.request import Request
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.typed_yaml import write_whole
from onlooker.learning.run_folder import dataset_digest

__all__ = ["kept_baseline", "parts_of", "same_as_before"]


def parts_of(dataset: Dataset, recipe: Mapping[str, Any]) -> tuple[str, str, str]:
    """The parts that are learned from, chosen by, and kept to the end, as the run's recipe says.

    Args:
        dataset: the samples.
        recipe: values of it; none where only the bundle is known.

    Raises:
        UsageError: there is no such part.
    """
    splits: Mapping[str, Any] = recipe.get("splits") or {}
    found = (splits.get("train") or "train", splits.get("validation") or "val", splits.get("test") or "test")
    for part in found:
        if any(name not in dataset.info.splits for name in part.split("+")):
            raise UsageError(
                f"{dataset.folder} has no part {part!r}: one is learned from, one is chosen by, one is kept to the end",
                hint="onlooker dataset split DATASET train=0.7 val=0.15 test=0.15",
            )
    return found


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
