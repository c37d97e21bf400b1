"""The loader beside bare decoding of the same clips: clips a second, cold, out of the cache, and in this process.

    python benchmarks/dataset_loader.py            # about a minute
    python benchmarks/dataset_loader.py --clips 40 # less of everything

Writes results/dataset_loader.json. Bare decoding opens each file with PyAV, decodes it in one thread, and brings the
same frames to the same size; for the comparison with workers it runs in as many processes. Runs alternate, and the
median ratio counts: other work on the machine then falls on both.
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
from _harness import DATA, save
from av.video.reformatter import Interpolation

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
        frames = [
            frame.reformat(width=SIZE, height=SIZE, format="rgb24", interpolation=Interpolation.AREA).to_ndarray()
            for number, frame in enumerate(container.decode(stream))
            if number in wanted
        ]
    return np.stack(frames).nbytes


def rate(work: Callable[[], int], count: int) -> float:
    """Clips a second of one run."""
    begun = time.perf_counter()
    given = work()
    assert given == count, (given, count)
    return count / (time.perf_counter() - begun)


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
    rates: dict[str, list[float]] = {k: [] for k in ("bare_1", "loader_1", "bare_2", "loader_2", "cached")}
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
            rates["bare_1"].append(rate(lambda: len([bare(p) for p in paths]), count))
            rates["loader_1"].append(rate(lambda: given(alone), count))
            rates["bare_2"].append(rate(lambda: len(pool.map(bare, paths, chunksize=2)), count))
            rates["loader_2"].append(rate(lambda: given(cold), count))
            rates["cached"].append(rate(lambda: given(cached), count))
        kept = cache.bytes_used()
    ratios = {
        "one_process": [a / b for a, b in zip(rates["loader_1"], rates["bare_1"], strict=True)],
        "two_workers": [a / b for a, b in zip(rates["loader_2"], rates["bare_2"], strict=True)],
        "cached": [a / b for a, b in zip(rates["cached"], rates["bare_2"], strict=True)],
    }
    return {
        "clips": count,
        "frames": FRAMES,
        "size": SIZE,
        "rounds": rounds,
        "clips_a_second": {k: round(statistics.median(v), 1) for k, v in rates.items()},
        "of_bare_decoding": {k: round(statistics.median(v), 3) for k, v in ratios.items()},
        "of_bare_decoding_each_round": {k: [round(r, 3) for r in v] for k, v in ratios.items()},
        "cache_bytes_a_clip": round(kept / count),
    }


if __name__ == "__main__":
    main()
