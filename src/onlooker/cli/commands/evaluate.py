"""``onlooker evaluate``: how good a bundle is on a dataset."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onlooker.core.errors import UsageError
from onlooker.learning.datasets import asked

if TYPE_CHECKING:
    from onlooker.learning.evaluate.compare import Difference
    from onlooker.learning.evaluate.opening import Subject
    from onlooker.learning.evaluate.run import Evaluation

__all__ = ["command"]

_SHOWN = 24


def command(
    bundle: Annotated[
        str, typer.Argument(metavar="BUNDLE", help="Folder, zip, added bundle's name, or a run's folder.")
    ],
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="The dataset's folder.")],
    split: Annotated[str | None, typer.Option("--split", help="Which part; test where there is one, else all.")] = None,
    task: Annotated[
        list[str] | None, typer.Option("--task", help="OUTPUT=TASK where names differ; repeatable.")
    ] = None,
    report: Annotated[Path | None, typer.Option("--report", help="Write an HTML page with the worst errors.")] = None,
    slices: Annotated[
        bool, typer.Option("--slices", help="Corrupt the samples too: light, blur, noise, missing senses ...")
    ] = False,
    by: Annotated[
        list[str] | None, typer.Option("--by", help="Tell results apart by a sort of group or a task; repeatable.")
    ] = None,
    against: Annotated[
        str | None, typer.Option("--against", help="Another bundle, compared on the same samples.")
    ] = None,
    samples: Annotated[int | None, typer.Option("--samples", min=1, help="At most so many, spread evenly.")] = None,
    slice_samples: Annotated[int, typer.Option("--slice-samples", min=1, help="Corrupt at most so many.")] = 300,
    looks: Annotated[
        int, typer.Option("--looks", min=1, max=1000, help="At most so many of a sample longer than the input.")
    ] = 8,
    draws: Annotated[int, typer.Option("--draws", min=200, max=100_000, help="Draws of the bootstrap.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of draws and corruptions.")] = 0,
    near: Annotated[
        bool | None, typer.Option(help="Look for near-duplicates of what was learned from; up to 20000 samples.")
    ] = None,
    at_least: Annotated[
        list[str] | None,
        typer.Option("--at-least", help="TASK=VALUE: exit with 1 where the metric is worse; repeatable."),
    ] = None,
    runtime: Annotated[str | None, typer.Option("--runtime", help="openvino or onnxruntime.")] = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, max=64, help="One for each CPU.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Tell how good a bundle is on labelled samples: metrics with 95 % intervals over videos, classes, calibration.

    \b
    Examples:
      onlooker evaluate runs/fights/bundle datasets/fights
      onlooker evaluate fights datasets/yard --split all-of-may --task action=event --json
      onlooker evaluate runs/fights datasets/fights --slices --by source --report fights.html
      onlooker evaluate runs/new datasets/fights --against fights --report better.html
      onlooker evaluate runs/fights datasets/fights --at-least action=0.85
    """
    from onlooker.learning.parts import require_torch

    require_torch()
    from onlooker.bundles.outputs import Anomaly
    from onlooker.learning.evaluate.opening import open_subject
    from onlooker.learning.evaluate.run import EvaluationRequest, evaluate

    limits = _limits(at_least)
    with ExitStack() as stack:
        opened = open_subject(bundle, stack)
        outputs = [output.name for output in opened.bundle.manifest.outputs]
        if unknown := [name for name in limits if name not in outputs]:
            raise UsageError(f"--at-least: there is no task {unknown[0]!r}", hint=f"there are {', '.join(outputs)}")
        if all(isinstance(output, Anomaly) for output in opened.bundle.manifest.outputs):
            unfit = {
                "--task": task, "--report": report, "--slices": slices, "--by": by, "--against": against,
                "--samples": samples, "--runtime": runtime,
            }  # fmt: skip
            if given := [option for option, value in unfit.items() if value]:
                raise UsageError(
                    f"{', '.join(given)}: not for what tells how unusual moments are, whole videos are compared",
                    hint="evaluate BUNDLE DATASET [--split PART] [--at-least TASK=VALUE] [--json]",
                )
            _anomaly(opened, dataset, split, limits, as_json)
            return
    request = EvaluationRequest(
        bundle, dataset, split, asked.pairs(task, "--task"), against, slices, tuple(by or ()), samples, slice_samples,
        looks, draws, seed, near, engine=runtime, threads=threads,
    )  # fmt: skip
    with _progress(as_json) as told:
        found = evaluate(request, told)
    if unknown := [name for name in limits if name not in found.tasks]:
        raise UsageError(f"--at-least: there is no task {unknown[0]!r}", hint=f"there are {', '.join(found.tasks)}")
    if report is not None:
        from onlooker.learning.datasets.typed_yaml import write_whole
        from onlooker.learning.evaluate.report_page import evaluation_page

        write_whole(report, evaluation_page(found))
    _tell(found, limits, report, as_json)


