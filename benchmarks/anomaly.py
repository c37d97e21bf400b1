"""Anomaly learning on UCSD Pedestrian 2: fitted on its normal videos, measured on the test videos that are here.

    python benchmarks/anomaly.py            # the shipped recipe, about three minutes
    python benchmarks/anomaly.py --method prediction

Writes results/anomaly.json: frame AUC over all pictures (micro), with scores brought to 0..1 in each video, and the
mean over videos (macro; those of one class have none); with scores smoothed over both sides, as published figures are,
and causally, as a camera has them; and pictures a second of the bundle in the engine that serves, on one thread.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from _harness import save
from _recipes import ROOT, dataset_of

from onlooker.bundles import load_bundle
from onlooker.learning.anomaly import train
from onlooker.learning.latency import look_milliseconds
from onlooker.learning.run_folder import RunFolder


def main() -> None:
    """Train, measure, time."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--method", choices=("neighbours", "prediction"), default="neighbours")
    given = parser.parse_args()
    dataset_of("ped2")
    name = "anomaly" if given.method == "neighbours" else "anomaly_prediction"
    recipe = ROOT / "recipes" / ("anomaly_ped2.yaml" if name == "anomaly" else "anomaly_ped2_prediction.yaml")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        began = time.perf_counter()
        train(recipe, out=out)
        seconds = time.perf_counter() - began
        metrics = RunFolder(out).read("metrics.json")["test"]["anomaly"]
        pictures = 1000 / look_milliseconds(load_bundle(out / "bundle"), looks=200)
    result = {"seconds of fitting and measuring": round(seconds), "pictures a second": round(pictures, 1), **metrics}
    print(result)
    save(name, result)


if __name__ == "__main__":
    main()
