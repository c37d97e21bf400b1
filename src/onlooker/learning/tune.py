"""Searching the settings of a recipe: Optuna's samplers, trials that are stopped early, several objectives.

All trials are in ``trials.log`` of the search's folder, Optuna's journal: a search that was stopped goes on, with the
trials that it was at, and the processes of one command share it.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.trial import TrialState

from onlooker.core.errors import OnlookerError, UsageError
from onlooker.learning.datasets.typed_yaml import write_whole
from onlooker.learning.recipe import Recipe, load_recipe, read_values
from onlooker.learning.run_folder import make_folder
from onlooker.learning.tune_report import write_tune_report
from onlooker.learning.tune_study import DIRECTIONS, alone, mend_journal, open_study, same_search, unfinished
from onlooker.learning.tune_trials import Told, Trying, default_space, line_of, starting_point, work, work_beside

__all__ = ["summary", "tune"]

_OVER = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


def tune(
    path: Path,
    *,
    overrides: Sequence[str] = (),
    out: Path,
    trials: int = 20,
    budget: float | None = None,
    jobs: int = 1,
    told: Told | None = None,
) -> dict[str, Any]:
    """Search, or go on with a search; trials that were stopped go on where they were.

    Args:
        path: of the recipe.
        overrides: settings on top of it, which all trials share.
        out: the search's folder.
        trials: how many there are to be, those of earlier sittings included.
        budget: seconds of this sitting; a trial that runs is finished.
        jobs: processes that try at once.
        told: called with each finished trial's line.

    Returns:
        `summary` of all trials, with ``finished``, how many of them this sitting finished.

    Raises:
        ConfigError, UsageError: the recipe is wrong, another command searches there, or no trial was completed.
    """
    recipe = load_recipe(path, overrides)
    _check_search(path, overrides, recipe)
    make_folder(out)
    with alone(out):
        same_search(out, recipe, (path.parent / recipe.dataset).resolve())
        mend_journal(out)
        study = open_study(out, recipe)
        if not study.trials:
            study.enqueue_trial(starting_point(recipe, recipe.search.space or default_space(recipe)))
        before = _over(study)
        end = None if budget is None else time.time() + budget
        asked = Trying(path, tuple(overrides), out, trials, end, stopped=tuple(unfinished(study)))
        try:
            if jobs == 1:
                work(asked, told)
            else:
                _together(asked, jobs, study, recipe, told)
        finally:
            # a search that is stopped shows what it has found so far
            found = {**summary(out, recipe), "finished": len(_over(study) - before)}
            write_whole(out / "search.json", json.dumps(found, indent=1))
            write_tune_report(out, found)
            if found["best"] is not None:
                _write_best(path, overrides, found, out)
    if found["best"] is None:
        raise _nothing(found, out, budget)
    return found


def _over(study: optuna.Study) -> set[int]:
    """Numbers of the trials that are over."""
    return {t.number for t in study.trials if t.state in _OVER}


def _nothing(found: Mapping[str, Any], out: Path, budget: float | None) -> UsageError:
    """Why no trial was completed."""
    count = len(found["trials"])
    if errors := [line["error"] for line in found["trials"] if "error" in line]:
        return UsageError(
            f"none of {count} trials was completed; the last said: {errors[-1]}",
            hint=f"{out / 'report.html'} shows all; mend the recipe and give another --out",
        )
    return UsageError(
        f"the budget of {budget or 0:g} s was over before a trial was completed",
        hint="the same command goes on; give it more --budget",
    )


def _together(asked: Trying, jobs: int, study: optuna.Study, recipe: Recipe, told: Told | None) -> None:
    """Try in several processes, and tell of each trial when it is over.

    Raises:
        OnlookerError: a process failed.
    """
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=work_beside, args=(replace(asked, worker=n, stopped=asked.stopped[n::jobs]),))
        for n in range(jobs)
    ]
    known, tell = _over(study), told or (lambda line: None)
    try:
        # they wait with Ctrl-C until they can end without a trace
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        for worker in workers:
            worker.start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        working = True
        while working:
            working = any(worker.is_alive() for worker in workers)
            for number in sorted(_over(study) - known):
                tell(line_of(study.trials[number], recipe.search.objectives))
                known.add(number)
            next((w for w in workers if w.is_alive()), workers[0]).join(1)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        _stop(workers)
    if failed := [w.exitcode for w in workers if w.exitcode]:
        raise OnlookerError(f"{len(failed)} of {jobs} processes failed", hint="try with --jobs 1 to see why")


def _stop(workers: Sequence[SpawnProcess]) -> None:
    """End those that are at work still; Ctrl-C in a terminal reached them too, and they are ending."""
    for worker in workers:
        worker.join(1)
    alive = [w for w in workers if w.is_alive() and w.pid is not None]
    for worker in alive:
        os.kill(worker.pid or 0, signal.SIGTERM)
    for worker in alive:
        worker.join(10)
        if worker.is_alive():
            worker.kill()
            worker.join()


def _check_search(path: Path, overrides: Sequence[str], recipe: Recipe) -> None:
    """Try that a search can be made, before anything is trained.

    Raises:
        UsageError: the space names a setting that there is not, or values that it cannot have; or nothing tells which
            trial is better.
    """
    if recipe.splits.validation is None:
        raise UsageError("a search needs a validation part", hint="splits.validation names it")
    for name, range_ in recipe.search.space.items():
        for value in range_.choices or (range_.low, range_.high):
            _check_value(path, overrides, name, value)
        if range_.low is not None and range_.high is not None and range_.step is None:
            between = range_.low + (range_.high - range_.low) / 3.7
            try:
                _check_value(path, overrides, name, between)
            except UsageError:
                raise UsageError(
                    f"search.space.{name}: between {range_.low:g} and {range_.high:g} are numbers that it cannot have, "
                    f"such as {between:.3g}",
                    hint="where it is a whole number, give step: 1",
                ) from None


def _check_value(path: Path, overrides: Sequence[str], name: str, value: Any) -> None:
    try:
        load_recipe(path, [*overrides, f"{name}={json.dumps(value)}"])
    except UsageError as error:
        said = error.message.rpartition(f"{name}={json.dumps(value)}: ")[2].removeprefix("--set ")
        raise UsageError(f"search.space.{name}: {value} cannot be tried: {said}", hint=error.hint) from None


def summary(out: Path, recipe: Recipe) -> dict[str, Any]:
    """All trials, the front of those that no other beats in everything, the best, and what mattered how much."""
    study = open_study(out, recipe)
    objectives = recipe.search.objectives
    lines = [line_of(t, objectives) for t in study.trials if t.state is not TrialState.WAITING]
    complete = [t for t in study.trials if t.state is TrialState.COMPLETE]
    front = [t.number for t in study.best_trials] if complete else []
    matters: dict[str, dict[str, float]] = {}
    if len(complete) >= 4:
        for place, objective in enumerate(list(objectives)):
            sign = -1 if DIRECTIONS[objective] == "maximize" else 1

            def value(trial: optuna.trial.FrozenTrial, place: int = place, sign: int = sign) -> float:
                return sign * list(trial.values)[place]

            judge = optuna.importance.PedAnovaImportanceEvaluator()
            target = value if len(objectives) > 1 else None
            with warnings.catch_warnings():
                # it says that low values count as good, which the sign sees to, and where trials are alike
                warnings.simplefilter("ignore", UserWarning)
                told = optuna.importance.get_param_importances(study, evaluator=judge, target=target)
            matters[objective] = dict(told)
    first = [line for line in lines if line["trial"] in front]
    leading: str = next(iter(objectives))
    sign = 1 if DIRECTIONS[leading] == "maximize" else -1
    best = max(first, key=lambda line: sign * line["values"][leading])["trial"] if first else None
    return {
        "objectives": list(objectives), "trials": lines, "front": front, "best": best, "importances": matters,
    }  # fmt: skip


def _write_best(path: Path, overrides: Sequence[str], found: Mapping[str, Any], out: Path) -> None:
    """The best trial's recipe, to train with."""
    best = next(line for line in found["trials"] if line["trial"] == found["best"])
    settings = [*overrides, *(f"{n}={json.dumps(v)}" for n, v in best["settings"].items())]
    values, _ = read_values(path, settings)
    values["dataset"] = str((path.parent / values["dataset"]).resolve())
    write_whole(out / "best.yaml", yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=110))
