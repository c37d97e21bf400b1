"""All analyzers without a neural network in one pass, against bare decoding of the same 1080p H.264 file.

python benchmarks/signal_pass.py [--seconds 60] [--repeats 3] [--each]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from _harness import save, timed
from _media import encode

from onlooker.core.media import ReadRequest
from onlooker.core.plugins import plugin_names
from onlooker.pipeline.stages import create_analyzer, select_stages
from onlooker.sources import open_source
from onlooker.testing.drive import drive

NAMES = ("shots", "scenes", "keyframes", "quality", "motion", "duplicates", "sound_quality")


def bare(path: Path, threads: int) -> int:
    """Decode every frame and look at none."""
    source = open_source(str(path))
    frames = sum(1 for _ in source.read(ReadRequest(threads=threads)))
    source.close()
    return frames


def run(path: Path, names: Sequence[str], threads: int) -> int:
    """Decode once for all of ``names`` and make their observations."""
    stages = select_stages({n: {} for n in names}, "balanced", only=names)
    source = open_source(str(path))
    made = drive([create_analyzer(s.spec) for s in stages], source, threads=threads)
    source.close()
    return len(made)


def best(work: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Least wall and CPU seconds of several runs."""
    runs = [timed(work)[1:] for _ in range(repeats)]
    return min(r[0] for r in runs), min(r[1] for r in runs)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--each", action="store_true", help="measure each analyzer alone too")
    parser.add_argument("--file", type=Path, help="use this file instead of a made one")
    arguments = parser.parse_args()
    names = [n for n in NAMES if n in plugin_names("analyzers")]
    cached = Path(tempfile.gettempdir()) / f"onlooker-1080p-{arguments.seconds}.mp4"
    path = arguments.file or encode(cached, seconds=arguments.seconds)
    frames = bare(path, arguments.threads)
    groups = {"all": names, **({n: [n] for n in names} if arguments.each else {})}
    wall, cpu = best(lambda: bare(path, arguments.threads), arguments.repeats)
    result: dict[str, Any] = {
        "frames": frames,
        "threads": arguments.threads,
        "bare_decode": {"cpu_ms_per_frame": round(cpu / frames * 1000, 3), "frames_per_second": round(frames / wall)},
    }
    for group, chosen in groups.items():
        own_wall, own_cpu = best(lambda chosen=chosen: run(path, chosen, arguments.threads), arguments.repeats)
        result[group] = {
            "analyzers": chosen,
            "cpu_ms_per_frame": round(own_cpu / frames * 1000, 3),
            "added_cpu_ms_per_frame": round((own_cpu - cpu) / frames * 1000, 3),
            "frames_per_second": round(frames / own_wall),
            "speed_by_cpu": round(cpu / own_cpu, 3),
            "speed_by_wall": round(wall / own_wall, 3),
        }
        print(group, result[group], flush=True)
    print(result["bare_decode"])
    save("signal_pass", result)


if __name__ == "__main__":
    main()
