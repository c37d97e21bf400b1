"""What bundles cost on this machine and what they are worth on labelled samples."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from onlooker.bundles import Bundle, Player, noise
from onlooker.bundles.golden import read_golden
from onlooker.bundles.running import engines
from onlooker.core.errors import ModelError
from onlooker.learning.compress.contract import Costs, Worth, task_of
from onlooker.learning.compress.devices import Device, engine_device
from onlooker.learning.evaluate.run import Evaluation, EvaluationRequest, evaluate

__all__ = ["costs_beside", "eager_milliseconds", "peak_memory", "size_of", "throughput", "with_load", "worth_of"]

_WARM, _ROUNDS, _TURNS = 5, 60, 6
_MEGA = 1e6


def size_of(bundle: Bundle) -> float:
    """Bytes of the files that are loaded to run it, in units of 10^6; not weights for fine-tuning or golden runs."""
    manifest = bundle.manifest
    files: set[str] = set()
    for part in (*manifest.networks, *([manifest.head] if manifest.head else [])):
        files.add(part.file)
        if part.format == "openvino-ir":
            files.add(part.file.removesuffix(".xml") + ".bin")
    return sum(manifest.files[name].size for name in files) / _MEGA


def costs_beside(
    bundles: Mapping[str, Bundle],
    *,
    rounds: int = _ROUNDS,
    engine: str | Mapping[str, str | None] | None = None,
    device: Device = "auto",
) -> dict[str, Costs]:
    """The latency of bundles, each in the engine that is fastest for it, all looked through in turns.

    Turns make what else the machine does fall on all alike, so that ratios hold. A look is preprocessing, networks and
    head, on one thread; decoding is not in it. Looks are at noise; where a bundle has an early exit, so that they cost
    what their input makes them cost, they are at the samples of its golden run, and latency is the mean over these.

    Args:
        bundles: by name.
        rounds: how many looks of each are timed.
        engine: the only one to try, of all bundles or by their names; None: all here.
        device: where; on ``cuda`` by ONNX Runtime alone.

    Raises:
        ModelError: no engine here runs one of them.
    """
    engine = "onnxruntime" if device == "cuda" else engine
    only = {name: engine.get(name) if isinstance(engine, Mapping) else engine for name in bundles}
    players: dict[tuple[str, str], Player] = {}
    times: dict[tuple[str, str], list[float]] = {}
    steps: dict[str, int] = {}
    real = next((made for b in bundles.values() if (made := _samples(b)) is not None), {})
    try:
        for name, bundle in bundles.items():
            inputs = _looks(bundle, real)
            steps[name] = len(next(iter(inputs.values())))
            rounds = max(rounds, _TURNS * steps[name])
            for one in engines(bundle):
                if only[name] in (None, one):
                    players[name, one] = Player(bundle, inputs, engine=one, device=engine_device(device))
        if missing := sorted(set(bundles) - {name for name, _ in players}):
            hint = "leave --engine out" if only[missing[0]] else "pip install openvino onnxruntime"
            raise ModelError(f"{missing[0]}: {only[missing[0]] or 'no engine here'} does not run it", hint=hint)
        for turn in range(_WARM + rounds):
            for key, player in players.items():
                began = time.perf_counter()
                player.step(turn % player.steps)
                if turn >= _WARM:
                    times.setdefault(key, []).append(1e3 * (time.perf_counter() - began))
    finally:
        for player in players.values():
            player.close()
    return {name: _fastest(name, bundle, times, steps[name]) for name, bundle in bundles.items()}


def _samples(bundle: Bundle) -> dict[str, Any] | None:
    """What a bundle with an early exit is timed on, by ``in.NETWORK``: the inputs of its golden run; None of others."""
    golden = bundle.manifest.golden
    if golden is None or not any(n.exit for n in bundle.manifest.networks):
        return None
    return {k: v for k, v in read_golden(bundle.path(golden.file)).items() if k.startswith("in.")}


def _looks(bundle: Bundle, real: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs on which a bundle is timed: the real ones where they are in its form, else noise."""
    own = noise(bundle.manifest, steps=1)
    fits = real.keys() == own.keys() and all(real[k].shape[1:] == v.shape[1:] for k, v in own.items())
    return dict(real) if fits else own


