"""The whole of an improvement: feedback, labels, fine-tuning, shadow over the stored video, verdict."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from onlooker.bundles.added import add, added_bundle
from onlooker.bundles.folder import Bundle, load_bundle
from onlooker.bundles.inputs import ClipInput, FrameInput, LogMelInput, SeriesInput, WaveformInput
from onlooker.core.errors import ConfigError, Interrupted, UsageError
from onlooker.improving.labels import samples_of, taught_of
from onlooker.improving.lessons import key_of, labelled, lessons, write_labels
from onlooker.improving.stored import Footage, look_back, open_footage
from onlooker.improving.verdicts import Verdicts, judge
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Sample
from onlooker.learning.datasets.typed_yaml import write_whole
from onlooker.learning.improve.finetune import STRENGTHS, finetune
from onlooker.learning.improve.held_out import held_out, worse
from onlooker.learning.recipe import Recipe
from onlooker.learning.run_folder import RunFolder
from onlooker.pipeline.run_source import Progress
from onlooker.shadow.candidate import Pair
from onlooker.shadow.stored import Shadow, ShadowRequest, run_shadow

__all__ = ["ImproveRequest", "Improvement", "Round", "improve"]

_LEAST_TRAINING = 5.0
"""Seconds that a round of training must have left."""


@dataclass(frozen=True, slots=True)
class ImproveRequest:
    """What is to be improved.

    Args:
        name: of the added bundle; its version in use is the beginning.
        library: whose feedback and stored video.
        folder: where everything is kept; the same request goes on there.
        run: folder of the run that made the bundle; None: it is looked for.
        data: folder of the dataset that it learned from; None: as the run says, where that is there.
        budget: seconds for all rounds together.
        replay: at most so many old samples in an epoch.
        hidden: see `open_footage`.
        seed: of all chances.
        threads: of training; None: as the recipe says.
        workers: processes of the shadow.
    """

    name: str
    library: Path
    folder: Path
    run: Path | None = None
    data: Path | None = None
    budget: float = 600.0
    replay: int = 400
    hidden: bool = False
    seed: int = 0
    threads: int | None = None
    workers: int | None = None


@dataclass(slots=True)
class Round:
    """One strength that was tried.

    Args:
        number: from 1.
        strength: settings of the fine-tuning.
        bundle: what came of it.
        verdicts: over the stored video.
        shadow: of it.
        seconds: that it took in this process.
    """

    number: int
    strength: dict[str, Any]
    bundle: Bundle
    verdicts: Verdicts
    shadow: Shadow
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        told = self.verdicts.as_dict()
        counts = {k: told[k] for k in ("fixed", "asked", "kept", "broken", "lost", "new")}
        return {"round": self.number, **self.strength, "candidate": self.bundle.digest, **counts,
                "agreement": self.shadow.whole.agreement, "seconds": round(self.seconds, 2)}  # fmt: skip


@dataclass(slots=True)
class Improvement:
    """What came of it.

    Args:
        request: what was asked for.
        used: the version in use at the beginning.
        run, data: what it was made by and from; data None: it was not at hand.
        footage: the stored video and what was said of it.
        taught: how many samples teach each piece of feedback, by its key.
        waiting: keys of feedback that awaits a label by a person.
        rounds: all that was tried.
        best: the round that is proposed, or None where there is nothing to learn from.
        held_out: measures on data that nothing was learned from, before and after.
        reasons: why it is not put to use by itself; empty: nothing speaks against it.
        decision: ``ready``, ``promoted``, ``left`` or ``nothing to learn``.
        seconds: that it took in this process.
    """

    request: ImproveRequest
    used: Bundle
    run: Path
    data: Path | None
    footage: Footage
    taught: dict[str, int] = field(default_factory=dict[str, int])
    waiting: tuple[str, ...] = ()
    rounds: list[Round] = field(default_factory=list[Round])
    best: Round | None = None
    held_out: dict[str, Any] = field(default_factory=dict[str, Any])
    reasons: list[str] = field(default_factory=list[str])
    decision: str = "nothing to learn"
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        best = self.best
        return {
            "name": self.request.name,
            "library": str(self.request.library),
            "folder": str(self.request.folder),
            "used": self.used.digest,
            "candidate": None if best is None else best.bundle.digest,
            "decision": self.decision,
            "reasons": self.reasons,
            "run": str(self.run),
            "data": None if self.data is None else str(self.data),
            "samples": self.taught,
            "waiting": list(self.waiting),
            "unusable": dict(self.footage.unusable),
            "rounds": [r.as_dict() for r in self.rounds],
            "verdicts": None if best is None else best.verdicts.as_dict(),
            "held_out": self.held_out,
            "seconds": round(self.seconds, 2),
            "labels": str(self.request.folder / "labels"),
            "report": str(self.request.folder / "report.html"),
        }


@dataclass(slots=True)
class Told:
    """Who is told how it goes: a line of text, a video's progress, and the training's (see `Quiet`)."""

    say: Callable[[str], None] = lambda _: None
    video: Callable[[Progress], None] | None = None
    training: Any = None
    stop: threading.Event | None = None


def improve(request: ImproveRequest, told: Told | None = None) -> Improvement:
    """Improve a bundle by what was said of it; what was stopped goes on with the same request.

    Raises:
        UsageError: nothing was said of it, its run is not at hand, or it cannot be learned from.
        Interrupted: it was stopped.
    """
    told, begun = told or Told(), time.monotonic()
    used = added_bundle(request.name, check=True)
    footage = open_footage(request.library, request.name, hidden=request.hidden)
    run = request.run or _run_of(used, request)
    recipe = RunFolder(run).recipe()
    _check_run(run, recipe, used)
    data = request.data or _data_of(recipe)
    _begin(request, used)
    made = Improvement(request, used, run, data, footage)
    samples, kept, base = _taught(made, recipe, told)
    if samples:
        _try(made, _lessons(made, recipe, samples, kept, base), begun, told)
        _measure(made, told)
        made.decision = "ready" if not made.reasons else "left"
    made.seconds = time.monotonic() - begun
    return made


def _run_of(used: Bundle, request: ImproveRequest) -> Path:
    """The folder of the run that made a bundle: below ``runs`` here, or an earlier improvement's."""
    places = [Path("runs").glob("*/bundle/bundle.json"), request.library.glob("improve/*/*/round-*/bundle/bundle.json")]
    for found in (path for place in places for path in sorted(place)):
        if load_bundle(found.parent, check=False).digest == used.digest:
            return found.parent.parent
    raise UsageError(
        f"the run that made {request.name} {used.digest[:16]} was not found", hint="say --run FOLDER of onlooker train"
    )


