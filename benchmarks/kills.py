"""Kills an analysis with SIGKILL at random moments, again and again, and compares what the library holds in the end
with that of an undisturbed run.

    python benchmarks/kills.py --kills 200

Result: results/kills.json (kills, libraries compared, rows, rows lost, rows twice).
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _harness import save
from _media import encode

ANALYZERS = "shots,scenes,keyframes,quality,motion,duplicates"


def command(clip: Path, library: Path, analyzers: str, workers: int) -> list[str]:
    return [
        *(sys.executable, "-m", "onlooker", "analyze", str(clip), "--library", str(library)),
        *("--only", analyzers, "--workers", str(workers), "--json"),
    ]


def rows(library: Path) -> list[str]:
    out = subprocess.run(
        [sys.executable, "-m", "onlooker", "export", "--all", "--library", str(library), "--format", "jsonl"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return sorted(json.dumps(json.loads(line), sort_keys=True) for line in out.splitlines())


def disturbed(clip: Path, library: Path, analyzers: str, workers: int, rng: random.Random, longest: float) -> int:
    """Analyse with kills until a run comes through; returns the number of kills."""
    kills = 0
    while True:
        process = subprocess.Popen(
            command(clip, library, analyzers, workers), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            # later kills come later, or a busy machine would never get past the start
            process.wait(timeout=rng.uniform(0.2, longest * (1 + kills / 8)))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
            continue
        if process.returncode != 0:
            raise SystemExit(f"a run ended with {process.returncode}")
        return kills


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=60, help="length of the clip")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default=ANALYZERS)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    folder = Path(tempfile.mkdtemp(prefix="onlooker-kills-"))
    try:
        clip = encode(folder / "clip.mp4", seconds=options.seconds, width=1280, height=720)
        begun = time.monotonic()
        subprocess.run(command(clip, folder / "whole", options.only, 1), check=True, stdout=subprocess.DEVNULL)
        whole = time.monotonic() - begun
        expected = rows(folder / "whole")
        kills = libraries = lost = twice = 0
        while kills < options.kills:
            library = folder / f"library-{libraries}"
            workers = 1 + libraries % 2
            kills += disturbed(clip, library, options.only, workers, rng, whole * 0.7)
            libraries += 1
            found = rows(library)
            lost += len(set(expected) - set(found))
            twice += len(found) - len(set(found)) + len(set(found) - set(expected))
            shutil.rmtree(library)
            print(f"{kills} kills, {libraries} libraries, {lost} rows lost, {twice} rows twice or other", flush=True)
        result = {"kills": kills, "libraries": libraries, "rows": len(expected), "lost": lost, "twice_or_other": twice}
        save("kills", result)
        raise SystemExit(1 if lost or twice else 0)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
