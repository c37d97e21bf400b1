"""Looking less and looking better: what each adaptive setting of a bundle costs and how accurate it stays, in one run.

    python benchmarks/adaptive.py               # needs: pip install 'onlooker[learn]'; trains two small networks
    python benchmarks/adaptive.py pets highway  # these parts alone; what is known of the others stays

*Detector*: the catalogue's nanodet as a bundle, at 416 and (by OpenVINO's reshaping) at 256 pixels. PETS: boxes of
persons as reported, at each picture looked at (3.5 a second), against the labels, from an overlap of 0.5 on. Highway:
how many of the vehicles of traffic_truth.csv are found. Home, a camera in a room through which people walk, has no
labels: the share of boxes that a run and the plain one have in common. *Faces*: two of recipes/expression.yaml,
narrow and as it is; on the test part, picture by picture, at several thresholds; and on a made video, in which the test
faces are shown for three seconds each with a sensor's noise: the share of time in which the label told is right.

Cost is CPU time of everything, decoding included, in ms for a second of video on one thread; models are loaded before.
``decoding`` is what reading the pictures alone costs. Result: results/adaptive.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import sys
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from _harness import DATA, RESULTS, save, timed

from analyzers.bundle.catalogue import nanodet_facts, nanodet_file
from analyzers.conftest import write_clip
from onlooker.analyzers.bundle.cascade import enough
from onlooker.bundles import Bundle, added, import_model
from onlooker.bundles.outputs import Classification
from onlooker.bundles.preprocess import Still, one_picture, picture_tensor
from onlooker.bundles.running import Engine, NetworkRun
from onlooker.bundles.scores import probabilities
from onlooker.core.analyzer import Context
from onlooker.core.media import ReadRequest
from onlooker.core.observation import Observation
from onlooker.core.plugins import load_plugin
from onlooker.sources import open_source
from onlooker.testing.drive import decide, measure

Found = dict[str, Any]
PETS, PETS_RATE, PETS_SIZE = "mot_pets09_s2l1", 7.0, (768.0, 576.0)
HIGHWAY, HOME = "clips/traffic_highway.avi", "clips/home_indoor_one_by_one_person.mp4"
KINDS = {"car": ("car",), "van": ("car", "truck", "bus"), "truck": ("truck",)}
OVERLAP, SMALL, SHOWN, RATE = 0.5, 256, 3, 10
DETECTING: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("nanodet", {}),
    "still": ("nanodet", {"still": 0.0005}),
    "region: motion": ("nanodet", {"region": "motion"}),
    "region: motion, still": ("nanodet", {"region": "motion", "still": 0.0005}),
    "first": ("nanodet", {"first": "nanodet_small"}),
    "small": ("nanodet_small", {}),
    "small, region: motion": ("nanodet_small", {"region": "motion"}),
}
CLIPS: dict[str, tuple[str, float, tuple[str, ...]]] = {
    "pets": (f"{PETS}/video.mp4", 3.5, ("plain", "still", "region: motion", "first", "small", "small, region: motion")),
    "home": (HOME, 2.5, ("plain", "still", "region: motion, still", "small")),
    "highway": (HIGHWAY, 10.0, ("plain", "region: motion", "first", "small", "small, region: motion")),
}
WIDTHS = {"small": ([8, 16, 24, 32], 0.1), "large": ([32, 64, 128, 192], 0.4)}
LOOKING: dict[str, tuple[str, dict[str, Any]]] = {
    "large": ("large", {}),
    "small": ("small", {}),
    "still": ("large", {"still": 0.001}),
    "sure 0.6": ("large", {"sure": 0.6}),
    "sure 0.9": ("large", {"sure": 0.9}),
    "first": ("large", {"first": "small"}),
    "first, still": ("large", {"first": "small", "still": 0.001}),
}


def watched(name: str, path: Path, **settings: Any) -> tuple[list[Observation], Found]:
    """What a bundle's analyzer observes, what that costs, and what it counted."""
    cls = load_plugin("analyzers", name)
    one = cls(cls.Config(**settings))
    source = open_source(str(path))
    one.open(Context(source.info, read=source.read, threads=1))
    made, _, used = timed(lambda: decide([one], measure([one], source, threads=1)))
    duration = float(source.info.duration or 0)
    one.close()
    source.close()
    return made, {"cpu_ms_per_second": round(1000 * used / duration, 2), **one.counted}


def decoding(path: Path) -> float:
    """CPU ms of reading a second."""
    source = open_source(str(path))
    _, _, used = timed(lambda: sum(1 for _ in source.read(ReadRequest(frames="all", threads=1))))
    duration = float(source.info.duration or 0)
    source.close()
    return round(1000 * used / duration, 2)


