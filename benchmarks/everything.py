"""All analyzers at once over a 720p clip of people who talk: how fast, and what each costs.

    python benchmarks/everything.py
    python benchmarks/everything.py --seconds 120 --quality balanced

The clip is made of clips of the labelled sets with captions drawn into it (benchmarks/_talk.py). Analyzers whose models
are not pulled are left out, and named. Prints x real time, peak memory, the CPU seconds of each analyzer (in a second
run with one thread for each model, where the calling thread does all the work of a model; what transcription does in
threads of its own is measured in a run of it alone beside one that only hears), the conversions that the plan shares,
and pairs of conversions that are nearly the same, which one picture could serve.

Result: results/everything.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from itertools import combinations
from pathlib import Path
from typing import Any

import av
from _harness import save, timed
from _talk import talk

from onlooker.core.plugins import plugin_names
from onlooker.pipeline.stages import Stage, select_stages

RUN = """
import json, resource, sys, time
from dataclasses import replace
from pathlib import Path
from onlooker.library import run_options
from onlooker.pipeline.run_local import analyze_paths
folder, clip, names, quality, threads = sys.argv[1:6]
names = names.split(",")
options = run_options(Path(folder), profile="default", only=names, quality=quality)
options = replace(options, threads=int(threads))
begun = time.perf_counter()
report = analyze_paths([clip], options, workers=1)
usage = resource.getrusage(resource.RUSAGE_SELF)
told = {"wall": time.perf_counter() - begun, "cpu": usage.ru_utime + usage.ru_stime, "peak_mb": usage.ru_maxrss / 1024}
print(json.dumps({**told, "exit": report.exit_code, **report.sources[0].as_dict()}))
"""


def usable() -> tuple[list[str], dict[str, str]]:
    """Names of the analyzers whose models are there, and why the others are not."""
    from onlooker.core.errors import OnlookerError
    from onlooker.models import model_path

    names, missing = [], {}
    for name in plugin_names("analyzers"):
        (*_, stage) = select_stages({name: {}}, "fast", [name])
        try:
            for model in stage.needs.models:
                model_path(model)
        except OnlookerError as error:
            missing[name] = str(error)
        else:
            names.append(name)
    return names, missing


def run(clip: Path, folder: Path, names: list[str], quality: str, threads: int) -> dict[str, Any]:
    shutil.rmtree(folder, ignore_errors=True)
    words = [sys.executable, "-c", RUN, str(folder), str(clip), ",".join(names), quality, str(threads)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def decode(clip: Path) -> int:
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "AUTO", 1
        return sum(1 for _ in container.decode(stream))


def threads_of_speech(clip: Path, folder: Path, quality: str) -> float:
    """CPU seconds of transcription outside the thread that calls it."""

    def outside(name: str) -> float:
        alone = run(clip, folder, [name], quality, 1)
        return alone["cpu"] - sum(spent["cpu_seconds"] for spent in alone["analyzers"].values())

    return max(0.0, outside("speech") - outside("sound_quality"))


def conversions(stages: list[Stage], width: int, height: int) -> dict[tuple[int, int, str], list[str]]:
    """Who asks for which picture: (width, height, format) in pixels, 0 taken from the other by the picture's shape."""
    asked: dict[tuple[int, int, str], list[str]] = {}
    for stage in stages:
        for w, h, form in dict.fromkeys(stage.needs.image):
            wide = w or (h * width // height if h else width)
            asked.setdefault((wide, h or wide * height // width, form), []).append(stage.name)
    return asked


def nearly_same(asked: dict[tuple[int, int, str], list[str]]) -> list[dict[str, Any]]:
    """Pairs of pictures whose sides differ by less than a quarter, or by the order of colours alone."""
    pairs: list[dict[str, Any]] = []
    for (one, by), (other, also) in combinations(asked.items(), 2):
        close = all(max(a, b) < 1.25 * min(a, b) for a, b in zip(one[:2], other[:2], strict=True))
        if close and len({f.replace("bgr", "rgb") for f in (one[2], other[2])}) == 1:
            pairs.append({"pictures": [list(one), list(other)], "asked_by": [by, also]})
    return pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--quality", default="fast")
    parser.add_argument("--clip", type=Path, help="measure this file instead")
    options = parser.parse_args()
    names, missing = usable()
    folder = Path(tempfile.mkdtemp(prefix="onlooker-everything-"))
    try:
        clip = options.clip or talk(folder / "talk.mp4", seconds=options.seconds)
        with av.open(str(clip)) as container:
            seconds = float(container.duration or 0) / 1e6
            width, height = container.streams.video[0].width, container.streams.video[0].height
        print(f"{width}x{height}, {seconds:.0f} s, quality {options.quality}, {len(names)} analyzers")
        for name, why in missing.items():
            print(f"left out: {name}: {why}")
        _, _, bare = timed(lambda: decode(clip))
        whole = run(clip, folder / "library", names, options.quality, os.cpu_count() or 1)
        again = run(clip, folder / "library", names, options.quality, 1)
        hidden = threads_of_speech(clip, folder / "library", options.quality) if "speech" in names else 0.0
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    stages = select_stages({n: {} for n in names}, options.quality, names)
    asked = conversions(stages, width, height)
    cpu = {name: spent["cpu_seconds"] for name, spent in again["analyzers"].items()}
    cpu |= {"speech": cpu.get("speech", 0.0) + hidden, "(decoding)": bare}
    cpu["(else: starting, sound, store)"] = again["cpu"] - sum(cpu.values())
    print(f"\n{seconds / whole['wall']:.2f} x real time on {os.cpu_count()} cores ({whole['wall']:.1f} s),", end=" ")
    print(f"{whole['cpu'] / seconds:.2f} CPU s for each second, peak {whole['peak_mb']:.0f} MB")
    print(f"with one thread a model: {again['cpu']:.1f} CPU s\n\n{'part':52} {'CPU s':>8} {'share':>7}")
    for name, spent in sorted(cpu.items(), key=lambda pair: -pair[1]):
        print(f"{name:52} {spent:8.2f} {100 * spent / again['cpu']:6.1f} %")
    print("\nconversions, each done once:")
    for (wide, high, form), by in sorted(asked.items()):
        print(f"  {wide}x{high} {form:6} {', '.join(by)}")
    pairs = nearly_same(asked)
    for pair in pairs:
        print(f"nearly the same: {pair}")
    print(f"{len(pairs)} pairs of conversions are nearly the same")
    result = {
        "clip": {"width": width, "height": height, "seconds": round(seconds, 2)},
        "quality": options.quality,
        "x_real_time": round(seconds / whole["wall"], 3),
        "cpu_seconds_for_each_second": round(whole["cpu"] / seconds, 3),
        "peak_mb": round(whole["peak_mb"]),
        "load": os.getloadavg()[0],
        "cpu_seconds": {name: round(spent, 2) for name, spent in cpu.items()},
        "share": {name: round(spent / again["cpu"], 4) for name, spent in cpu.items()},
        "conversions": [{"picture": list(picture), "asked_by": by} for picture, by in asked.items()],
        "nearly_the_same": pairs,
        "left_out": missing,
        "counts": whole["counts"],
        "failures": whole["failures"],
    }
    save("everything", result)


if __name__ == "__main__":
    main()
