"""Evaluation as a whole: from the names of a bundle and a dataset to all results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from onlooker.bundles.outputs import Anomaly
from onlooker.core.errors import UsageError
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.manifest import Sample
from onlooker.learning.evaluate.answers import CLEAN, Answers, answers_of
from onlooker.learning.evaluate.compare import Difference, compared, pairs_of
from onlooker.learning.evaluate.gallery import Wrong, worst
from onlooker.learning.evaluate.leaks import Leak, find_leaks
from onlooker.learning.evaluate.material import Diet, diet_of
from onlooker.learning.evaluate.measure import TaskResult, by_group, measured
from onlooker.learning.evaluate.opening import Subject, open_like
from onlooker.learning.evaluate.robustness import Row, rows_of, variants_of
from onlooker.learning.evaluate.tasks import Judge, judges_of

__all__ = ["Evaluation", "EvaluationRequest", "Told", "evaluate", "usual_part"]

Told = Callable[[str, int, int], None]
"""Told what is done, how far, and of how many."""


@dataclass(frozen=True, slots=True)
class EvaluationRequest:
    """What is asked for.

    Args:
        bundle: a folder, zip, name of an added bundle, or the folder of a run.
        dataset: its folder.
        split: which part; None: ``test`` where there is one, else all.
        tasks: by output of either bundle, the dataset's task, where they differ.
        against: another bundle to compare with, or None.
        slices: whether to corrupt the samples too.
        by: sorts of groups, or tasks, by which results are told apart.
        samples: at most so many, spread evenly; None: all.
        slice_samples: at most so many of them are corrupted.
        looks: at most so many of a sample that is longer than the bundle's input.
        draws: of the bootstrap.
        seed: of the bootstrap and the corruptions.
        near: whether to look for near-duplicates of what was learned from; None: where there are not too many.
        errors: how many of the worst errors are kept.
        engine: of inference; None: the bundle's preferred one.
        threads: that decode and answer; None: one for each CPU.
        like: the folder of a run whose recipe says how pictures are cut and heads are set, for bundles that were made
            of it and whose own run is not known.
    """

    bundle: str
    dataset: Path
    split: str | None = None
    tasks: Mapping[str, str] = field(default_factory=dict[str, str])
    against: str | None = None
    slices: bool = False
    by: Sequence[str] = ()
    samples: int | None = None
    slice_samples: int = 300
    looks: int = 8
    draws: int = 1000
    seed: int = 0
    near: bool | None = None
    errors: int = 24
    engine: str | None = None
    threads: int | None = None
    like: Path | None = None


@dataclass(slots=True)
class Evaluation:
    """All results.

    Args:
        request: what was asked for.
        subject: name, title and digest of the bundle.
        dataset: that it was evaluated on.
        split: the part, None for all.
        looks: how samples were looked at, for people.
        engine: that ran it.
        tasks: by output.
        failures: by sample id, why it could not be answered.
        leaks: samples that were learned from.
        notes: what else there is to say.
        robustness: rows of the table, empty where it was not asked for, and of how many samples.
        slices: by sort, output and group.
        against: by output, the difference to the other bundle, and its name.
        errors: by output, the worst.
        early: share of the looks that left by an early exit; None: the bundle has none.
    """

    request: EvaluationRequest
    subject: dict[str, str]
    dataset: Dataset
    split: str | None
    count: int
    looks: str
    engine: str
    tasks: dict[str, TaskResult]
    failures: dict[str, str]
    leaks: list[Leak]
    notes: list[str]
    robustness: list[Row] = field(default_factory=list[Row])
    corrupted: int = 0
    slices: dict[str, dict[str, dict[str, dict[str, Any]]]] = field(default_factory=dict[str, Any])
    other: dict[str, str] | None = None
    against: dict[str, Difference] = field(default_factory=dict[str, Difference])
    errors: dict[str, list[Wrong]] = field(default_factory=dict[str, list[Wrong]])
    early: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The public JSON form."""
        made: dict[str, Any] = {
            "tasks": {name: task.as_dict() for name, task in self.tasks.items()},
            "bundle": self.subject,
            "dataset": {"name": self.dataset.info.name, "folder": str(self.dataset.folder)},
            "split": self.split,
            "samples": self.count,
            "looks": self.looks,
            "engine": self.engine,
            "failures": self.failures,
            "leaks": [leak.as_dict() for leak in self.leaks],
            "notes": self.notes,
        }
        if self.early is not None:
            made["left_early"] = round(self.early, 4)
        if self.robustness:
            made["robustness"] = {"samples": self.corrupted, "rows": [row.as_dict() for row in self.robustness]}
        if self.slices:
            made["slices"] = self.slices
        if self.other is not None:
            made["against"] = {**self.other, "tasks": {n: d.as_dict() for n, d in self.against.items()}}
        return made


