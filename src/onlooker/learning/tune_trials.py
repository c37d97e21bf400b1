"""The trials of a search: what one process tries until there are enough, and how a trial that was stopped goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import parent_process
from pathlib import Path
from typing import Any, TypeAlias

import optuna
from optuna.trial import TrialState

from onlooker.core.errors import OnlookerError, UsageError
from onlooker.learning.latency import look_milliseconds
from onlooker.learning.recipe import Range, Recipe, load_recipe
from onlooker.learning.run_folder import RunFolder
from onlooker.learning.training.train import Quiet, train
from onlooker.learning.tune_study import BEFORE_PRUNING, open_study, taking_part

__all__ = ["Told", "Trying", "Watched", "default_space", "line_of", "starting_point", "work", "work_beside"]

Told: TypeAlias = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Trying:
    """What a process tries.

    Args:
        path: of the recipe.
        overrides: settings on top of it, which all trials share.
        out: the search's folder.
        trials: how many there are to be, earlier ones included.
        end: by `time.time`, when no more is begun; None: never.
        worker: number of the process.
        stopped: trials that were stopped, to go on with first.
    """

    path: Path
    overrides: tuple[str, ...]
    out: Path
    trials: int
    end: float | None
    worker: int = 0
    stopped: tuple[int, ...] = ()

    @property
    def late(self) -> bool:
        """Whether no more is begun."""
        return self.end is not None and time.time() >= self.end


def default_space(recipe: Recipe) -> dict[str, Range]:
    """What is tried where the recipe says nothing: the settings that matter most, around those that it has."""
    rate, batch = recipe.optimiser.rate, recipe.training.batch
    return {
        "optimiser.rate": Range(low=rate / 10, high=rate * 10, log=True),
        "optimiser.weight_decay": Range(low=1e-4, high=0.3, log=True),
        "training.batch": Range(choices=tuple(sorted({max(2, batch // 2), batch, batch * 2}))),
    }


def starting_point(recipe: Recipe, space: Mapping[str, Range]) -> dict[str, Any]:
    """The recipe's own settings, which are tried first."""
    found: dict[str, Any] = {}
    values = recipe.model_dump(mode="json")
    for name, range_ in space.items():
        place: Any = values
        for key in name.split("."):
            place = place.get(key) if isinstance(place, dict) else None
        value = json.dumps(place) if range_.choices is not None else place
        if range_.choices is not None and value not in [json.dumps(c) for c in range_.choices]:
            continue
        if range_.choices is None and not (isinstance(place, int | float) and range_.low <= place <= range_.high):  # type: ignore[operator]
            continue
        found[name] = value
    return found


def _suggested(trial: optuna.Trial, space: Mapping[str, Range]) -> list[str]:
    """Settings of a trial as overrides."""
    made: list[str] = []
    for name, range_ in space.items():
        if range_.choices is not None:
            value = trial.suggest_categorical(name, [json.dumps(c) for c in range_.choices])
        else:
            assert range_.low is not None
            assert range_.high is not None
            whole = all(float(v).is_integer() for v in (range_.low, range_.high, range_.step or 0.5))
            if whole and range_.step:
                value = trial.suggest_int(name, int(range_.low), int(range_.high), step=int(range_.step))
            else:
                value = trial.suggest_float(name, range_.low, range_.high, log=range_.log, step=range_.step)
        made.append(f"{name}={value}")
    return made


def _runs(name: str) -> bool:
    """Whether a bundle's file is needed to run it."""
    return not name.endswith((".npz", ".safetensors"))


def line_of(trial: optuna.trial.FrozenTrial, objectives: Sequence[str]) -> dict[str, Any]:
    """What is told of a trial, in its public JSON form; nothing may be at work on it."""
    values = dict(zip(objectives, trial.values, strict=True)) if trial.values else {}
    params = {n: json.loads(v) if isinstance(v, str) else v for n, v in trial.params.items()}
    state = "stopped" if trial.state is TrialState.RUNNING else trial.state.name.lower()
    took = trial.duration.total_seconds() if trial.duration else None
    error = trial.user_attrs.get("error")
    return {
        "trial": trial.number, "state": state, "values": values, "settings": params,
        "seconds": trial.user_attrs.get("seconds", took), "scores": trial.user_attrs.get("scores", []),
        **({"error": error} if error else {}),
    }  # fmt: skip


def work_beside(asked: Trying) -> None:
    """`work` in a process of its own: it ends with the process that began it, and Ctrl-C is told by that one alone."""
    # by nohup, or behind a script, Ctrl-C is ignored in all processes of a command; this one ends with it still
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        threading.Thread(target=_end_with_parent, daemon=True).start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        with taking_part(asked.out):
            work(asked)
    except KeyboardInterrupt:
        for end in (signal.SIGINT, signal.SIGTERM):
            signal.signal(end, signal.SIG_IGN)
        sys.exit(130)


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def work(asked: Trying, told: Told | None = None) -> None:
    """Go on with what was stopped, then try until there are enough trials, the time is over, or three of three failed.

    Args:
        asked: what is tried.
        told: called with each finished trial's line.
    """
    recipe = load_recipe(asked.path, asked.overrides)
    study = open_study(asked.out, recipe, asked.worker)
    stopped = list(asked.stopped)
    while not asked.late:
        if stopped:
            trial = optuna.trial.Trial(study, study.trials[stopped.pop(0)]._trial_id)  # Optuna has no public way to it
        elif sum(t.state is not TrialState.WAITING for t in study.trials) < asked.trials:
            trial = study.ask()
        else:
            break
        _try(study, trial, asked, recipe)
        if told is not None:
            told(line_of(study.trials[trial.number], recipe.search.objectives))
        if len(study.trials) >= 3 and all(t.state is TrialState.FAIL for t in study.trials):
            break


