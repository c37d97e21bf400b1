"""What a search keeps in its folder, so that it goes on after a kill: Optuna's journal, what was asked for, a lock."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.study import StudyDirection
from optuna.trial import TrialState

from onlooker.core.errors import UsageError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.typed_yaml import write_whole
from onlooker.learning.recipe import Recipe
from onlooker.learning.run_folder import dataset_digest
from onlooker.learning.training.checkpoint import changed_settings

__all__ = [
    "BEFORE_PRUNING",
    "DIRECTIONS",
    "alone",
    "mend_journal",
    "open_study",
    "same_search",
    "taking_part",
    "unfinished",
]

DIRECTIONS = {"score": "maximize", "latency": "minimize", "size": "minimize"}
BEFORE_PRUNING = 4
_JOURNAL, _LOCK, _PATIENCE = "trials.log", ".lock", 10.0


class _Lock(JournalFileOpenLock):
    """Of the journal; the system lets it go with the process, where Optuna's own stays for 30 seconds after a kill."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path, self._file = path, -1

    def acquire(self) -> bool:
        """Wait for it."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        self._file = file
        return True

    def release(self) -> None:
        """Let others in."""
        os.close(self._file)


@contextmanager
def alone(out: Path) -> Generator[None]:
    """While no other command searches in a folder; those that take part come after.

    Args:
        out: the search's folder.

    Raises:
        UsageError: another one is at work there, and still is after ten seconds.
    """
    end = time.monotonic() + _PATIENCE
    with (out / _LOCK).open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                # the processes of a search that was killed are gone in a moment
                if time.monotonic() > end:
                    raise UsageError(
                        f"another onlooker tune is at work in {out}",
                        hint="wait for its end, or give another --out; --jobs 2 tries two at once",
                    ) from None
                time.sleep(0.1)
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextmanager
def taking_part(out: Path) -> Generator[None]:
    """While a process of a search is at work, so that no other command begins beside it."""
    with (out / _LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def same_search(out: Path, recipe: Recipe, dataset: Path) -> None:
    """Try that a search goes on with the recipe and the dataset that it began with.

    Args:
        out: the search's folder; what is asked for is written there where it holds no search yet.
        recipe: of the search.
        dataset: the dataset's folder.

    Raises:
        UsageError: it is of something else; the first settings that differ are named.
    """
    held = out / "asked.json"
    asked = recipe.model_dump(mode="json", exclude={"dataset"})
    digest = dataset_digest(Dataset.load(dataset))
    if held.exists():
        before = json.loads(held.read_text(encoding="utf-8"))
        # older searches know their space and objectives alone
        known = before if "recipe" in before else {"recipe": {**asked, "search": before}, "dataset": digest}
        if changed := changed_settings(known["recipe"], asked):
            raise UsageError(f"{out} holds a search for something else: {changed}", hint="give another --out")
        if known["dataset"] != digest:
            raise UsageError(f"{dataset} is not what it was when {out} was begun", hint="give another --out")
    elif any(path.name != _LOCK for path in out.iterdir()):
        raise UsageError(f"{out} is not empty and holds no search", hint="give another --out")
    else:
        write_whole(held, json.dumps({"recipe": asked, "dataset": digest}))


def mend_journal(out: Path) -> None:
    """Take off a last line that a full disk or a power cut left without its end: nothing could be read after it."""
    path = out / _JOURNAL
    if not path.exists():
        return
    held = path.read_bytes()
    whole = held.rfind(b"\n") + 1
    if whole < len(held):
        os.truncate(path, whole)


def open_study(out: Path, recipe: Recipe, worker: int = 0) -> optuna.Study:
    """The search in a folder, to try further; made where there is none.

    Args:
        out: the folder.
        recipe: of the search.
        worker: number of the process that tries.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    objectives = tuple(recipe.search.objectives)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=BEFORE_PRUNING, n_warmup_steps=1)
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(out / _JOURNAL), lock_obj=_Lock(out / f"{_JOURNAL}.lock"))),
        study_name=recipe.name,
        directions=[StudyDirection[DIRECTIONS[o].upper()] for o in objectives],
        # it compares what is reported, the score, in the direction of the objective
        pruner=pruner if objectives == ("score",) else optuna.pruners.NopPruner(),
        load_if_exists=True,
    )
    # a further sitting has chances of its own, or it would try what the one before tried
    seed = (recipe.training.seed * 1000 + worker + 1_000_003 * len(study.trials)) % 2**32
    study.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True, n_startup_trials=6)
    return study


def unfinished(study: optuna.Study) -> list[int]:
    """Numbers of the trials that were stopped while they ran; nobody else may be at work."""
    return [t.number for t in study.trials if t.state is TrialState.RUNNING]
