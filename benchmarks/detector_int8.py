"""The catalogue's detector and a catalogue's encoder in int8 beside full precision, in one run.

    python benchmarks/detector_int8.py          # needs: pip install 'onlooker[learn,compress]'

Calibrated by every other picture of coco128, by NNCF; judged by the other half of coco128 (all classes) and by PETS
(persons, every fifth frame), and on pictures of the highway clip by the vehicles of traffic_truth.csv. A box is right
from an overlap of 0.5 with a true one of its class on. Precision and recall are of boxes that ``objects`` reports
(score 0.45); average precision is over all. The encoder of faces is calibrated by half of the persons of ORL and told
by how well the other half is told apart. Times are of one picture on one thread, in turns. Result:
results/detector_int8.json.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from pathlib import Path
from typing import Any

import av
import numpy as np
from _harness import DATA, save
from numpy.typing import NDArray
from PIL import Image

from onlooker.analyzers.objects.detector import Detector
from onlooker.core.runtime import LoadedModel
from onlooker.learning.compress.onnx_int8 import by_nncf
from onlooker.learning.compress.onnx_timing import milliseconds_of
from onlooker.learning.evaluate.material import Ready
from onlooker.learning.metrics.boxes import box_average_precision, intersection_over_union, matches
from onlooker.learning.metrics.verification import pairs_of, verification
from onlooker.models import entry, model_path
from onlooker.models.runtimes.openvino import OpenVinoRuntime

DETECTOR, ENCODER = "nanodet-416", "face-identity"
SIDE, SCORE, LEAST, OVERLAP = 416, 0.45, 0.05, 0.5
PETS, PETS_EVERY, PETS_SIZE = "mot_pets09_s2l1", 5, (768.0, 576.0)
KINDS = {"car": ("car",), "van": ("car", "truck", "bus"), "truck": ("truck",)}
Picture = tuple[NDArray[np.uint8], NDArray[np.float64]]
Wide = list[Picture]


class Watched:
    """A model that keeps what it is given."""

    def __init__(self, model: LoadedModel) -> None:
        self.model, self.given = model, list[NDArray[np.float32]]()

    def run(self, inputs: Any) -> Any:
        """See `LoadedModel.run`."""
        self.given.append(np.array(inputs[0]))
        return self.model.run(inputs)


def coco() -> Wide:
    """Pictures and their boxes: left, top, right, bottom, class, 0."""
    made: Wide = []
    for path in sorted((DATA / "coco128" / "images").glob("*.jpg")):
        labels = DATA / "coco128" / "object_detection_labels" / f"{path.stem}.txt"
        rows = np.loadtxt(labels, ndmin=2) if labels.is_file() and labels.stat().st_size else np.zeros((0, 5))
        corners = [rows[:, 1:3] - rows[:, 3:5] / 2, rows[:, 1:3] + rows[:, 3:5] / 2, rows[:, :1]]
        with Image.open(path) as picture:
            made.append((np.asarray(picture.convert("RGB")), np.column_stack([*corners, np.zeros(len(rows))])))
    return made


def clip(path: Path) -> list[NDArray[np.uint8]]:
    with av.open(str(path)) as opened:
        return [np.asarray(f.to_ndarray(format="rgb24"), np.uint8) for f in opened.decode(video=0)]


def pets() -> Wide:
    """Frames of PETS and the persons in them."""
    truth = np.loadtxt(DATA / PETS / "gt" / "gt.txt", delimiter=",")
    size = np.array([*PETS_SIZE, *PETS_SIZE])
    made: Wide = []
    for number, frame in enumerate(clip(DATA / PETS / "video.mp4")):
        rows = truth[truth[:, 0] == number + 1]
        if number % PETS_EVERY == 0 and len(rows):
            boxes = np.column_stack([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]]) / size
            made.append((frame, np.column_stack([boxes, np.zeros((len(rows), 2))])))
    return made


def detected(detector: Detector, pictures: Wide, only: int | None = None) -> list[NDArray[Any]]:
    found = []
    for pixels, _ in pictures:
        height, width = pixels.shape[:2]
        scale = SIDE / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)
        rows = detector.detect(_Still(np.asarray(small)))  # pyright: ignore[reportArgumentType]
        found.append(rows if only is None else rows[rows[:, 5] == only])
    return found


class _Still(Ready):
    """A picture of the detector's size as it takes frames."""

    def image(self, width: Any = None, height: Any = None, format: Any = "rgb24") -> Any:
        """Of the size that it has."""
        return np.ascontiguousarray(super().image(None, None, format))


def judged(detector: Detector, pictures: Wide, only: int | None = None) -> dict[str, float]:
    found = detected(detector, pictures, only)
    true = [boxes for _, boxes in pictures]
    labels = len(detector.labels)
    of = matches([rows.astype(np.float64) for rows in found], true, labels)
    precision = box_average_precision(of)
    there = precision[:, 0] >= 0
    sure = of.score >= SCORE
    right = float(of.right[sure, 0].sum())
    return {
        "recall": round(right / float(of.totals.sum()), 4),
        "precision": round(right / max(1.0, float(sure.sum())), 4),
        "ap50": round(float(precision[there, 0].mean()), 4),
        "ap50_95": round(float(precision[there].mean()), 4),
        "boxes": int(of.totals.sum()),
        "pictures": len(pictures),
    }