def _try(study: optuna.Study, trial: optuna.Trial, asked: Trying, recipe: Recipe) -> None:
    """Train as a trial says, and note how it ended."""
    try:
        values = _tried(trial, asked, recipe)
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
    except (OnlookerError, RuntimeError, ValueError, ArithmeticError, MemoryError) as error:
        # a network that these settings make impossible, or too large, is no reason to end the search
        own = isinstance(error, OnlookerError)
        said = str(error) if own else f"{type(error).__name__}: {(str(error).strip().splitlines() or ['?'])[0]}"
        trial.set_user_attr("error", said)
        study.tell(trial, state=TrialState.FAIL)
    except Exception:
        study.tell(trial, state=TrialState.FAIL)
        raise
    else:
        study.tell(trial, values)


class Watched(Quiet):
    """Stops a trial whose score is worse than that of half of the others after as many epochs.

    Args:
        trial: that is watched.
        objectives: of the search; where the score is none of them, no trial is stopped.
        history: lines of the epochs that were over when the trial was stopped.
    """

    def __init__(self, trial: optuna.Trial, objectives: Sequence[str], history: Sequence[Mapping[str, Any]]) -> None:
        self._trial, self._objectives = trial, tuple(objectives)
        self._scores = {line["epoch"]: line["score"] for line in history if line.get("score") is not None}
        self._reported = set(trial.study.trials[trial.number].intermediate_values)
        self._before: float = trial.user_attrs.get("seconds", 0.0)
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """That the trial took so far, in all sittings."""
        return round(self._before + time.monotonic() - self._began, 3)

    def epoch(self, line: Mapping[str, Any]) -> None:
        """Compare."""
        if not isinstance(line.get("score"), float):
            return
        self._scores[line["epoch"]] = line["score"]
        scores = [score for epoch, score in sorted(self._scores.items()) if epoch <= line["epoch"]]
        self._trial.set_user_attr("scores", scores)
        self._trial.set_user_attr("seconds", self.seconds)
        if "score" not in self._objectives:
            return
        number = len(scores)
        if self._objectives == ("score",):
            if number not in self._reported:
                self._trial.report(scores[-1], number)
            stop = self._trial.should_prune()
        else:
            # Optuna prunes no trials of several objectives: the median rule, by the score alone
            done = [t.user_attrs.get("scores", []) for t in self._trial.study.trials if t.state is TrialState.COMPLETE]
            others = sorted(max(s[:number]) for s in done if len(s) >= number)
            stop = number > 1 and len(others) >= BEFORE_PRUNING and max(scores) < others[len(others) // 2]
        if stop:
            raise optuna.TrialPruned


def _tried(trial: optuna.Trial, asked: Trying, recipe: Recipe) -> list[float]:
    """Train with a trial's settings, or go on; its objectives in order."""
    settings = [*asked.overrides, *_suggested(trial, recipe.search.space or default_space(recipe))]
    objectives = recipe.search.objectives
    folder = asked.out / f"trial-{trial.number:04}"
    begun = RunFolder(folder).begun
    if folder.exists() and not begun:
        shutil.rmtree(folder)
    _count_sittings(trial, len(RunFolder(folder).history()))
    costs = any(o != "score" for o in objectives)
    watched = Watched(trial, objectives, RunFolder(folder).history())
    run = train(asked.path, overrides=settings, out=folder, resume=begun, progress=watched, bundle=costs)
    scores = [line["score"] for line in run.history() if line.get("score") is not None]
    if not scores:
        raise UsageError("a search needs a validation part", hint="splits.validation names it")
    cost: dict[str, float] = {}
    if costs:
        from onlooker.bundles import load_bundle

        bundle = load_bundle(folder / "bundle")
        cost = {
            "latency": look_milliseconds(bundle),
            "size": sum(f.size for n, f in bundle.manifest.files.items() if _runs(n)) / 1e6,
        }
    trial.set_user_attr("seconds", watched.seconds)
    return [max(scores) if o == "score" else cost[o] for o in objectives]


def _count_sittings(trial: optuna.Trial, epochs: int) -> None:
    """Note how far a trial is as it begins or goes on.

    Raises:
        UsageError: it was stopped at the same epoch twice before; settings for which the memory is too small, so that
            the system kills the process, must not hold up the search for ever.
    """
    before: list[int] = trial.user_attrs.get("begun", [])
    if before.count(epochs) >= 3:
        raise UsageError(f"stopped three times in epoch {epochs + 1}", hint="is the memory too small for it?")
    trial.set_user_attr("begun", [*before, epochs])
