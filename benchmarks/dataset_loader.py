"""The loader beside bare decoding of the same clips: clips a second, cold, out of the cache, and in this process.

    python benchmarks/dataset_loader.py            # about a minute
    python benchmarks/dataset_loader.py --clips 40 # less of everything

Writes results/dataset_loader.json. Bare decoding opens each file with PyAV, decodes it in one thread, and brings the
same frames to the same size; for the comparison with workers it runs in as many processes. Runs alternate, and the
median of the rounds' ratios counts. Ratios are given by wall time and by processor time of all processes together: on
a machine that others use too, the second one says more.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
from _harness import DATA, save
from av.video.reformatter import Interpolation, VideoReformatter

from onlooker.learning.datasets.clip_cache import ClipCache
from onlooker.learning.datasets.dataset import Dataset
from onlooker.learning.datasets.importing import ImportRequest, import_samples
from onlooker.learning.datasets.loader import Loader
from onlooker.learning.datasets.preparation import Pictures, Preparation

FRAMES, SIZE, WORKERS = 16, 112, 2
HOW = Preparation(pictures=Pictures(frames=FRAMES, width=SIZE, height=SIZE, crop="none"))


def bare(path: str) -> int:
    """Bytes of the frames of one clip."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = 1
        wanted = {int((n + 0.5) * stream.frames / FRAMES) for n in range(FRAMES)}
        scaler = VideoReformatter()
        frames = [
            scaler.reformat(
                frame, width=SIZE, height=SIZE, format="rgb24", interpolation=Interpolation.AREA, threads=1
            ).to_ndarray()
            for number, frame in enumerate(container.decode(stream))
            if number in wanted
        ]
    return np.stack(frames).nbytes


def processor() -> float:
    """Seconds of processor time of this process and those that it started."""
    own = psutil.Process()
    times = [p.cpu_times() for p in (own, *own.children(recursive=True))]
    return sum(t.user + t.system for t in times)


class Rates:
    """Wall and processor seconds a clip of alternating runs."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._wall: dict[str, list[float]] = {}
        self._used: dict[str, list[float]] = {}

    def run(self, name: str, work: Callable[[], int]) -> None:
        """One run."""
        used, begun = processor(), time.perf_counter()
        given = work()
        self._wall.setdefault(name, []).append((time.perf_counter() - begun) / self._count)
        self._used.setdefault(name, []).append((processor() - used) / self._count)
        assert given == self._count, (given, self._count)

    def facts(self) -> dict[str, Any]:
        """Medians."""
        return {
            "clips_a_second": {k: round(1 / statistics.median(v), 1) for k, v in self._wall.items()},
            "processor_ms_a_clip": {k: round(statistics.median(v) * 1000, 2) for k, v in self._used.items()},
        }

    def ratio(self, bare: str, other: str) -> dict[str, Any]:
        """Clips a second as a share of those of bare decoding."""
        wall = [a / b for a, b in zip(self._wall[bare], self._wall[other], strict=True)]
        used = [a / max(b, 1e-6) for a, b in zip(self._used[bare], self._used[other], strict=True)]
        return {
            "wall": round(statistics.median(wall), 3),
            "processor": round(statistics.median(used), 3),
            "wall_each": [round(r, 3) for r in wall],
            "processor_each": [round(r, 3) for r in used],
        }


def given(loader: Loader) -> int:
    """All clips of an epoch, each byte of which is there."""
    return sum(clip.pictures is not None and clip.pictures.shape == (FRAMES, SIZE, SIZE, 3) for clip in loader.epoch())


def main() -> None:
    """Run all and save."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="onlooker-loader-"))
    try:
        result = measured(folder, options.clips, options.rounds)
    finally:
        shutil.rmtree(folder)
    save("dataset_loader", result)


def measured(folder: Path, clips: int, rounds: int) -> dict[str, Any]:
    """All figures."""
    dataset = Dataset.create(folder / "fights", name="fights")
    import_samples(dataset, ImportRequest("folders", DATA / "fight_surv", {"task": "action"}))
    samples = dataset.samples[:: max(1, len(dataset.samples) // clips)][:clips]
    paths = [str(dataset.path(s.media[0]).resolve()) for s in samples]
    count = len(paths)
    rates = Rates(count)
    with (
        multiprocessing.get_context("spawn").Pool(WORKERS) as pool,
        Loader(dataset, HOW, samples=samples, workers=WORKERS) as cold,
        Loader(dataset, HOW, samples=samples) as alone,
        ClipCache(folder / "cache", 4 << 30) as cache,
        Loader(dataset, HOW, samples=samples, cache=cache, workers=WORKERS) as cached,
    ):
        pool.map(bare, paths[: 2 * WORKERS], chunksize=1)
        assert given(cold) == given(cached) == count
        for _ in range(rounds):
            rates.run("bare_1", lambda: len([bare(p) for p in paths]))
            rates.run("loader_1", lambda: given(alone))
            rates.run("bare_2", lambda: len(pool.map(bare, paths, chunksize=2)))
            rates.run("loader_2", lambda: given(cold))
            rates.run("cached", lambda: given(cached))
    with ClipCache(folder / "cache", 4 << 30) as cache:
        kept = cache.bytes_used()
    return {
        "clips": count,
        "frames": FRAMES,
        "size": SIZE,
        "rounds": rounds,
        **rates.facts(),
        "of_bare_decoding": {
            "one_process": rates.ratio("bare_1", "loader_1"),
            "two_workers": rates.ratio("bare_2", "loader_2"),
            "cached": rates.ratio("bare_2", "cached"),
        },
        "cache_bytes_a_clip": round(kept / count),
    }


if __name__ == "__main__":
    main()