def evaluate(request: EvaluationRequest, told: Told | None = None) -> Evaluation:
    """Evaluate a bundle on a dataset.

    Args:
        request: what is asked for.
        told: how it goes.

    Raises:
        UsageError: bundle and dataset do not fit, or there is no such part.
        ConfigError: the dataset is wrong.
        SourceError: no sample can be decoded.
        ModelError: the bundle is damaged, or does not run here.
    """
    dataset = Dataset.load(request.dataset)
    split, part = _part(dataset, request)
    say = told or (lambda what, done, of: None)
    with ExitStack() as stack:
        subject = open_like(request.bundle, request.like, stack)
        beside = None if request.against is None else open_like(request.against, request.like, stack)
        # what does not fit is told before the long work
        one = _Runner(subject, dataset, request, say, beside)
        other = None if beside is None else _Runner(beside, dataset, request, say, subject)
        if other is not None:
            _see_common(one, other)
        tasks = dict.fromkeys(j.of for j in one.judges)
        labelled = [s for s in part if not tasks.keys().isdisjoint(s.labels)]
        if not labelled:
            raise UsageError(
                f"no sample of {request.dataset}{f' in {split}' if split else ''} has a label of {', '.join(tasks)}",
                hint="see onlooker dataset stats, and --task",
            )
        samples = _some(labelled, request.samples)
        for judge in [*one.judges, *(other.judges if other is not None else ())]:
            judge.check(samples)
        for sort in request.by:
            if not any(sort in s.groups or sort in s.labels for s in samples):
                raise UsageError(f"--by: no sample has a group or label {sort!r}", hint="see onlooker dataset show")
        answers = one.answers(samples, "answering")
        made = one.result(answers, samples, split)
        if len(part) > len(labelled):
            made.notes.append(f"{len(part) - len(labelled)} samples have no label of {', '.join(tasks)}: left out")
        made.leaks, notes = find_leaks(
            subject, dataset, samples, near=request.near, progress=lambda n, of: say("looking for leaks", n, of)
        )
        made.notes += notes
        if request.slices:
            _corrupt(one, _some(answers.samples, request.slice_samples), made)
        if other is not None:
            theirs = other.answers(samples, "answering by the other")
            made.other = other.about
            made.against = compared(
                one.judges, answers, other.judges, theirs, dataset.info.overlap, draws=request.draws, seed=request.seed
            )
            made.notes += [f"{j.name} is not compared with the other" for j in one.judges if j.name not in made.against]
        return made


def _corrupt(one: _Runner, samples: Sequence[Sample], made: Evaluation) -> None:
    """Fill in the robustness, or say why there is none."""
    variants = variants_of(one.diet, samples, one.dataset.root)
    if len(variants) < 2:
        made.notes.append("no robustness: only pictures and sound are corrupted, and the bundle takes neither")
        return
    if one.diet.sound is not None and not any(name.startswith("sound/babble/") for name in variants):
        made.notes.append("no babble: it needs the sounds of two samples")
    changed = one.answers(samples, "corrupting", variants)
    made.robustness, made.corrupted = rows_of(changed, one.judges), len(changed.samples)


def usual_part(dataset: Dataset, split: str | None) -> str | None:
    """The part that is asked for; without one ``test`` where there is one, else None: all."""
    return split or ("test" if "test" in dataset.info.splits else None)