def _tell(found: Evaluation, limits: dict[str, float], report: Path | None, as_json: bool) -> None:
    """Print what was found; exits with 1 where a limit was missed."""
    missed = [name for name, limit in limits.items() if not _reached(found, name, limit)]
    if as_json:
        print(json.dumps(found.as_dict(), ensure_ascii=False))
    else:
        lines = _lines(found) + ([f"{report}: the report"] if report is not None else [])
        print("\n".join(line.encode("utf-8", "replace").decode() for line in lines))
    for leak in found.leaks:
        print(f"onlooker: warning: {leak.message}", file=sys.stderr)
    _tell_missed({name: found.tasks[name].value for name in missed}, limits)


def _tell_missed(values: dict[str, float | None], limits: dict[str, float]) -> None:
    """Say which limits were missed; exits with 1 where one was."""
    for name, value in values.items():
        how = f"is worse than {limits[name]:g}" if value is not None else "could not be measured"
        print(f"onlooker: {name} {how}", file=sys.stderr)
    if values:
        raise typer.Exit(1)


def _anomaly(subject: Subject, folder: Path, split: str | None, limits: dict[str, float], as_json: bool) -> None:
    from onlooker.learning.anomaly import evaluate_anomaly
    from onlooker.learning.datasets.dataset import Dataset
    from onlooker.learning.evaluate.run import usual_part

    dataset = Dataset.load(folder)
    found = evaluate_anomaly(subject, dataset, split=usual_part(dataset, split))
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        for name, values in found["tasks"].items():
            between = f" [{', '.join(map(_said, values['ci95']))}]" if values["ci95"] else ""
            said = f"{_said(values['value'])}{between}, mean over videos {_said(values['macro'])}"
            if values["value"] is None:
                said += f"; {values['abnormal']} of {values['pictures']} pictures are labelled abnormal"
            print(f"{name}: {values['metric']} {said}")
        print("".join(f"leak: {leak['message']}\n" for leak in found["leaks"]), end="")
        print("".join(f"note: {note}\n" for note in found["notes"]), end="")
    for leak in found["leaks"]:
        print(f"onlooker: warning: {leak['message']}", file=sys.stderr)
    reached = {name: found["tasks"].get(name, {}).get("value") for name in limits}
    _tell_missed({name: v for name, v in reached.items() if v is None or v < limits[name]}, limits)


def _said(value: float | None) -> str:
    return "could not be told" if value is None else f"{value:.4f}"


def _limits(at_least: list[str] | None) -> dict[str, float]:
    try:
        limits = {name: float(value) for name, value in asked.pairs(at_least, "--at-least").items()}
        if not all(math.isfinite(limit) for limit in limits.values()):
            raise ValueError
        return limits
    except ValueError:
        raise UsageError(
            f"--at-least: not a number: {' '.join(at_least or [])}", hint="--at-least action=0.85"
        ) from None