def _check_run(run: Path, recipe: Recipe, used: Bundle) -> None:
    """What is learned has to come out of the bundle that it began from.

    Raises:
        UsageError: the run answers something else than the bundle.
    """
    outputs = [o.name for o in used.manifest.outputs]
    if missing := [name for name in outputs if name not in recipe.tasks]:
        raise UsageError(
            f"{run} is not the run that made {used.manifest.name}: it has no task {missing[0]!r}, it has "
            f"{', '.join(recipe.tasks)}",
            hint="say --run FOLDER of the run that did",
        )


def _data_of(recipe: Recipe) -> Path | None:
    folder = Path(recipe.dataset)
    return folder if (folder / "dataset.yaml").is_file() else None


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


def _taught(
    made: Improvement, recipe: Recipe, told: Told
) -> tuple[dict[str, list[Sample]], list[Sample], Dataset | None]:
    """The samples that teach, those that shall stay, and the dataset of old ones."""
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
    return samples, material.kept, base


def clip_seconds(run: Path) -> float | None:
    """Seconds of a clip that the run's model takes; None: single pictures.

    Raises:
        UsageError: it takes texts.
    """
    lengths: list[float | None] = []
    for facts in RunFolder(run).facts().inputs.values():
        if isinstance(facts, ClipInput):
            lengths.append(facts.frames / facts.rate)
        elif isinstance(facts, LogMelInput | WaveformInput):
            lengths.append(facts.length / facts.sample_rate)
        elif isinstance(facts, SeriesInput):
            lengths.append(facts.steps / facts.rate)
        elif isinstance(facts, FrameInput):
            lengths.append(None)
        else:
            raise UsageError("improve does not learn from texts", hint="train on texts with onlooker train")
    known = [n for n in lengths if n is not None]
    return max(known) if known else None


def _recipe_task(recipe: Recipe, task: str) -> str:
    """The recipe's name of a dataset's task."""
    return next(name for name, head in recipe.tasks.items() if (head.of or name) == task)


def _lessons(
    made: Improvement, recipe: Recipe, samples: dict[str, list[Sample]], kept: list[Sample], base: Dataset | None
) -> tuple[Dataset, str]:
    """What is learned from, and a key of all that decides it."""
    request = made.request
    new = [s for some in samples.values() for s in some]
    parts = {"train": recipe.splits.train, "val": recipe.splits.validation, "test": recipe.splits.test}
    key = key_of(
        [s.model_dump(mode="json") for s in [*new, *kept]], request.replay, request.seed,
        None if made.data is None else str(made.data.resolve()),
    )  # fmt: skip
    folder, known = request.folder / "lessons", request.folder / "lessons.key"
    if known.is_file() and known.read_text() == key and (folder / "dataset.yaml").is_file():
        return Dataset.load(folder), key
    tasks = Dataset.load(request.folder / "labels").info.tasks
    dataset = lessons(folder, base, parts, new, kept, tasks, replay=request.replay, seed=request.seed)
    write_whole(known, key)
    return dataset, key


def _try(made: Improvement, learned: tuple[Dataset, str], begun: float, told: Told) -> None:
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
            made.run, made.used.folder, learned[0], folder / "run", strength, deadline=deadline, seed=request.seed,
            threads=request.threads, progress=told.training,
        )  # fmt: skip
        told.say(f"round {number}: shadow over the stored video")
        shadow = _shadow(made, bundle, told)
        verdicts = judge(made.footage.feedback, shadow.observations, made.used.manifest.kinds)
        one = Round(number, vars_of(strength), bundle, verdicts, shadow, time.monotonic() - began)
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


def _measure(made: Improvement, told: Told) -> None:
    """Held-out measures, and what speaks against the candidate."""
    best = made.best
    assert best is not None
    if made.data is not None:
        told.say("measuring on held-out data")
        try:
            made.held_out = held_out(best.bundle.folder, made.used.folder, made.data, seed=made.request.seed)
        except (UsageError, ConfigError) as error:
            made.held_out = {"error": error.message}
    verdicts = best.verdicts
    if not verdicts.fixed:
        made.reasons.append("nothing of the feedback is fixed")
    if verdicts.broken:
        made.reasons.append(f"{verdicts.broken} observations elsewhere are lost, or new")
    made.reasons += [f"{name}: {said}" for name, said in worse(made.held_out).items()]
    if not made.held_out.get("tasks"):
        made.reasons.append("nothing was measured on held-out data")