def _part(dataset: Dataset, request: EvaluationRequest) -> tuple[str | None, list[Sample]]:
    """Which split is meant, None for all, and its samples that are no proposals."""
    split = usual_part(dataset, request.split)
    part = [s for s in dataset.of_split(split) if s.status == "labelled"]
    if not part:
        there = ", ".join(f"{name} {len(dataset.of_split(name))}" for name in dataset.info.splits)
        hint = f"--split says which part; there are {there}" if request.split is None and there else None
        raise UsageError(
            f"{request.dataset} has no labelled sample in {split or 'it'}", hint=hint or "see onlooker dataset stats"
        )
    return split, part


def _see_common(one: _Runner, other: _Runner) -> None:
    """See that two bundles can be compared.

    Raises:
        UsageError: no task is answered by both in the same way.
    """
    if not pairs_of(one.judges, other.judges):
        ours, theirs = (", ".join(f"{j.of} ({j.output.task})" for j in r.judges) for r in (one, other))
        raise UsageError(
            f"{one.subject.name} and {other.subject.name} have no common task: {ours} and {theirs}",
            hint="--task OUTPUT=TASK says which output belongs to which task",
        )


def _some(samples: Sequence[Sample], count: int | None) -> list[Sample]:
    """At most so many, spread evenly."""
    if count is None or len(samples) <= count:
        return list(samples)
    return [samples[n * len(samples) // count] for n in range(count)]


class _Runner:
    """A bundle with what judges it; what is said of outputs that only the bundle beside it has is not for it."""

    def __init__(
        self, subject: Subject, dataset: Dataset, request: EvaluationRequest, say: Told, beside: Subject | None = None
    ) -> None:
        self.subject, self.dataset, self.request, self._say = subject, dataset, request, say
        manifest = subject.bundle.manifest
        if all(isinstance(o, Anomaly) for o in manifest.outputs):
            raise UsageError(
                f"{manifest.name} scores how unusual moments are, which has measures of its own",
                hint="onlooker evaluate gives them by itself; in Python onlooker.learning.anomaly.evaluate_anomaly",
            )
        heads: Any = subject.recipe.get("tasks") or {}
        own = {o.name for o in manifest.outputs}
        others = {o.name for o in beside.bundle.manifest.outputs} - own if beside is not None else set[str]()
        names = {output: task for output, task in request.tasks.items() if output not in others}
        self.judges: list[Judge] = judges_of(manifest, dataset, names, subject.calibration, heads)
        self.diet: Diet = diet_of(manifest, looks=request.looks, cut=subject.cut(dataset))
        self.about = {"name": manifest.name, "title": manifest.title, "digest": subject.bundle.digest}

    def answers(self, samples: Sequence[Sample], what: str, variants: Any = None) -> Answers:
        """The answers to samples."""
        return answers_of(
            self.subject.bundle,
            self.diet,
            self.judges,
            self.dataset,
            samples,
            variants=variants,
            engine=self.request.engine,
            threads=self.request.threads,
            progress=lambda n, of: self._say(what, n, of),
        )

    def result(self, answers: Answers, samples: Sequence[Sample], split: str | None) -> Evaluation:
        """What the answers are worth."""
        request, overlap = self.request, self.dataset.info.overlap
        tasks: dict[str, TaskResult] = {}
        for number, judge in enumerate(self.judges):
            self._say("drawing", number, len(self.judges))
            tasks[judge.name] = measured(
                judge, answers, CLEAN, overlap, draws=request.draws, seed=request.seed, full=samples
            )
        slices = {sort: {j.name: by_group(j, answers, CLEAN, sort) for j in self.judges} for sort in request.by}
        left = [o.name for o in self.subject.bundle.manifest.outputs if o.name not in tasks]
        notes = [f"the dataset has no task for the output {name}" for name in left]
        if answers.early is not None:
            notes.append(f"{100 * answers.early:.1f} % of the looks left early")
        return Evaluation(
            request,
            self.about,
            self.dataset,
            split,
            len(answers.samples),
            self.diet.said,
            answers.engine,
            tasks,
            answers.failures,
            [],
            notes,
            slices=slices,
            errors={j.name: worst(j, answers, request.errors) for j in self.judges},
            early=answers.early,
        )
