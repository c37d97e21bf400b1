"""Latency of every pulled model in each engine that reads it, one thread, and the ratio between the engines.

    python benchmarks/runtimes.py [NAME...]

Engines take turns within each model, so that other load on the machine falls on both; the median counts.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
from _harness import save

from onlooker.core.errors import ModelError
from onlooker.core.runtime import LoadedModel, TensorInfo
from onlooker.models import catalogue, load, state

ENGINES = ("openvino", "onnxruntime")
# free dimensions and the size at which these models are used
SHAPES = {"ppocr-rec": (1, 3, 48, 320), "ppocr-cls": (1, 3, 48, 192), "ppocr-det": (1, 3, 480, 640)}
FREE_SIZE = 256


def _input(name: str, tensor: TensorInfo) -> np.ndarray:
    shape = SHAPES.get(name) or tuple(d if d > 0 else (1 if i == 0 else FREE_SIZE) for i, d in enumerate(tensor.shape))
    values = np.random.default_rng(0).random(shape) * (255 if tensor.dtype in ("uint8", "int32") else 1)
    return values.astype(tensor.dtype)


def _milliseconds(model: LoadedModel, inputs: list[np.ndarray]) -> float:
    start = time.perf_counter()
    model.run(inputs)
    return (time.perf_counter() - start) * 1e3


def measure(name: str, runs: int) -> dict[str, object]:
    """Milliseconds a call by engine."""
    loaded: dict[str, LoadedModel] = {}
    loading: dict[str, float] = {}
    for engine in ENGINES:
        start = time.perf_counter()
        try:
            loaded[engine] = load(name, threads=1, runtime=engine)
        except ModelError:
            continue  # the engine does not read this form
        loading[engine] = round((time.perf_counter() - start) * 1e3, 1)
    first = next(iter(loaded.values()))
    inputs = [_input(name, tensor) for tensor in first.inputs]
    times: dict[str, list[float]] = {engine: [] for engine in loaded}
    for turn in range(runs + 3):
        for engine, model in loaded.items():
            spent = _milliseconds(model, inputs)
            if turn >= 3:
                times[engine].append(spent)
    median = {engine: round(statistics.median(values), 3) for engine, values in times.items()}
    result: dict[str, object] = {"milliseconds": median, "loading_milliseconds": loading}
    if len(median) == len(ENGINES):
        result["onnxruntime_over_openvino"] = round(median["onnxruntime"] / median["openvino"], 2)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description="Latency of every pulled model in each engine.")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--runs", type=int, default=30)
    options = parser.parse_args()
    here = [e.name for e in catalogue().values() if e.runtime != "weights" and state(e.name) == "pulled"]
    results: dict[str, object] = {}
    for name in options.names or here:
        results[name] = measure(name, options.runs)
        print(name, results[name])
    save("runtimes", {"threads": 1, "runs": options.runs, "models": results})


if __name__ == "__main__":
    main()
