"""Bundles as they are named on the command line: a folder, a zip, the name of an added one, or the folder of a run."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from onlooker.bundles.added import added_bundle, added_names
from onlooker.bundles.folder import MANIFEST, Bundle, load_bundle, unpacked
from onlooker.core.errors import UsageError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.preparation import Pictures, Preparation
from onlooker.learning.task import Calibration

__all__ = ["Subject", "open_like", "open_subject"]


@dataclass(frozen=True, slots=True)
class Subject:
    """What is evaluated.

    Args:
        bundle: it.
        name: what the user called it.
        run: the folder of the run that made it, where that was given.
        calibration: by task, what the run knows beyond the bundle.
        recipe: values of the run's recipe.
    """

    bundle: Bundle
    name: str
    run: Path | None = None
    calibration: dict[str, Calibration] = field(default_factory=dict[str, Calibration])
    recipe: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def trained_on(self) -> Path | None:
        """The folder of the dataset that the run learned from, where it is known."""
        where = self.recipe.get("dataset")
        return Path(where) if isinstance(where, str) else None

    def cut(self, dataset: Dataset) -> Pictures | None:
        """How pictures were cut for training: as the bundle says, or else its run's recipe, or else the dataset."""
        own = self.recipe.get("prepare")
        if (told := self.bundle.manifest.cut) is not None:
            return Pictures(crop=told.crop, margin=told.margin)
        if isinstance(own, dict):
            return Preparation.model_validate(own).pictures
        return dataset.info.prepare.pictures if dataset.info.prepare is not None else None

    @property
    def train_split(self) -> str:
        """The part that was learned from, such as normal footage: as the run's recipe says, or else the bundle."""
        parts = self.recipe.get("splits") or {}
        if part := parts.get("train") or parts.get("normal"):
            return str(part)
        said = (step.settings.get("splits.train") for step in reversed(self.bundle.manifest.provenance.steps))
        return str(next((part for part in said if part), "train"))


def open_subject(where: str, stack: ExitStack) -> Subject:
    """The bundle that is meant.

    Args:
        where: see the module.
        stack: removes what was unpacked.

    Raises:
        UsageError: there is none.
        ModelError: it is damaged.
    """
    path = Path(where)
    if path.is_file():
        work = stack.enter_context(TemporaryDirectory(prefix="onlooker-"))
        return Subject(unpacked(path, Path(work)), where)
    if not path.is_dir():
        if where in added_names():
            return Subject(added_bundle(where, check=True), where)
        known = ", ".join(added_names()) or "none"
        raise UsageError(f"there is no bundle {where!r}", hint=f"give a folder or zip; added bundles: {known}")
    run = path if (path / "recipe.yaml").is_file() else None
    if run is None and path.name == "bundle" and (path.parent / "recipe.yaml").is_file():
        run = path.parent
    if run is None:
        return Subject(load_bundle(path), where)
    places = [path, path / "bundle"]
    if (run / "lineage.json").is_file():
        # a step of compression keeps the bundle beside its run
        places.append(run.parent / "bundle")
    folder = next((f for f in places if (f / MANIFEST).is_file()), None)
    if folder is None:
        raise UsageError(f"the run {path} has no bundle", hint="let it end, or onlooker train --resume")
    return Subject(load_bundle(folder), where, run, _calibration(run), _recipe(run))


def open_like(where: str, run: Path | None, stack: ExitStack) -> Subject:
    """The bundle that is meant; where its own run is not known, with the recipe of the run that it was made of.

    Args:
        where: see the module.
        run: the folder of that run, or None.
        stack: removes what was unpacked.

    Raises:
        UsageError: there is none.
        ModelError: it is damaged.
    """
    subject = open_subject(where, stack)
    if subject.run is not None or run is None:
        return subject
    return replace(subject, calibration=_calibration(run), recipe=_recipe(run))


def _calibration(run: Path) -> dict[str, Calibration]:
    try:
        return json.loads((run / "calibration.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {run / 'calibration.json'}: {error}", hint="is the file damaged?") from None


def _recipe(run: Path) -> dict[str, Any]:
    """Its values, unchecked: the networks of a run may not be installed where its bundle is evaluated."""
    from onlooker.learning.recipe import read_values

    return read_values(run / "recipe.yaml")[0]
