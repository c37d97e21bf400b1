"""What bundles cost inside the pipeline: each analyses a real clip as the only analyzer, in turns.

The pipeline runs in a process with a cache of models and a library of its own, both removed afterwards, so that bundles
need not be added and nothing is left behind.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from onlooker.analyzers.bundle.looks import Layout
from onlooker.bundles.added import add
from onlooker.bundles.folder import Bundle, load_bundle
from onlooker.bundles.manifest import Manifest
from onlooker.core.errors import ModelError, OnlookerError, SourceError, UsageError
from onlooker.library import run_options
from onlooker.pipeline.options import RunOptions
from onlooker.pipeline.plan import make_plan
from onlooker.pipeline.run_local import analyze_paths
from onlooker.pipeline.run_source import frames_request
from onlooker.sources import open_source
from onlooker.timeline import open_store

__all__ = ["AtWork", "at_work", "unfit", "work"]

ROUNDS = 3
_CHILD = "from onlooker.shadow.at_work import work; work()"


@dataclass(frozen=True, slots=True)
class AtWork:
    """What a bundle costs in the pipeline on a clip; medians over the rounds.

    Args:
        cpu_per_second: seconds of processor time for a second of the clip: decoding, the bundle, storing; all threads.
        wall_per_second: seconds by the clock for it.
        decode_cpu_per_second, decode_wall_per_second: the same of decoding alone, as it is done for this bundle.
        ms_per_look: milliseconds by the clock in the analyzer for a look, as the pipeline tells them: conversion of
            pictures, networks, head and what is made of their answers; without opening.
        opening_ms: milliseconds of opening the analyzer, once a clip; they are in ``wall_per_second``.
        looks: at the clip.
    """

    cpu_per_second: float
    wall_per_second: float
    decode_cpu_per_second: float
    decode_wall_per_second: float
    ms_per_look: float
    opening_ms: float
    looks: int


def unfit(manifest: Manifest, clip: str | Path) -> str | None:
    """Why a clip cannot be analysed by a bundle, or None where it can.

    Raises:
        SourceError: it cannot be opened.
    """
    if not manifest.networks:
        return f"{manifest.name} reads text, it looks at no clip"
    source = open_source(str(clip))
    try:
        info = source.info
    finally:
        source.close()
    if not info.duration:
        return f"{clip} does not say how long it is"
    if manifest.pictures is not None and info.video is None:
        return f"{clip} has no pictures, which {manifest.name} looks at"
    if manifest.pictures is None and not info.audio:
        return f"{clip} has no sound, which {manifest.name} listens to"
    return None


def at_work(
    bundles: Mapping[str, tuple[Path, str | None]], clip: str | Path, *, rounds: int = ROUNDS
) -> dict[str, AtWork]:
    """Analyse a clip with each of some bundles, in turns.

    The first turn warms up and does not count. Decoder and engine have as many threads as in ``onlooker analyze``.

    Args:
        bundles: by name, its folder and the engine to run it in; None: the one that it prefers.
        clip: a video or sound file.
        rounds: turns that count.

    Returns:
        By name.

    Raises:
        UsageError: a bundle does not look at what the clip has.
        SourceError: the clip cannot be read.
        ModelError: a bundle does not work.
    """
    for folder, _ in bundles.values():
        if (reason := unfit(load_bundle(folder, check=False).manifest, clip)) is not None:
            raise UsageError(reason, hint="give another clip: --video")
    with tempfile.TemporaryDirectory(prefix="onlooker-at-work-") as held:
        asked = {
            "bundles": {name: [str(folder.resolve()), engine] for name, (folder, engine) in bundles.items()},
            "clip": str(Path(clip).resolve()), "rounds": rounds, "folder": held,
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-P", "-c", _CHILD], input=json.dumps(asked), check=False, capture_output=True,
            text=True, env={**os.environ, "ONLOOKER_CACHE": str(Path(held) / "cache")},
        )  # fmt: skip
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it ended by itself"]
        raise ModelError(f"the pipeline could not be measured: {last[0]}")
    told = json.loads(done.stdout)
    if "error" in told:
        raise SourceError(f"the pipeline could not be measured: {told['error']}")
    return {name: AtWork(**values) for name, values in told.items()}


def work() -> None:
    """The process of `at_work`: what is asked for comes as JSON, what was found goes as JSON."""
    asked = json.load(sys.stdin)
    try:
        found = _measured(asked)
    except OnlookerError as error:
        found = {"error": str(error)}
    json.dump(found, sys.stdout)


@dataclass(slots=True)
class _Turns:
    """Of one bundle, what each turn took."""

    name: str
    bundle: Bundle
    engine: str | None
    runs: list[tuple[float, float]]
    decodes: list[tuple[float, float]]
    looking: list[float]
    opening: list[float]
    looks: int = 0
    seconds: float = 0.0


def _measured(asked: Mapping[str, Any]) -> dict[str, Any]:
    base = Path(asked["folder"])
    all_turns: dict[str, _Turns] = {}
    for number, (called, (folder, engine)) in enumerate(asked["bundles"].items()):
        added = add(folder, f"bundle_{number}")
        all_turns[called] = _Turns(added.name, added.bundle, engine, [], [], [], [])
    for round_ in range(1 + asked["rounds"]):
        for number, turns in enumerate(all_turns.values()):
            _turn(turns, asked["clip"], base / f"{round_}-{number}", counts=round_ > 0)
    return {called: asdict(_found(turns)) for called, turns in all_turns.items()}


def _turn(turns: _Turns, clip: str, folder: Path, *, counts: bool) -> None:
    """Decode, then analyse into a new library."""
    options = run_options(folder, only=[turns.name], settings={turns.name: {"runtime": turns.engine}})
    decode = _timed(lambda: _decode(clip, options))
    reports: list[Any] = []
    whole = _timed(lambda: reports.append(analyze_paths([clip], options, workers=1).sources[0]))
    report = reports[0]
    if report.failures or not report.ran:
        said = "; ".join(f.message for f in report.failures) or "it looks at nothing in it"
        raise SourceError(f"{clip}: {said}")
    if not counts:
        turns.looks, turns.seconds = _looks(turns, options, report.source), report.duration_seconds
        return
    spent = report.spent[turns.name]
    turns.runs.append(whole)
    turns.decodes.append(decode)
    turns.looking.append(spent.seconds - spent.opening_seconds)
    turns.opening.append(spent.opening_seconds)


def _timed(do: Any) -> tuple[float, float]:
    """Seconds by the clock and of all processors."""
    wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    do()
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - wall, cpu


def _decode(clip: str, options: RunOptions) -> None:
    """What the pipeline reads for these stages, and nothing done with it."""
    source = open_source(clip)
    try:
        plan = make_plan(source.info, options.stages, ())
        audio = plan.audio[0] if plan.audio else None
        for _ in source.read(frames_request(plan, threads=os.cpu_count() or 1, audio=audio)):
            pass
    finally:
        source.close()


def _looks(turns: _Turns, options: RunOptions, source: str) -> int:
    layout = Layout(turns.bundle.manifest)
    store = open_store(options.folder, create=False, read_only=True)
    try:
        kept = store.measurements(source, options.stages[-1].producer)
        return sum(1 for m in kept for _ in layout.unpack(m.values))
    finally:
        store.close()


def _found(turns: _Turns) -> AtWork:
    wall, cpu, decode_wall, decode_cpu = (
        round(_median([turn[n] for turn in kept]) / turns.seconds, 5)
        for kept in (turns.runs, turns.decodes)
        for n in (0, 1)
    )
    each = round(1e3 * _median(turns.looking) / max(1, turns.looks), 4)
    return AtWork(cpu, wall, decode_cpu, decode_wall, each, round(1e3 * _median(turns.opening), 2), turns.looks)


def _median(values: Sequence[float]) -> float:
    return float(statistics.median(values))