def overlaps(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    low, high = np.maximum(one[:, None, :2], other[None, :, :2]), np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    sizes = [np.clip(b[:, 2:] - b[:, :2], 0, None).prod(-1) for b in (one, other)]
    return shared / np.maximum(sizes[0][:, None] + sizes[1][None] - shared, 1e-12)


def right(found: NDArray[Any], true: NDArray[Any]) -> int:
    """How many true boxes are found, each by a box of its own."""
    if not len(found) or not len(true):
        return 0
    table, count = overlaps(found, true), 0
    while table.max(initial=0) >= OVERLAP:
        row, column = np.unravel_index(table.argmax(), table.shape)
        table[row], table[:, column] = 0, 0
        count += 1
    return count


def boxes_by_time(made: list[Observation], labels: set[str] | None = None) -> dict[Fraction, NDArray[Any]]:
    held: dict[Fraction, list[Any]] = {}
    for o in made:
        if o.kind == "object" and o.box is not None and (labels is None or o.label in labels):
            held.setdefault(o.span.start.value, []).append(list(o.box))
    return {time: np.array(rows) for time, rows in held.items()}


def shares(hit: int, told: int, there: int) -> Found:
    recall, precision = hit / max(1, there), hit / max(1, told)
    f1 = 2 * recall * precision / max(1e-9, recall + precision)
    return {"recall": round(recall, 4), "precision": round(precision, 4), "f1": round(f1, 4)}


def pets(made: list[Observation]) -> Found:
    truth = np.loadtxt(DATA / PETS / "gt" / "gt.txt", delimiter=",")
    size = np.array([*PETS_SIZE, *PETS_SIZE])
    found, hit, there, told = boxes_by_time(made, {"person"}), 0, 0, 0
    for number in range(0, int(truth[:, 0].max()), 2):
        rows = truth[truth[:, 0] == number + 1]
        true = np.column_stack([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]]) / size
        near = [boxes for t, boxes in found.items() if abs(float(t) - number / PETS_RATE) < 0.5 / PETS_RATE]
        boxes = near[0] if near else np.zeros((0, 4))
        hit, there, told = hit + right(boxes, true), there + len(true), told + len(boxes)
    return {**shares(hit, told, there), "boxes": there}


def highway(made: list[Observation]) -> Found:
    with (Path(__file__).parent / "traffic_truth.csv").open() as file:
        table = list(csv.DictReader(file))
    hit = 0
    for row in table:
        box = np.array([[float(row[k]) for k in ("left", "top", "right", "bottom")]])
        near = [o for o in made if o.kind == "object" and abs(o.span.start.seconds - float(row["time"])) < 0.02]
        boxes = [list(o.box) for o in near if o.box is not None and o.label in KINDS[row["type"]]]
        hit += right(np.array(boxes).reshape(-1, 4), box)
    return {"vehicles_found": hit, "of": len(table)}


def alike(made: list[Observation], plain: list[Observation]) -> Found:
    """Boxes of persons that both have."""
    one, other = boxes_by_time(made, {"person"}), boxes_by_time(plain, {"person"})
    none = np.zeros((0, 4))
    hit = sum(right(one.get(t, none), other.get(t, none)) for t in {*one, *other})
    counts = [sum(len(b) for b in boxes.values()) for boxes in (one, other)]
    return {"shared_with_plain": round(2 * hit / max(1, sum(counts)), 4), "boxes": counts[0]}


