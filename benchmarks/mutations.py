"""Mutated media files: fuzzed headers, flipped bits, cut heads and tails, stretches of zeros, wrong extensions. Each is
analysed in a child process with a time limit and a memory limit; none may crash or hang, and one that cannot be read
whole must leave a recorded failure.

    python benchmarks/mutations.py --count 1000

Result: results/mutations.json (how many were read whole, read with failures, refused; crashes; hangs).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import queue
import random
import resource
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from _harness import DATA, save

SEEDS = (
    *("clips/book.mkv", "clips/walk.mkv", "clips/carphone.mp4", "clips/preview_classroom.mp4", "clips/help.mkv"),
    *("clips/action_ucf101_apply_eye_makeup.avi", "clips/tv_whitehouse_performance.mp4", "shots/megamind.avi"),
    *("speech/LDC93S1.wav", "clips/talking_face_man_suit.mp4"),
)
SUFFIXES = (".mp4", ".mkv", ".avi", ".ts", ".webm", ".mov", ".wav", ".gif", ".m3u8", ".png")
LIMIT_SECONDS, LIMIT_BYTES = 60, 6 * 2**30


def mutate(data: bytes, rng: random.Random) -> tuple[str, bytes]:
    """A mutation's name and what it makes of the data."""
    work = bytearray(data)
    kind = rng.choice(("header", "bits", "tail", "head", "zeros", "noise", "shuffle"))
    if kind == "header":
        for _ in range(rng.randint(1, 30)):
            work[rng.randrange(min(2000, len(work)))] = rng.randrange(256)
    elif kind == "bits":
        for _ in range(rng.randint(1, 400)):
            work[rng.randrange(len(work))] ^= 1 << rng.randrange(8)
    elif kind == "tail":
        work = work[: rng.randrange(len(work))]
    elif kind == "head":
        work = work[rng.randrange(len(work)) :]
    else:
        size = rng.randrange(1, len(work) // 3)
        at = rng.randrange(len(work) - size)
        if kind == "shuffle":
            other = rng.randrange(len(work) - size)
            work[at : at + size] = data[other : other + size]
        else:
            work[at : at + size] = bytes(size) if kind == "zeros" else rng.randbytes(size)
    return kind, bytes(work)


def serve(jobs: Any, results: Any, folder: str) -> None:
    """In the child: analyse one file after another."""
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))
    from onlooker.library import run_options
    from onlooker.pipeline.run_local import analyze_paths

    while (path := jobs.get()) is not None:
        library = Path(folder) / "library"
        options = run_options(library, only=("shots", "motion", "sound_quality"))
        report = analyze_paths([path], options).sources[0]
        results.put((bool(report.source), report.frames, [f.message for f in report.failures]))
        shutil.rmtree(library, ignore_errors=True)


class Child:
    """A process that analyses, and is made anew after it crashed or hung."""

    def __init__(self, folder: str) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._folder = folder
        self._start()

    def _start(self) -> None:
        self._jobs, self._results = self._context.Queue(), self._context.Queue()
        self._process = self._context.Process(target=serve, args=(self._jobs, self._results, self._folder))
        self._process.start()

    def run(self, path: Path) -> tuple[str, Any]:
        self._jobs.put(str(path))
        end = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < end:
            try:
                return "done", self._results.get(timeout=0.2)
            except queue.Empty:
                if not self._process.is_alive():
                    code = self._process.exitcode
                    self._start()
                    return "crash", code
        self._process.kill()
        self._process.join()
        self._start()
        return "hang", LIMIT_SECONDS

    def close(self) -> None:
        self._jobs.put(None)
        self._process.join(10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder for files that crash or hang")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    seeds = [(Path(name).suffix, (DATA / name).read_bytes()) for name in SEEDS]
    table: dict[str, Counter[str]] = {}
    bad: list[str] = []
    slowest = 0.0
    with tempfile.TemporaryDirectory(prefix="onlooker-mutations-") as folder:
        child = Child(folder)
        for number in range(options.count):
            suffix, data = rng.choice(seeds)
            kind, made = mutate(data, rng)
            if rng.random() < 0.2:
                suffix = rng.choice(SUFFIXES)
            path = Path(folder) / f"{number}{suffix}"
            path.write_bytes(made)
            begun = time.monotonic()
            state, result = child.run(path)
            slowest = max(slowest, time.monotonic() - begun)
            if state == "done":
                opened, _, failures = result
                state = "refused" if not opened else "read with failures" if failures else "read"
                if not opened and not failures:
                    state = "refused without a failure"
            else:
                bad.append(f"{number} {kind} {suffix}: {state} {result}")
                if options.keep:
                    shutil.copy(path, options.keep)
            table.setdefault(kind, Counter())[state] += 1
            path.unlink()
            if number % 100 == 99:
                print(f"{number + 1} files, {len(bad)} crashed or hung", flush=True)
        child.close()
    total: Counter[str] = sum(table.values(), Counter())
    for kind, counts in sorted(table.items()):
        print(f"{kind:8} {json.dumps(counts)}")
    print("all     ", json.dumps(total), *bad, sep="\n")
    rows = {k: dict(v) for k, v in table.items()}
    save(
        "mutations",
        {"files": options.count, **dict(total), "by_kind": rows, "bad": bad, "slowest_s": round(slowest, 2)},
    )
    raise SystemExit(1 if bad or total["refused without a failure"] else 0)


if __name__ == "__main__":
    main()
