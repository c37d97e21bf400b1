"""The whole of an improvement: feedback, labels, fine-tuning, shadow over the stored video, verdict."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onlooker.bundles.added import add, added_bundle
from onlooker.bundles.folder import Bundle
from onlooker.bundles.inputs import ClipInput, LogMelInput, SeriesInput, WaveformInput
from onlooker.core.errors import ConfigError, Interrupted, UsageError
from onlooker.core.observation import Observation
from onlooker.improving.improvement import Improvement, ImproveRequest, Round, Told
from onlooker.improving.labels import Taught, samples_of, taught_of
from onlooker.improving.lessons import key_of, labelled, write_labels
from onlooker.improving.lessons import lessons as put_together
from onlooker.improving.origin import began_from, check_run, data_of, run_of
from onlooker.improving.stored import look_back, open_footage
from onlooker.improving.verdicts import Verdicts, judge
from onlooker.learning.datasets.dataset import Dataset, common_parts
from onlooker.learning.datasets.manifest import Sample
from onlooker.learning.datasets.typed_yaml import write_whole
from onlooker.learning.improve.finetune import STRENGTHS, finetune
from onlooker.learning.improve.held_out import held_out, worse
from onlooker.learning.recipe import Recipe
from onlooker.learning.run_folder import RunFolder
from onlooker.shadow.candidate import Pair
from onlooker.shadow.stored import Shadow, ShadowRequest, run_shadow

__all__ = ["ImproveRequest", "Told", "improve"]

_LEAST_TRAINING = 5.0
"""Seconds that a round of training must have left."""


def improve(request: ImproveRequest, told: Told | None = None) -> Improvement:
    """Improve a bundle by what was said of it; what was stopped goes on with the same request.

    Raises:
        UsageError: nothing was said of it, its run is not at hand, or it cannot be learned from.
        Interrupted: it was stopped.
    """
    told, begun = told or Told(), time.monotonic()
    used = added_bundle(request.name, check=True)
    _check_teachable(request.name, used)
    footage = open_footage(request.library, request.name, hidden=request.hidden)
    run = request.run or run_of(request.name, used, request.library)
    recipe = RunFolder(run).recipe()
    check_run(run, recipe, request.name, used)
    data = request.data or data_of(recipe)
    _begin(request, used)
    made = Improvement(request, used, run, data, footage)
    lessons = _taught(made, recipe, told)
    before = _judged(made, {source: (seen, seen) for source, seen in lessons.observed.items()}, lessons)
    if len(before.fixes) == len(footage.feedback) and not before.asked:
        made.decision, made.heeded = "nothing to do", before.fixes
    elif lessons.samples:
        _try(made, lessons, _learned(made, recipe, lessons), begun, told)
        _measure(made, recipe, told)
        made.decision = "ready" if not made.reasons else "left"
    made.seconds = time.monotonic() - begun
    return made


def _check_teachable(name: str, used: Bundle) -> None:
    """Try that feedback on a bundle can be learned from, before anything is looked through.

    Raises:
        UsageError: it cannot.
    """
    if used.manifest.reads is not None:
        raise UsageError(
            f"{name} reads texts, which are not in the stored video that improve looks through again",
            hint="put samples with their texts into its dataset, and onlooker train with start.weights",
        )
    if not taught_of(used.manifest, {}):
        raise UsageError(
            f"{name} answers no labels of stretches or moments, which alone feedback teaches",
            hint="for boxes onlooker dataset from-library; of what is unusual more footage: onlooker train",
        )


def _begin(request: ImproveRequest, used: Bundle) -> None:
    """The folder is of this bundle and library alone."""
    state, key = request.folder / "state.json", {"used": used.digest, "library": str(request.library.resolve())}
    if state.is_file():
        if json.loads(state.read_text(encoding="utf-8")) != key:
            raise UsageError(f"{request.folder} holds another improvement", hint="give another --out")
        return
    if request.folder.exists() and any(request.folder.iterdir()):
        raise UsageError(f"{request.folder} is not empty", hint="give another --out")
    write_whole(state, json.dumps(key))


@dataclass(frozen=True, slots=True)
class _Lessons:
    """What feedback comes to.

    Args:
        samples: by the key of the feedback, those that teach it.
        kept: those of what shall stay.
        base: the dataset of old samples, or None.
        observed: by source id, what the bundle in use observes.
        outputs: that feedback can teach.
    """

    samples: dict[str, list[Sample]]
    kept: list[Sample]
    base: Dataset | None
    observed: Mapping[str, Sequence[Observation]]
    outputs: Sequence[Taught]

    @property
    def labelled(self) -> dict[str, str]:
        """By the key of feedback, the one label that its samples have."""
        made: dict[str, str] = {}
        for key, some in self.samples.items():
            labels = {label for s in some for label in s.labels.values() if isinstance(label, str)}
            if len(labels) == 1:
                made[key] = labels.pop()
        return made


def _taught(made: Improvement, recipe: Recipe, told: Told) -> _Lessons:
    """The samples that teach and those that shall stay."""
    request, footage = made.request, made.footage
    base = Dataset.load(made.data) if made.data is not None else None
    told.say(f"{len(footage.feedback)} pieces of feedback; looking through {len(footage.files)} stored videos")
    observed = look_back(
        request.name, footage.files, request.folder / "shadow", progress=told.video, stop=told.stop
    )  # fmt: skip
    length = clip_seconds(made.run)
    taught = taught_of(made.used.manifest, dict(recipe.tasks))
    measured = made.used.manifest.series is not None
    material = samples_of(footage.feedback, taught, observed, footage.files, length, measured=measured)
    tasks = dict(base.info.tasks) if base is not None else {}
    for one in taught:
        tasks.setdefault(one.task, RunFolder(made.run).facts().tasks[_recipe_task(recipe, one.task)].task)
    labels = write_labels(request.folder / "labels", material, tasks)
    limits = {str(path)[1:]: seconds for path, seconds in footage.files.values()}
    samples = labelled(labels, length, limits)
    made.taught = {key: len(some) for key, some in samples.items()}
    made.waiting = tuple(sorted(set(material.proposed) - set(samples)))
    return _Lessons(samples, material.kept, base, observed, taught)


def _judged(made: Improvement, observations: Mapping[str, Any], lessons: _Lessons) -> Verdicts:
    return judge(
        made.footage.feedback, observations, made.used.manifest.kinds, taught=lessons.outputs,
        labelled=lessons.labelled,
    )  # fmt: skip


def clip_seconds(run: Path) -> float | None:
    """Seconds of a clip that the run's model takes; None: single pictures."""
    lengths: list[float] = []
    for facts in RunFolder(run).facts().inputs.values():
        if isinstance(facts, ClipInput):
            lengths.append(facts.frames / facts.rate)
        elif isinstance(facts, LogMelInput | WaveformInput):
            lengths.append(facts.length / facts.sample_rate)
        elif isinstance(facts, SeriesInput):
            lengths.append(facts.steps / facts.rate)
    return max(lengths, default=None)


