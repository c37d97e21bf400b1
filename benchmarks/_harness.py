"""What all benchmarks share: timing by CPU and by wall, and one JSON result file each."""

from __future__ import annotations

import json
import os
import platform
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

DATA = Path(os.environ.get("ONLOOKER_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """Result, wall seconds and CPU seconds (all threads and finished children) of one call."""

    def cpu() -> float:
        own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime

    wall, used = time.perf_counter(), cpu()
    result = work()
    return result, time.perf_counter() - wall, cpu() - used


def save(name: str, result: dict[str, Any]) -> Path:
    """Write ``results/<name>.json`` with the machine's facts, and say where; paths in the project are told from it."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    text = json.dumps({"benchmark": name, "machine": machine, **result}, indent=1)
    path.write_text(text.replace(f"{ROOT}/", "") + "\n")
    print(f"written: benchmarks/results/{name}.json")
    return path