def _reached(found: Evaluation, name: str, limit: float) -> bool:
    task = found.tasks[name]
    if task.value is None:
        return False
    return task.value >= limit if task.higher else task.value <= limit


def _lines(found: Evaluation) -> list[str]:
    from onlooker.learning.evaluate.measure import worst_first

    part = found.split or "all parts"
    lines = [f"{found.subject['name']} on {found.dataset.info.name} ({part}): {found.count} samples; {found.looks}"]
    for task in found.tasks.values():
        names = sorted(task.metrics, key=lambda m: (m != task.metric, m))
        lines.append(f"{task.name} ({task.head}, {task.count} samples)")
        if not names:
            why = "the labels of these samples give no measure" if task.count else "no sample has a label"
            lines.append(f"  {task.metric}: {why}")
        for name in names:
            between = task.intervals.get(name)
            said = f"  [{between[0]:.4g}, {between[1]:.4g}]" if between else ""
            lines.append(f"  {name:20}{task.metrics[name]:10.4g}{said}")
        rows = [
            f"    {label:24}" + "  ".join(f"{k} {v:.3g}" for k, v in r.items()) for label, r in task.classes.items()
        ]
        lines += _first(rows, "    ")
        if task.unknown:
            ordered = sorted(task.unknown.items(), key=lambda u: (-u[1], u[0]))
            labels = [f"{label} ({count})" for label, count in ordered]
            lines.append(f"  labels that the bundle does not know, left out: {', '.join(_first(labels))}")
    if found.robustness:
        lines.append(f"robustness of {found.corrupted} samples, clean and corrupted")
    for row in found.robustness:
        degree = "" if row.severity is None else f" {row.severity}"
        values = ", ".join(f"{n} {v:.4g} ({row.changes.get(n, 0.0):+.3g})" for n, v in row.values.items())
        lines.append(f"{row.sense:9} {row.name + degree:16} {values}")
    for sort, tasks in found.slices.items():
        for name, groups in tasks.items():
            rows = [f"{name} by {sort}: {g} {f['value'] if f['value'] is None else format(f['value'], '.4g')} "
                    f"({f['count']})" for g, f in worst_first(groups, found.tasks[name])]  # fmt: skip
            lines += _first(rows, f"{name} by {sort}: ")
    other = (found.other or {}).get("name")
    lines += [f"{name} against {other}: {_difference(one)}" for name, one in found.against.items()]
    failed = [f"cannot be answered: {name}: {reason}" for name, reason in found.failures.items()]
    lines += _first(failed, "cannot be answered: ")
    lines += [f"leak: {leak.message}" for leak in found.leaks]
    return lines + [f"note: {note}" for note in found.notes]


def _difference(one: Difference) -> str:
    between = f" [{one.ci95[0]:+.4g}, {one.ci95[1]:+.4g}]" if one.ci95 else ""
    chance = "p could not be told" if one.p is None else f"p {one.p:.3g}"
    said = f"{one.metric} {one.difference:+.4g}{between}, {chance}"
    if one.mcnemar is not None:
        said += f", McNemar p {one.mcnemar:.3g}; {len(one.fixed)} fixed, {len(one.broken)} broken"
    return said


def _first(said: list[str], before: str = "") -> list[str]:
    """The first of many, and how many more there are."""
    return said if len(said) <= _SHOWN else [*said[:_SHOWN], f"{before}and {len(said) - _SHOWN} more"]


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each thing that is done, on a terminal; nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield lambda what, done, of: None
        return
    from rich.console import Console
    from rich.progress import Progress, TaskID

    with Progress(console=Console(stderr=True), transient=True) as bar:
        bars: dict[str, TaskID] = {}

        def told(what: str, done: int, of: int) -> None:
            if what not in bars:
                bars[what] = bar.add_task(what, total=of)
            bar.update(bars[what], completed=done, total=of)

        yield told
