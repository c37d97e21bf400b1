"""Searching the settings of a recipe: Optuna's samplers, trials that are stopped early, several objectives.

All trials are in ``trials.log`` of the search's folder, Optuna's journal: a search that was stopped goes on, and
several processes share one.
"""

from __future__ import annotations

import json
import multiprocessing
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.study import StudyDirection
from optuna.trial import TrialState

from onlooker.core.errors import OnlookerError, UsageError
from onlooker.learning.datasets.typed_yaml import write_whole
from onlooker.learning.latency import look_milliseconds
from onlooker.learning.recipe import Range, Recipe, load_recipe, read_values
from onlooker.learning.run_folder import make_folder
from onlooker.learning.training.train import Quiet, train
from onlooker.learning.tune_report import write_tune_report

__all__ = ["DIRECTIONS", "default_space", "summary", "tune"]

DIRECTIONS = {"score": "maximize", "latency": "minimize", "size": "minimize"}
_BEFORE_PRUNING = 4


def default_space(recipe: Recipe) -> dict[str, Range]:
    """What is tried where the recipe says nothing: the settings that matter most, around those that it has."""
    rate, batch = recipe.optimiser.rate, recipe.training.batch
    return {
        "optimiser.rate": Range(low=rate / 10, high=rate * 10, log=True),
        "optimiser.weight_decay": Range(low=1e-4, high=0.3, log=True),
        "training.batch": Range(choices=tuple(sorted({max(2, batch // 2), batch, batch * 2}))),
    }


def tune(
    path: Path,
    *,
    overrides: Sequence[str] = (),
    out: Path,
    trials: int = 20,
    budget: float | None = None,
    jobs: int = 1,
    told: Any = None,
) -> dict[str, Any]:
    """Search, or go on with a search.

    Args:
        path: of the recipe.
        overrides: settings on top of it, which all trials share.
        out: the search's folder.
        trials: how many there are to be, those of earlier sittings included.
        budget: seconds of this sitting; a trial that runs is finished.
        jobs: processes that try at once.
        told: called with each finished trial's line.

    Returns:
        `summary` of all trials.

    Raises:
        ConfigError, UsageError: the recipe is wrong.
    """
    recipe = load_recipe(path, overrides)
    _check_search(path, overrides, recipe)
    make_folder(out)
    _same_search(out, recipe)
    study = _study(out, recipe)
    _forget_killed(study)
    if not study.trials:
        study.enqueue_trial(_as_it_is(recipe, recipe.search.space or default_space(recipe)))
    end = None if budget is None else time.time() + budget
    if jobs == 1:
        _work(path, tuple(overrides), out, trials, end, 0, told)
    else:
        context = multiprocessing.get_context("spawn")
        workers = [
            context.Process(target=_work, args=(path, tuple(overrides), out, trials, end, number))
            for number in range(jobs)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if failed := [w.exitcode for w in workers if w.exitcode]:
            raise OnlookerError(f"{len(failed)} of {jobs} processes failed", hint="try with --jobs 1 to see why")
    found = summary(out, recipe)
    write_whole(out / "search.json", json.dumps(found, indent=1))
    write_tune_report(out, found)
    if found["best"] is not None:
        _write_best(path, overrides, found, out)
    elif errors := [line["error"] for line in found["trials"] if "error" in line]:
        raise UsageError(
            f"none of {len(found['trials'])} trials was completed; the last said: {errors[-1]}",
            hint=f"{out / 'report.html'} shows all; mend the recipe and give another --out",
        )
    return found


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
            try:
                load_recipe(path, [*overrides, f"{name}={json.dumps(value)}"])
            except UsageError as error:
                said = error.message.rpartition(f"{name}={json.dumps(value)}: ")[2].removeprefix("--set ")
                raise UsageError(f"search.space.{name}: {value} cannot be tried: {said}", hint=error.hint) from None


def _same_search(out: Path, recipe: Recipe) -> None:
    """A search goes on with the same space and objectives only."""
    asked = recipe.search.model_dump(mode="json")
    held = out / "asked.json"
    if held.exists():
        if json.loads(held.read_text(encoding="utf-8")) != asked:
            raise UsageError(f"{out} holds a search for something else", hint="give another --out")
    elif any(out.iterdir()):
        raise UsageError(f"{out} is not empty and holds no search", hint="give another --out")
    else:
        write_whole(held, json.dumps(asked))


def _study(out: Path, recipe: Recipe, worker: int = 0) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file = str(out / "trials.log")
    storage = JournalStorage(JournalFileBackend(file, lock_obj=JournalFileOpenLock(file)))
    seed = recipe.training.seed * 1000 + worker
    objectives = recipe.search.objectives
    pruner = optuna.pruners.MedianPruner(n_startup_trials=_BEFORE_PRUNING, n_warmup_steps=1)
    return optuna.create_study(
        storage=storage,
        study_name=recipe.name,
        directions=[StudyDirection[DIRECTIONS[o].upper()] for o in objectives],
        sampler=optuna.samplers.TPESampler(seed=seed, constant_liar=True, n_startup_trials=6),
        pruner=pruner if len(objectives) == 1 else optuna.pruners.NopPruner(),
        load_if_exists=True,
    )


def _work(
    path: Path, overrides: tuple[str, ...], out: Path, trials: int, end: float | None, worker: int, told: Any = None
) -> None:
    """Try until there are enough trials or the time is over."""
    recipe = load_recipe(path, overrides)
    study = _study(out, recipe, worker)
    space = recipe.search.space or default_space(recipe)
    while _counted(study) < trials and (end is None or time.time() < end):
        trial = study.ask()
        try:
            values = _tried(trial, path, overrides, out, recipe, space)
        except optuna.TrialPruned:
            study.tell(trial, state=TrialState.PRUNED)
        except UsageError as error:
            trial.set_user_attr("error", str(error))
            study.tell(trial, state=TrialState.FAIL)
            if all(t.state is TrialState.FAIL for t in study.trials) and len(study.trials) >= 3:
                raise
        else:
            study.tell(trial, values)
        if told is not None:
            told(_line(study.trials[trial.number], recipe.search.objectives))


def _counted(study: optuna.Study) -> int:
    """Trials that are over or running."""
    return sum(t.state is not TrialState.WAITING for t in study.trials)


def _forget_killed(study: optuna.Study) -> None:
    """Trials that a kill left unfinished have failed; they are not counted twice, as new ones take their numbers."""
    for trial in study.trials:
        if trial.state is TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)


def _as_it_is(recipe: Recipe, space: Mapping[str, Range]) -> dict[str, Any]:
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


class _Watched(Quiet):
    """Stops a trial that is worse than half of the others were after as many epochs."""

    def __init__(self, trial: optuna.Trial, single: bool) -> None:
        self._trial, self._single = trial, single
        self._scores: list[float] = []

    def epoch(self, line: Mapping[str, object]) -> None:
        """Compare."""
        score = line.get("score")
        if not isinstance(score, float):
            return
        self._scores.append(score)
        self._trial.set_user_attr("scores", self._scores)
        number = len(self._scores)
        if self._single:
            self._trial.report(score, number)
            stop = self._trial.should_prune()
        else:
            # Optuna prunes no trials of several objectives: the median rule, by the score alone
            done = [t.user_attrs.get("scores", []) for t in self._trial.study.trials if t.state is TrialState.COMPLETE]
            others = sorted(max(s[:number]) for s in done if len(s) >= number)
            stop = number > 1 and len(others) >= _BEFORE_PRUNING and max(self._scores) < others[len(others) // 2]
        if stop:
            raise optuna.TrialPruned


def _tried(
    trial: optuna.Trial,
    path: Path,
    overrides: tuple[str, ...],
    out: Path,
    recipe: Recipe,
    space: Mapping[str, Range],
) -> list[float]:
    """Train with a trial's settings; its objectives in order."""
    settings = [*overrides, *_suggested(trial, space)]
    objectives = recipe.search.objectives
    folder = out / f"trial-{trial.number:04}"
    costs = any(o != "score" for o in objectives)
    watched = _Watched(trial, single=len(objectives) == 1)
    run = train(path, overrides=settings, out=folder, progress=watched, bundle=costs)
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
    return [max(scores) if o == "score" else cost[o] for o in objectives]


def _runs(name: str) -> bool:
    """Whether a bundle's file is needed to run it."""
    return not name.endswith((".npz", ".safetensors"))


def _line(trial: optuna.trial.FrozenTrial, objectives: Sequence[str]) -> dict[str, Any]:
    values = dict(zip(objectives, trial.values, strict=True)) if trial.values else {}
    params = {n: json.loads(v) if isinstance(v, str) else v for n, v in trial.params.items()}
    seconds = trial.duration.total_seconds() if trial.duration else None
    line = {"trial": trial.number, "state": trial.state.name.lower(), "values": values, "settings": params}
    error = trial.user_attrs.get("error")
    return {
        **line,
        "seconds": seconds,
        "scores": trial.user_attrs.get("scores", []),
        **({"error": error} if error else {}),
    }


def summary(out: Path, recipe: Recipe) -> dict[str, Any]:
    """All trials, the front of those that no other beats in everything, the best, and what mattered how much."""
    study = _study(out, recipe)
    objectives = recipe.search.objectives
    lines = [_line(t, objectives) for t in study.trials if t.state is not TrialState.WAITING]
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
                # it says that low values of a target count as good, which the sign sees to
                warnings.filterwarnings("ignore", "PedAnovaImportanceEvaluator computes", UserWarning)
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