def _fastest(name: str, bundle: Bundle, times: Mapping[tuple[str, str], Sequence[float]], steps: int) -> Costs:
    own = {engine: values for (n, engine), values in times.items() if n == name}
    typical = {e: statistics.fmean(statistics.median(v[n::steps]) for n in range(steps)) for e, v in own.items()}
    engine = min(typical, key=lambda e: typical[e])
    low, high = np.quantile(own[engine], [0.05, 0.95])
    spread = (round(float(low), 4), round(float(high), 4))
    return Costs(round(typical[engine], 4), spread, engine, round(size_of(bundle), 4))


def with_load(bundle: Bundle, costs: Costs, *, device: Device = "auto") -> Costs:
    """The costs with throughput and memory, which take a few seconds."""
    looks, memory = (do(bundle, costs.engine, device=device) for do in (throughput, peak_memory))
    return replace(costs, throughput=looks, memory_mb=memory)


def throughput(bundle: Bundle, engine: str, *, seconds: float = 1.0, device: Device = "auto") -> float:
    """Looks a second, one stream of one thread on each processor."""
    counts: list[int] = []
    began = threading.Event()

    def stream() -> None:
        player = Player(bundle, _looks(bundle, _samples(bundle) or {}), engine=engine, device=engine_device(device))
        try:
            player.step(0)
            began.wait()
            until, count = time.perf_counter() + seconds, 0
            while time.perf_counter() < until:
                player.step(count % player.steps)
                count += 1
            counts.append(count)
        finally:
            player.close()

    threads = [threading.Thread(target=stream) for _ in range(len(os.sched_getaffinity(0)))]
    for thread in threads:
        thread.start()
    began.set()
    for thread in threads:
        thread.join()
    return round(sum(counts) / seconds, 1)


_ALONE = """
import sys
from pathlib import Path
from onlooker.bundles import Player, load_bundle, noise
bundle = load_bundle(Path(sys.argv[1]), check=False)
player = Player(bundle, noise(bundle.manifest, steps=1), engine=sys.argv[2], device=sys.argv[3])
for _ in range(20):
    player.step(0)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:")))
"""


def peak_memory(bundle: Bundle, engine: str, *, device: Device = "auto") -> float:
    """Most memory of the CPU, in units of 10^6 bytes, that a process of its own takes that loads and runs it."""
    given = [str(bundle.folder), engine, engine_device(device)]
    made = subprocess.run([sys.executable, "-P", "-c", _ALONE, *given], check=False, capture_output=True, text=True)
    if made.returncode:
        raise ModelError(f"{bundle.manifest.name}: {made.stderr.strip().splitlines()[-1:] or 'it ended by itself'}")
    return round(int(made.stdout.split()[-1]) * 1024 / _MEGA, 1)


def eager_milliseconds(run: Path, *, rounds: int = 30) -> float:
    """Median milliseconds of a look by the trained model in eager PyTorch, float32, one thread, warm.

    The same forms are run that the bundle consists of (a window with its state for one that streams).
    """
    from onlooker.learning.export.plan import plan
    from onlooker.learning.run_folder import RunFolder, load_model

    model, recipe, facts = load_model(run)
    pieces = plan(model, recipe, facts, RunFolder(run).read("calibration.json")).pieces
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    times: list[float] = []
    try:
        with torch.no_grad():
            for _ in range(_WARM + rounds):
                began = time.perf_counter()
                for piece in pieces:
                    piece.module.eval()(*piece.inputs.values(), *piece.state.values())
                times.append(1e3 * (time.perf_counter() - began))
    finally:
        torch.set_num_threads(threads)
    return round(statistics.median(times[_WARM:]), 4)


def worth_of(
    bundle: Path, dataset: Path, split: str | None, *, engine: str | None = None, **more: Any
) -> tuple[dict[str, Worth], Evaluation]:
    """How good a bundle is on a part of a dataset, by task.

    Whole samples are looked at at the bundle's own rate, as the analyzer does; the run's ``metrics.json`` measures one
    clip of each sample as training cut it, and may differ.

    Args:
        bundle: its folder.
        dataset: its folder.
        split: the part.
        engine: that answers.
        more: of `EvaluationRequest`.
    """
    asked: dict[str, Any] = {"draws": 200, "near": False, "errors": 0, **more}
    found = evaluate(EvaluationRequest(str(bundle), dataset, split, engine=engine, **asked))
    made = {name: task_of(task.as_dict()) for name, task in found.tasks.items()}
    return {name: worth for name, worth in made.items() if worth is not None}, found