def _recipe_task(recipe: Recipe, task: str) -> str:
    """The recipe's name of a dataset's task."""
    return next(name for name, head in recipe.tasks.items() if (head.of or name) == task)


def _learned(made: Improvement, recipe: Recipe, lessons: _Lessons) -> tuple[Dataset, str]:
    """What is learned from, and a key of all that decides it."""
    request = made.request
    new = [s for some in lessons.samples.values() for s in some]
    parts = {"train": recipe.splits.train, "val": recipe.splits.validation, "test": recipe.splits.test}
    parts = {
        n: p for n, p in parts.items() if n == "train" or (p is not None and not common_parts(p, recipe.splits.train))
    }
    key = key_of(
        [s.model_dump(mode="json") for s in [*new, *lessons.kept]], request.replay, request.seed,
        None if made.data is None else str(made.data.resolve()), parts,
    )  # fmt: skip
    folder, known = request.folder / "lessons", request.folder / "lessons.key"
    if known.is_file() and known.read_text() == key and (folder / "dataset.yaml").is_file():
        return Dataset.load(folder), key
    tasks = Dataset.load(request.folder / "labels").info.tasks
    videos = {str(path)[1:] for path, _ in made.footage.files.values()}
    dataset = put_together(
        folder, lessons.base, parts, new, lessons.kept, tasks, replay=request.replay, seed=request.seed, videos=videos
    )
    write_whole(known, key)
    return dataset, key


