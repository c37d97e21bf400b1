"""Shots: accuracy on labelled clips and unseen montages, cost beside bare decoding, both beside PySceneDetect.

    python benchmarks/shots.py accuracy --montages DIR --seeds 48:80
    python benchmarks/shots.py speed [--frames 1500]
    python benchmarks/shots.py fit --montages DIR --seeds 0:48

`accuracy` and `speed` write benchmarks/results/shots.json. The weights in the package were fitted on seeds 0:48;
report on others. Timed parts compare in one run, alternating, and quote medians of ratios.
"""

# peers are installed for benchmarks only
# pyright: reportMissingImports=false

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import av
from _harness import DATA, RESULTS, save, timed
from montage import ensure, load

from onlooker.analyzers.keyframes.analyzer import Keyframes
from onlooker.analyzers.keyframes.config import KeyframesConfig
from onlooker.analyzers.scenes.analyzer import Scenes
from onlooker.analyzers.scenes.config import ScenesConfig
from onlooker.analyzers.shots.analyzer import Shots
from onlooker.analyzers.shots.config import ShotsConfig
from onlooker.core.media import Frame, ReadRequest
from onlooker.sources import open_source
from onlooker.testing.drive import drive

LEVELS = ("exact", "fast", "index")
PEERS = ("AdaptiveDetector", "ContentDetector")
Found = list[tuple[int, str]]


def labelled() -> list[tuple[Path, dict[str, Any]]]:
    """The clips with labels made by hand or by construction."""
    truth = json.loads((DATA / "shots" / "gt.json").read_text())
    return [(DATA / "shots" / name, {"ignore": [], **t}) for name, t in truth.items()]


def frame_times(path: Path) -> list[float]:
    """Seconds of each frame from the first, in the order shown."""
    with closing(open_source(str(path))) as source:
        return [item.time.seconds for item in source.read(ReadRequest()) if isinstance(item, Frame)]


def ours(path: Path, level: str, times: Sequence[float]) -> Found:
    """(frame number, transition) of each boundary."""
    config = ShotsConfig.model_validate({"level": level})
    observations = drive([Shots(config)], open_source(str(path)))
    found = []
    for o in observations:
        if o.kind == "shot" and o.data["transition"] is not None:
            at = o.span.start.seconds
            found.append((min(range(len(times)), key=lambda i: abs(times[i] - at)), str(o.data["transition"])))
    return found


def peer(path: Path, name: str) -> Found:
    """What a detector of PySceneDetect finds, with its own defaults."""
    import scenedetect

    scenes = scenedetect.detect(str(path), getattr(scenedetect, name)())
    return [(start.frame_num, "cut") for start, _ in scenes[1:]]


def score(found: Found, truth: dict[str, Any], tolerance: int = 1) -> dict[str, list[int]]:
    """True positives, false positives and misses of cuts and of gradual transitions.

    A cut must be met to the frame, within the tolerance; a gradual transition anywhere between its ends. What is
    found elsewhere is false, and counts under the kind that it claims to be; wipes count neither way.
    """
    counts = {"cut": [0, 0, 0], "gradual": [0, 0, 0]}
    used: set[int] = set()

    def take(kind: str, first: int, last: int) -> None:
        hits = [i for i, (at, _) in enumerate(found) if i not in used and first - tolerance <= at <= last + tolerance]
        if hits:
            used.add(min(hits, key=lambda i: abs(found[i][0] - (first + last) / 2)))
        counts[kind][0 if hits else 2] += 1

    for cut in truth["cuts"]:
        take("cut", cut, cut)
    for _, first, last in truth["gradual"]:
        take("gradual", first, last)
    for i, (at, kind) in enumerate(found):
        if i not in used and not any(a - tolerance <= at <= b + tolerance for a, b in truth["ignore"]):
            counts["cut" if kind == "cut" else "gradual"][1] += 1
    return counts


def f1(counts: Sequence[int]) -> float | None:
    """F1 of (true positives, false positives, misses); None where there is nothing to find and nothing found."""
    right, false, missed = counts
    return round(2 * right / (2 * right + false + missed), 4) if right + false + missed else None


def summary(counts: dict[str, list[int]]) -> dict[str, Any]:
    """F1 of each kind and of all, with the counts."""
    both = [a + b for a, b in zip(counts["cut"], counts["gradual"], strict=True)]
    return {
        "f1": f1(both),
        "cut_f1": f1(counts["cut"]),
        "gradual_f1": f1(counts["gradual"]),
        "right_false_missed": {**counts, "all": both},
    }


