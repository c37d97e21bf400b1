"""How long models take in the engines here."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from onlooker.core.plugins import load_plugin, plugin_names
from onlooker.core.runtime import LoadedModel, Runtime

__all__ = ["milliseconds_of", "readers"]

_BLOCK, _WARM = 5, 2
Feed = Mapping[str, NDArray[Any]]


def readers(path: Path) -> list[str]:
    """Names of the engines here that read a model."""
    found: list[str] = []
    for name in sorted(plugin_names("runtimes")):
        engine: Runtime = load_plugin("runtimes", name)()
        if engine.available() and engine.reads(path):
            found.append(name)
    return found


def milliseconds_of(
    models: Mapping[str, Path],
    feeds: Sequence[Feed],
    shapes: Mapping[str, Sequence[int]],
    *,
    threads: int = 1,
    rounds: int = 12,
) -> dict[tuple[str, str], float]:
    """Milliseconds of one run that a tenth of the runs stay under, by model and engine, warm; all in turns of a few
    runs, so that other work on the machine falls on all alike.

    Args:
        models: by name, files that take the same inputs.
        feeds: what they are given, in turn.
        shapes: of the inputs, for models that leave them free.
        threads: that an engine may use.
        rounds: so many turns each has, of five runs, of which three are timed.

    Raises:
        ModelError: an engine that reads a model cannot run it.
    """
    loaded: dict[tuple[str, str], LoadedModel] = {}
    times: dict[tuple[str, str], list[float]] = {}
    try:
        for name, path in models.items():
            for engine in readers(path):
                model = load_plugin("runtimes", engine)().load(path, threads=threads)
                if any(-1 in t.shape for t in model.inputs):
                    model.close()
                    model = load_plugin("runtimes", engine)().load(path, threads=threads, shapes=shapes)
                loaded[name, engine] = model
        for number in range(1 + rounds):
            for key, model in loaded.items():
                found = [_seconds(model, feeds[(number * _BLOCK + n) % len(feeds)]) for n in range(_BLOCK)]
                times.setdefault(key, []).extend(found[_WARM:] if number else [])
    finally:
        for model in loaded.values():
            model.close()
    return {key: statistics.quantiles(found, n=10)[0] * 1e3 for key, found in times.items()}


def _seconds(model: LoadedModel, feed: Feed) -> float:
    began = time.perf_counter()
    model.run(feed)
    return time.perf_counter() - began
