"""What running a model as a bundle costs beside its network alone, and that a detector as a bundle sees the same.

    python benchmarks/bundles.py

The catalogue's detector is wrapped as a bundle; single pictures are timed warm on one thread: the network alone, the
bundle's pre-processing, network and decoding, and the analyzer ``objects``, in turns within one run. A streaming
network is run step by step: its outputs are compared with those of the whole series, and a step is timed.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from _harness import DATA, save

from analyzers.bundle import making
from analyzers.bundle.catalogue import nanodet_facts, nanodet_file
from onlooker.analyzers.bundle.boxes import boxes_of
from onlooker.analyzers.objects.detector import Detector
from onlooker.bundles import import_model, verify_bundle
from onlooker.bundles.outputs import Detection
from onlooker.bundles.preprocess import one_picture, picture_tensor
from onlooker.bundles.running import Engine, NetworkRun
from onlooker.core.time import Timestamp
from onlooker.sources.frame import DecodedFrame

ROUNDS = 40
DURATION = Fraction(1, 25)


def frames(count: int) -> list[av.VideoFrame]:
    with av.open(str(DATA / "clips" / "home_indoor_one_by_one_person.mp4")) as clip:
        made = []
        for number, frame in enumerate(clip.decode(video=0)):
            if number % 25 == 0:
                made.append(frame)
            if len(made) == count:
                break
        return made


def fresh(frame: av.VideoFrame) -> Any:
    """A frame whose conversions were not made yet."""
    return DecodedFrame(frame, Timestamp.of_seconds(0.0), DURATION)


def middle(seconds: list[float]) -> dict[str, float]:
    low, mid, high = np.percentile(np.array(seconds) * 1000, [10, 50, 90])
    return {"ms_median": round(float(mid), 3), "ms_p10": round(float(low), 3), "ms_p90": round(float(high), 3)}


def detector(folder: Path) -> dict[str, Any]:
    bundle = import_model(nanodet_file(), nanodet_facts(), folder / "nanodet")
    network = bundle.manifest.networks[0]
    own: Any = bundle.manifest.outputs[0]
    assert isinstance(own, Detection)
    run = NetworkRun(Engine(bundle, threads=1), network)
    objects = Detector("nanodet-416", threads=1, least=own.keep_score, overlap=own.overlap, tiles=1)
    facts: Any = network.input
    times: dict[str, list[float]] = {"network": [], "bundle": [], "objects": []}
    apart = 0.0
    shown = frames(8)
    for number in range(ROUNDS + 3):
        frame = fresh(shown[number % len(shown)])
        tensor = picture_tensor(one_picture(frame, facts)[0], facts)
        begin = time.perf_counter()
        run.step(tensor, {})
        after_network = time.perf_counter()
        frame = fresh(shown[number % len(shown)])
        start = time.perf_counter()
        picture, placed = one_picture(frame, facts)
        rows = boxes_of(run.step(picture_tensor(picture, facts), {})[0], own, facts, placed)
        after_bundle = time.perf_counter()
        frame = fresh(shown[number % len(shown)])
        other = time.perf_counter()
        expected = objects.detect(frame)
        end = time.perf_counter()
        if rows.shape != expected.shape:
            raise SystemExit(f"the bundle finds {len(rows)} boxes, objects finds {len(expected)}")
        apart = max(apart, float(np.abs(rows - expected).max(initial=0)))
        if number >= 3:
            times["network"].append(after_network - begin)
            times["bundle"].append(after_bundle - start)
            times["objects"].append(end - other)
    run.close()
    objects.close()
    return {**{name: middle(seconds) for name, seconds in times.items()}, "largest_difference": apart, "rounds": ROUNDS}


def streaming(folder: Path) -> dict[str, Any]:
    """A state of the last five steps, step by step, against the mean over the clip written out."""
    bundle = import_model(making.window_model(folder / "w.onnx"), making.window_facts(), folder / "streaming")
    network = bundle.manifest.networks[0]
    result: dict[str, Any] = {"verified": verify_bundle(bundle).good}
    pictures = np.random.default_rng(0).uniform(0, 255, (300, 1, 1, 8, 8)).astype(np.float32)
    light = np.concatenate([np.zeros(5), pictures.reshape(300, -1).mean(1)])
    whole = np.array([light[n : n + 6].mean() for n in range(300)])
    for engine in ("openvino", "onnxruntime"):
        run = NetworkRun(Engine(bundle, name=engine, threads=1), network)
        state, seconds, made = run.initial(), [], []
        for picture in pictures:
            begin = time.perf_counter()
            outputs, state = run.step(picture, state)
            seconds.append(time.perf_counter() - begin)
            made.append(float(outputs["y"].item()))
        run.close()
        result[engine] = {**middle(seconds[20:]), "largest_difference": float(np.abs(np.array(made) - whole).max())}
    return result


def main() -> None:
    with tempfile.TemporaryDirectory() as work:
        result = {"detector": detector(Path(work)), "streaming": streaming(Path(work))}
    print(json.dumps(result, indent=1))
    print(save("bundles", result))


if __name__ == "__main__":
    main()