def smaller(model: Path, target: Path) -> Path:
    """The detector for smaller pictures: what it enlarges inside is enlarged less."""
    import openvino
    from openvino import opset13

    graph = openvino.Core().read_model(model)
    for node in graph.get_ops():
        if node.get_type_name() == "Interpolate":
            sizes: Any = node.input(1).get_source_output().get_node()
            made = (np.array(sizes.data) * SMALL // 416).astype(sizes.data.dtype)
            node.input(1).replace_source_output(opset13.constant(made).output(0))
    graph.get_parameters()[0].set_partial_shape(openvino.PartialShape([1, 3, SMALL, SMALL]))
    graph.validate_nodes_and_infer_types()
    openvino.save_model(graph, target, compress_to_fp16=False)
    return target


def add_detectors(folder: Path, model: Path) -> None:
    facts = nanodet_facts()
    names = {"name": "nanodet_small", "input": {**facts["input"], "width": SMALL, "height": SMALL}}
    added.add(import_model(model, facts, folder / "nanodet").folder)
    small = smaller(model, folder / "small.xml")
    added.add(import_model(small, {**facts, **names}, folder / "nanodet_small").folder)


def detected(clip: str) -> Found:
    """Each setting on one clip."""
    name, rate, settings = CLIPS[clip]
    result: Found = {"decoding": decoding(DATA / name), "rate": rate}
    plain: list[Observation] = []
    for which in settings:
        bundle, own = DETECTING[which]
        made, found = watched(bundle, DATA / name, rate=rate, **own)
        plain = plain or made
        judged = pets(made) if clip == "pets" else highway(made) if clip == "highway" else alike(made, plain)
        result[which] = {**found, **judged}
        print(clip, which, result[which], flush=True)
    return result


def trained_bundle(which: str) -> Path:
    from _recipes import trained

    widths, dropout = WIDTHS[which]
    network = f"inputs.face={{network: frame_cnn, widths: {widths}, stem: 1, dropout: {dropout}}}"
    settings = [network, "training.epochs=40"]
    return trained("expression.yaml", f"adaptive_{which}", settings=settings, bundle=True)[0] / "bundle"


def test_faces() -> tuple[list[NDArray[np.uint8]], list[str]]:
    from _recipes import dataset_of
    from PIL import Image

    from onlooker.learning.datasets.dataset import Dataset

    dataset = Dataset.load(dataset_of("expression"))
    samples = dataset.of_split("test")
    shown = [np.asarray(Image.open(dataset.folder / s.media[0].path).convert("RGB")) for s in samples]
    return shown, [str(s.labels["expression"]) for s in samples]


def answers(bundle: Bundle, shown: list[NDArray[np.uint8]]) -> tuple[NDArray[Any], float]:
    """(pictures, labels) probabilities, and CPU ms of a look."""
    network, output = bundle.manifest.networks[0], bundle.manifest.outputs[0]
    assert isinstance(output, Classification)
    run = NetworkRun(Engine(bundle, threads=1), network)
    facts: Any = network.input

    def look(picture: NDArray[np.uint8]) -> NDArray[Any]:
        tensor = picture_tensor(one_picture(Still(picture), facts)[0], facts)
        return probabilities(output, run.step(tensor, {})[0][output.tensor].reshape(-1))

    rows = np.stack([look(p) for p in shown])
    spent = [timed(lambda: [look(p) for p in shown])[2] for _ in range(3)]
    run.close()
    return rows, 1000 * statistics.median(spent) / len(shown)


def picture_by_picture(shown: list[NDArray[np.uint8]], true: list[str]) -> Found:
    """The cascade's accuracy at several thresholds beside both bundles alone."""
    bundles = {name: added.added_bundle(name) for name in ("small", "large")}
    told = {name: answers(bundle, shown) for name, bundle in bundles.items()}
    names = {name: bundle.manifest.outputs[0].labels for name, bundle in bundles.items()}  # pyright: ignore[reportAttributeAccessIssue]
    good = {n: np.array([names[n][row.argmax()] for row in rows]) == np.array(true) for n, (rows, _) in told.items()}
    sure, cost = told["small"][0].max(1), {name: ms for name, (_, ms) in told.items()}
    result: Found = {"pictures": len(true), "chosen": round(enough(bundles["large"].manifest), 4)}
    for name in bundles:
        result[name] = {"accuracy": round(float(good[name].mean()), 4), "cpu_ms": round(cost[name], 4)}
    for least in (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, result["chosen"]):
        asked = sure < least
        result[f"first_sure {least}"] = {
            "accuracy": round(float(np.where(asked, good["large"], good["small"]).mean()), 4),
            "large_looks": round(float(asked.mean()), 4),
            "cpu_ms": round(cost["small"] + float(asked.mean()) * cost["large"], 4),
        }
    return result


def video_of(shown: list[NDArray[np.uint8]], order: NDArray[Any], target: Path) -> Path:
    """Each face for some seconds, with noise that changes from picture to picture."""
    random, frames = np.random.default_rng(0), []
    for number in order:
        for _ in range(SHOWN * RATE):
            noisy = shown[number] + random.normal(0, 2, shown[number].shape)
            frames.append(np.clip(noisy, 0, 255).astype(np.uint8))
    return write_clip(frames, target, rate=RATE, crf=18)


def time_right(made: list[Observation], true: list[str]) -> float:
    """Share of time in which the label is right, by tenths of a second."""
    told = np.full(len(true) * SHOWN * RATE, "", object)
    for o in made:
        if o.kind in ("action", "expression"):
            told[round(o.span.start.seconds * RATE) : round(o.span.end.seconds * RATE)] = o.label
    return round(float((told == np.repeat(np.array(true, object), SHOWN * RATE)).mean()), 4)


def faces(folder: Path) -> Found:
    for which in WIDTHS:
        added.add(trained_bundle(which), which)
    shown, true = test_faces()
    result: Found = {"pictures": picture_by_picture(shown, true)}
    print(result["pictures"], flush=True)
    order = np.random.default_rng(1).permutation(len(shown))[:60]
    clip = video_of(shown, order, folder / "faces.mp4")
    labels = [true[n] for n in order]
    result["video"] = {"decoding": decoding(clip), "seconds": len(order) * SHOWN, "rate": 5.0}
    for which, (bundle, settings) in LOOKING.items():
        made, found = watched(
            bundle, clip, rate=5.0, sensitivity=1000.0, gap_seconds=0.0, drift_seconds=0.0, **settings
        )
        result["video"][which] = {**found, "time_right": time_right(made, labels)}
        print(which, result["video"][which], flush=True)
    return result


def known() -> Found:
    """What earlier runs found."""
    path = RESULTS / "adaptive.json"
    return json.loads(path.read_text()) if path.exists() else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=[*CLIPS, "faces"], choices=[*CLIPS, "faces"])
    parts = parser.parse_args().parts
    with tempfile.TemporaryDirectory() as held:
        folder = Path(held)
        model = nanodet_file()
        os.environ["ONLOOKER_CACHE"] = str(folder / "cache")
        add_detectors(folder, model)
        for part in parts:
            found = faces(folder) if part == "faces" else detected(part)
            save("adaptive", {**known(), part: found})


if __name__ == "__main__":
    main()