def _try(made: Improvement, lessons: _Lessons, learned: tuple[Dataset, str], begun: float, told: Told) -> None:
    """Fine-tune ever stronger until all is fixed and nothing broken, or the time is over; keeps the best."""
    request = made.request
    end = begun + request.budget
    for number, strength in enumerate(STRENGTHS, 1):
        began = time.monotonic()
        if made.rounds and end - began < max(_LEAST_TRAINING, 1.5 * made.rounds[-1].seconds):
            told.say("the time is over: no stronger round is tried")
            break
        folder = request.folder / f"round-{number}"
        _fresh(folder, key_of(learned[1], vars_of(strength)))
        told.say(f"round {number}: fine-tuning")
        # the shadow after it takes its share
        deadline = began + max(_LEAST_TRAINING, 0.7 * (end - began))
        bundle = finetune(
            made.run, began_from(made.run, made.used), learned[0], folder / "run", strength, deadline=deadline,
            seed=request.seed, threads=request.threads, progress=told.training,
        )  # fmt: skip
        trained = len(RunFolder(folder / "run").history())
        if trained < strength.epochs:
            told.say(f"round {number}: ended by --budget after {trained} of {strength.epochs} passes; it can go on")
        told.say(f"round {number}: shadow over the stored video")
        shadow = _shadow(made, bundle, told)
        verdicts = _judged(made, shadow.observations, lessons)
        one = Round(number, vars_of(strength), trained, bundle, verdicts, shadow, time.monotonic() - began)
        made.rounds.append(one)
        told.say(f"round {number}: {verdicts.fixed} of {verdicts.asked} fixed, {verdicts.broken} broken")
        if verdicts.broken == 0 and verdicts.fixed == verdicts.asked:
            break
    made.best = min(made.rounds, key=lambda r: r.verdicts.rank)


def vars_of(strength: Any) -> dict[str, Any]:
    """Its settings."""
    return {name: getattr(strength, name) for name in type(strength).__slots__}


def _fresh(folder: Path, key: str) -> None:
    """A folder of this round alone: what was learned from other samples is gone."""
    known = folder / "round.key"
    if folder.exists() and (not known.is_file() or known.read_text() != key):
        shutil.rmtree(folder)
    write_whole(known, key)


def _shadow(made: Improvement, bundle: Bundle, told: Told) -> Shadow:
    request = made.request
    version = add(bundle.folder, request.name, use=False).bundle
    pair = Pair(request.name, made.used, f"{request.name}@{version.digest[:16]}", version)
    paths = [str(path) for path, _ in made.footage.files.values()]
    shadow = run_shadow(
        ShadowRequest(pair, paths, request.folder / "shadow", workers=request.workers),
        progress=told.video, stop=told.stop,
    )  # fmt: skip
    if shadow.stopped:
        raise Interrupted("stopped", hint="the same command goes on from here")
    return shadow


def _measure(made: Improvement, recipe: Recipe, told: Told) -> None:
    """Held-out measures, and what speaks against the candidate."""
    best = made.best
    assert best is not None
    if made.data is not None:
        told.say("measuring on held-out data")
        try:
            made.held_out = held_out(
                best.bundle.folder, made.used.folder, made.data, recipe.splits, seed=made.request.seed
            )
        except (UsageError, ConfigError) as error:
            made.held_out = {"error": error.message}
    verdicts = best.verdicts
    if not verdicts.fixed:
        made.reasons.append("nothing of the feedback is fixed")
    if verdicts.broken:
        made.reasons.append(f"{verdicts.broken} observations elsewhere are lost, or new")
    if blind := [f.message for f in best.shadow.failures if f.analyzer == best.shadow.pair.other]:
        made.reasons.append(f"the candidate could not look at stored video: {blind[0]} ({len(blind)} in all)")
    made.reasons += [f"{name}: {said}" for name, said in worse(made.held_out).items()]
    if not made.held_out.get("tasks"):
        why = made.held_out.get("error", "its dataset is not at hand: --data" if made.data is None else "")
        made.reasons.append(f"nothing was measured on held-out data{f': {why}' if why else ''}")
