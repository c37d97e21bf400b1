"""``onlooker bench``: what bundles cost on this machine, beside each other."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from onlooker.cli.bundle_costs import at_work_line
from onlooker.core.errors import UsageError

if TYPE_CHECKING:
    from onlooker.learning.compress.devices import Device
    from onlooker.learning.evaluate.opening import Subject

__all__ = ["command"]


def command(
    bundles: Annotated[
        list[str], typer.Argument(metavar="BUNDLE...", help="Folders, zips, added bundles' names, runs' folders.")
    ],
    data: Annotated[
        Path | None, typer.Option("--data", help="A dataset's folder: measure the main metrics too.")
    ] = None,
    split: Annotated[str | None, typer.Option("--split", help="Which part of it; test where there is one.")] = None,
    video: Annotated[
        Path | None, typer.Option("--video", help="A clip: measure the whole pipeline on it too, with decoding.")
    ] = None,
    samples: Annotated[int | None, typer.Option("--samples", min=1, help="At most so many, spread evenly.")] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=10, max=100_000, help="Looks of each that are timed.")] = 100,
    engine: Annotated[
        str | None, typer.Option("--engine", help="openvino or onnxruntime; for each the faster without it.")
    ] = None,
    device: Annotated[
        str, typer.Option("--device", help="Where looks are timed: cpu, cuda, or auto: where it would be served here.")
    ] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare bundles on this machine: time of a look, looks a second, size, memory, and what they are worth.

    All are timed in turns, so that other work on the machine falls on all alike; ratios are to the first. A run's
    folder is measured in eager PyTorch too. With a clip each analyses it as the only analyzer, in a library that is
    removed; the bundles need not be added.

    \b
    Examples:
      onlooker bench runs/fights runs/fights-small/bundle
      onlooker bench fights fights_small.zip --data datasets/fights --json
      onlooker bench fights fights_small.zip --video yard.mp4
    """
    from onlooker.learning.parts import require_torch

    require_torch()
    from dataclasses import asdict

    from onlooker.learning.compress.beginning import judged_by
    from onlooker.learning.compress.devices import check_device
    from onlooker.learning.compress.measure import costs_beside, eager_milliseconds, with_load, worth_of
    from onlooker.learning.datasets.dataset import Dataset
    from onlooker.learning.evaluate.opening import open_subject
    from onlooker.shadow.at_work import at_work

    check_device(device, engine)
    place = cast("Device", device)
    if len(set(bundles)) != len(bundles):
        raise UsageError("a bundle is named twice")
    with ExitStack() as stack:
        opened = {name: open_subject(name, stack) for name in bundles}
        if data is not None:
            dataset = Dataset.load(data)
            for subject in opened.values():
                judged_by(subject, dataset)
        costs = costs_beside({n: s.bundle for n, s in opened.items()}, rounds=rounds, engine=engine, device=place)
        rows: list[dict[str, Any]] = []
        for name, subject in opened.items():
            own = with_load(subject.bundle, costs[name], device=place)
            row: dict[str, Any] = {"bundle": name, "digest": subject.bundle.digest, **asdict(own)}
            row["times_as_fast"] = round(costs[bundles[0]].latency_ms / own.latency_ms, 3)
            # what learned normal footage has no network of ours by itself
            learned = subject.run if subject.recipe.get("kind") != "anomaly" else None
            row["eager_ms"] = None if learned is None else eager_milliseconds(learned)
            if data is not None:
                like = subject.run or _made_of(subject, opened.values())
                worth, found = worth_of(
                    subject.bundle.folder, data, split, engine=own.engine, samples=samples, draws=1000, like=like
                )
                row["tasks"] = {n: asdict(w) for n, w in worth.items()}
                row["left_early"] = found.early
            rows.append(row)
        if video is not None:
            seen = at_work({r["bundle"]: (opened[r["bundle"]].bundle.folder, r["engine"]) for r in rows}, video)
            for row in rows:
                row["pipeline"] = asdict(seen[row["bundle"]])
    print(json.dumps({"bundles": rows}, ensure_ascii=False) if as_json else "\n".join(_lines(rows)))


def _made_of(subject: Subject, others: Iterable[Subject]) -> Path | None:
    """The run among some whose recipe a bundle was made by: it says how pictures are cut for it."""
    recipe = subject.bundle.manifest.provenance.recipe
    same = (s.run for s in others if s.run is not None and s.bundle.manifest.provenance.recipe == recipe)
    return None if recipe is None else next(same, None)


def _lines(rows: list[dict[str, Any]]) -> list[str]:
    wide = max(len(r["bundle"]) for r in rows)
    made = [f"{'':{wide}}   ms a look [p5, p95]         times   a second   MB      memory MB  engine"]
    for r in rows:
        low, high = r["spread"]
        cells = f"{r['latency_ms']:8.3f} [{low:.3f}, {high:.3f}]".ljust(28)
        made.append(
            f"{r['bundle']:{wide}}   {cells} x{r['times_as_fast']:<6.3g} {r['throughput']:<10.5g} {r['size_mb']:<7.3g} "
            f"{r['memory_mb']:<10.4g} {r['engine']}"
        )
        if r["eager_ms"] is not None:
            made.append(f"{'':{wide}}   {r['eager_ms']:8.3f} in eager PyTorch")
        for name, task in r.get("tasks", {}).items():
            between = "" if task["ci95"] is None else f" [{task['ci95'][0]:.4g}, {task['ci95'][1]:.4g}]"
            made.append(f"{'':{wide}}   {name}: {task['metric']} {task['value']:.4g}{between}")
        if r.get("left_early") is not None:
            made.append(f"{'':{wide}}   {100 * r['left_early']:.1f} % of the looks left early")
        if "pipeline" in r:
            made.append(f"{'':{wide}}   in the pipeline: {at_work_line(r['pipeline'])}")
    return made