def accuracy(montages: Path, seeds: range) -> dict[str, Any]:
    """All levels and peers on the labelled clips and on montages of unseen seeds."""
    groups = {
        "labelled": labelled(),
        "montages": [(p, load(p)) for p in ensure(montages, seeds)],
    }
    result: dict[str, Any] = {"tolerance_frames": 1, "montage_seeds": [seeds.start, seeds.stop]}
    for group, clips in groups.items():
        totals: dict[str, dict[str, list[int]]] = {}
        each: dict[str, dict[str, float | None]] = {}
        for path, truth in clips:
            times = frame_times(path)
            found = {level: ours(path, level, times) for level in LEVELS}
            found |= {name: peer(path, name) for name in PEERS}
            for name, boundaries in found.items():
                counts = score(boundaries, truth)
                total = totals.setdefault(name, {"cut": [0, 0, 0], "gradual": [0, 0, 0]})
                for kind, values in counts.items():
                    total[kind] = [a + b for a, b in zip(total[kind], values, strict=True)]
                each.setdefault(path.name, {})[name] = summary(counts)["f1"]
        result[group] = {name: summary(total) for name, total in totals.items()}
        if group == "labelled":
            result["labelled_each"] = each
        for name, total in totals.items():
            print(f"{group:9} {name:17}", summary(total))
    return result


def make_1080p(path: Path, frames: int, seed: int = 7) -> None:
    """A montage at 1920×1080, H.264 with B-frames, cut about as fast as a film, with some grain."""
    from fractions import Fraction

    import numpy as np
    from montage import Maker, Truth, edit

    maker = Maker(seed)
    maker.size, maker.rate, maker.letterbox, maker.grey, maker.grain = (1920, 1080), Fraction(25), False, False, 0
    maker.slowness = 2.0
    noise = np.random.default_rng(0).integers(-2, 3, (1080, 1920, 1), np.int16)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25, options={"preset": "medium", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        for i, picture in enumerate(edit(maker, frames, Truth())):
            grainy = np.clip(picture + np.roll(noise, i * 37, axis=1), 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grainy, format="bgr24")))
        container.mux(stream.encode())


def bare_decode(path: Path, threads: int) -> int:
    """Decode every frame and look at none."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        return sum(1 for _ in container.decode(stream))


def speed(frames: int, rounds: int) -> dict[str, Any]:
    """CPU and wall seconds beside bare decoding with the same threads."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speed.mp4"
        make_1080p(path, frames)
        works: dict[str, Callable[[], Any]] = {"bare": lambda: bare_decode(path, 2)}
        source = open_source(str(path))
        for level in LEVELS:
            config = ShotsConfig.model_validate({"level": level})
            works[level] = lambda c=config: drive([Shots(c)], source, threads=2)
        works["shots+keyframes+scenes"] = lambda: drive(
            [Shots(ShotsConfig()), Keyframes(KeyframesConfig()), Scenes(ScenesConfig())],
            source,
            threads=2,
        )
        works["AdaptiveDetector"] = lambda: peer(path, "AdaptiveDetector")
        for work in works.values():
            work()
        cpu: dict[str, list[float]] = {name: [] for name in works}
        wall: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(rounds):
            for name, work in works.items():
                _, w, c = timed(work)
                cpu[name].append(c)
                wall[name].append(w)
        count = bare_decode(path, 2)
        source.close()
    result: dict[str, Any] = {"picture": "1920x1080 H.264, B-frames, 25 frames/s", "frames": count, "threads": 2}
    for name in works:
        result[name] = {
            "cpu_ms_per_frame": round(statistics.median(cpu[name]) / count * 1000, 3),
            "frames_per_second": round(count / statistics.median(wall[name]), 1),
            "cpu_of_bare": round(statistics.median(a / b for a, b in zip(cpu[name], cpu["bare"], strict=True)), 3),
            "fps_of_bare": round(statistics.median(b / a for a, b in zip(wall[name], wall["bare"], strict=True)), 3),
            "fps_of_adaptive": round(
                statistics.median(b / a for a, b in zip(wall[name], wall["AdaptiveDetector"], strict=True)), 2
            ),
        }
        print(f"{name:17}", result[name])
    return result


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("accuracy", "speed", "fit"))
    parser.add_argument("--montages", type=Path, default=Path(tempfile.gettempdir()) / "onlooker-montages")
    parser.add_argument("--seeds", default="48:80")
    parser.add_argument("--frames", type=int, default=1200)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    first, last = (int(n) for n in options.seeds.split(":"))
    if options.what == "fit":
        from shots_fit import fit_all

        fit_all([(p, load(p)) for p in ensure(options.montages, range(first, last))])
        return
    path = RESULTS / "shots.json"
    result = json.loads(path.read_text()) if path.exists() else {}
    result = {k: v for k, v in result.items() if k in ("accuracy", "speed")}
    if options.what == "accuracy":
        result["accuracy"] = accuracy(options.montages, range(first, last))
    else:
        result["speed"] = speed(options.frames, options.rounds)
    save("shots", result)


if __name__ == "__main__":
    main()