def vehicles(detector: Detector) -> dict[str, int]:
    """How many of the vehicles of the table are found with a fitting class."""
    with (Path(__file__).parent / "traffic_truth.csv").open() as file:
        table = list(csv.DictReader(file))
    frames = clip(DATA / "clips" / "traffic_highway.avi")
    with av.open(str(DATA / "clips" / "traffic_highway.avi")) as opened:
        rate = float(opened.streams.video[0].average_rate or 25)
    hit = 0
    for row in table:
        frame = frames[min(len(frames) - 1, round(float(row["time"]) * rate))]
        (rows,) = detected(detector, [(frame, np.zeros((0, 6)))])
        box = np.array([[float(row[k]) for k in ("left", "top", "right", "bottom")]])
        classes = {detector.labels.index(name) for name in KINDS[row["type"]]}
        fitting = rows[(rows[:, 4] >= SCORE) & np.isin(rows[:, 5], list(classes))]
        hit += bool((intersection_over_union(box, fitting[:, :4]) >= OVERLAP).any()) if len(fitting) else False
    return {"found": hit, "of": len(table)}


def written(made: bytes | tuple[bytes, bytes], folder: Path, name: str) -> Path:
    if isinstance(made, bytes):
        (folder / f"{name}.onnx").write_bytes(made)
        return folder / f"{name}.onnx"
    (folder / f"{name}.xml").write_bytes(made[0])
    (folder / f"{name}.bin").write_bytes(made[1])
    return folder / f"{name}.xml"


def size_of(path: Path) -> int:
    return path.stat().st_size + (path.with_suffix(".bin").stat().st_size if path.suffix == ".xml" else 0)


def detector_figures(folder: Path) -> dict[str, Any]:
    pictures = coco()
    detector: Any = Detector(DETECTOR, threads=1, least=LEAST, overlap=OVERLAP, tiles=1)
    full = detector._model
    watched = Watched(full)
    detector._model = watched
    detected(detector, pictures[::2])
    detector._model = full
    name = full.inputs[0].name
    feeds = [{name: array} for array in watched.given]
    shapes = {name: (1, 3, SIDE, SIDE)}
    made = by_nncf(model_path(DETECTOR), "tf-frozen", shapes, feeds)
    path = written(made, folder, "detector")
    times = milliseconds_of({"full": model_path(DETECTOR), "int8": path}, feeds, shapes)
    small = OpenVinoRuntime().load(path, threads=1)
    order = [[t.name for t in small.outputs].index(t.name) for t in full.outputs]
    persons = pets()
    result: dict[str, Any] = {"calibration": len(feeds), "model": entry(DETECTOR).name}
    for label, model, file in (("full", full, model_path(DETECTOR)), ("int8", small, path)):
        detector._model = model if label == "full" else _Ordered(small, order)
        result[label] = {
            "ms": round(times[label, "openvino"], 3),
            "size": size_of(file),
            "coco128": judged(detector, pictures[1::2]),
            "pets": judged(detector, persons, only=0),
            "highway": vehicles(detector),
        }
        print(label, result[label], flush=True)
    result["speed_up"] = round(times["full", "openvino"] / times["int8", "openvino"], 3)
    return result


class _Ordered:
    """A model with its outputs in another order."""

    def __init__(self, model: LoadedModel, order: list[int]) -> None:
        self.model, self.order = model, order

    def run(self, inputs: Any) -> Any:
        """See `LoadedModel.run`."""
        made = self.model.run(inputs)
        return [made[n] for n in self.order]


def encoder_figures(folder: Path) -> dict[str, Any]:
    """Faces of ORL as they are, brought to the encoder's size: the same for both, so that the difference counts."""
    with np.load(DATA / "orl_faces" / "orl.npz") as held:
        names = {len(held[n].shape): n for n in held.files}
        faces, persons = np.asarray(held[names[max(names)]]), np.asarray(held[names[1]])
    side = int(entry(ENCODER).inputs["size"][0])
    path = model_path(ENCODER)
    full = OpenVinoRuntime().load(path, threads=1)
    name = full.inputs[0].name
    shapes = {name: (1, 3, side, side)}
    full = OpenVinoRuntime().load(path, threads=1, shapes=shapes)
    feeds = []
    for face in faces:
        small = Image.fromarray(np.uint8(face)).convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
        feeds.append({name: np.asarray(small, np.float32).transpose(2, 0, 1)[None]})
    known = np.unique(persons)
    learn = np.isin(persons, known[: len(known) // 2])
    made = by_nncf(path, "onnx", shapes, [f for f, one in zip(feeds, learn, strict=True) if one][::2])
    other = written(made, folder, "encoder")
    times = milliseconds_of({"full": path, "int8": other}, feeds[:16], shapes, rounds=6)
    result: dict[str, Any] = {"model": ENCODER}
    vectors: dict[str, NDArray[Any]] = {}
    for label, file in (("full", path), ("int8", other)):
        model = OpenVinoRuntime().load(file, threads=1, shapes=shapes)
        rows = [model.run(f)[0].reshape(-1) for f, one in zip(feeds, learn, strict=True) if not one]
        vectors[label] = np.stack(rows) / np.linalg.norm(rows, axis=1, keepdims=True)
        found = verification(pairs_of(vectors[label], persons[~learn]))
        assert found is not None
        ms = {engine: round(v, 3) for (kind, engine), v in times.items() if kind == label}
        result[label] = {"ms": ms, "size": size_of(file), "auc": round(found.auc, 5), "equal_error": found.equal_error}
        print(label, result[label], flush=True)
    result["cosine"] = round(float((vectors["full"] * vectors["int8"]).sum(1).mean()), 5)
    return result


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with tempfile.TemporaryDirectory() as held:
        result = {"detector": detector_figures(Path(held)), "encoder": encoder_figures(Path(held))}
    save("detector_int8", result)


if __name__ == "__main__":
    main()
