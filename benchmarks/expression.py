"""Accuracy and cost of the analyzer ``expression`` beside the package whose weights it uses, and what smoothing brings.

The peer, @vladmandic/face-api 1.7.15, is called through its own API in Node on its WebAssembly backend, both with its
own detector (as a user calls it) and with the network alone on faces cut out beforehand. Both sides use one thread.

    mkdir peer && cp benchmarks/package-expression.json peer/package.json && npm install --prefix peer
    python benchmarks/expression.py --peer peer

Sets: CK+ crops (48 x 48, peak frames; *contempt* is none of the seven and left out), each put into a larger picture,
and labelled LFW pictures (250 x 250, noisy labels, at most 240 of a label). People are split in two halves:
settings are looked at on the first (``--fit``), figures are of the second. One result file is written:
results/expression.json.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import resource
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from _harness import DATA, save
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from onlooker.analyzers._faces import upright_crop
from onlooker.analyzers.expression.analyzer import Expression
from onlooker.analyzers.expression.config import ExpressionConfig
from onlooker.analyzers.faces.analyzer import Faces
from onlooker.analyzers.faces.config import FacesConfig
from onlooker.analyzers.faces.detector import FaceDetector, quality_columns
from onlooker.core.analyzer import Context
from onlooker.core.media import SourceInfo
from onlooker.core.observation import Observation
from onlooker.core.time import Timestamp
from onlooker.models import entry, load
from onlooker.sources import open_source
from onlooker.testing.drive import decide, measure

Picture = NDArray[np.uint8]
LABELS = ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised")
FROM_SETS = {
    "neutral": "neutral", "happiness": "happy", "happy": "happy", "sadness": "sad", "anger": "angry",
    "fear": "fearful", "disgust": "disgusted", "surprise": "surprised",
}  # fmt: skip
FROM_FER: dict[str, str] = dict(
    zip(
        ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprise"),
        ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised"),
        strict=True,
    )
)
SIDE = 256
_MOST = 240


@dataclass
class Labelled:
    """Pictures (n, h, w, 3) with the true labels and the people on them."""

    pictures: Picture
    truth: list[str]
    people: list[str]
    crops: Picture | None = None

    def half(self, number: int) -> Labelled:
        """Every other person, in the order of their names."""
        rank = {name: i for i, name in enumerate(sorted(set(self.people)))}
        own = [i for i, name in enumerate(self.people) if rank[name] % 2 == number]
        crops = None if self.crops is None else self.crops[own]
        return Labelled(self.pictures[own], [self.truth[i] for i in own], [self.people[i] for i in own], crops)

    def thinned(self, most: int) -> Labelled:
        """At most that many pictures of a label, evenly out of all."""
        own: list[int] = []
        for label in sorted(set(self.truth)):
            all_ = [i for i, t in enumerate(self.truth) if t == label]
            step = max(1.0, len(all_) / most)
            own += [all_[int(k * step)] for k in range(min(most, len(all_)))]
        own.sort()
        return Labelled(self.pictures[own], [self.truth[i] for i in own], [self.people[i] for i in own])


def placed(face: Picture, side: int = 160) -> Picture:
    """(256, 256, 3): the grey crop enlarged in the middle of a picture, its edges drawn out."""
    margin = (SIDE - side) // 2
    big = np.asarray(Image.fromarray(face).resize((side, side), Image.Resampling.BICUBIC))
    return np.repeat(np.pad(big, margin, mode="edge")[..., None], 3, 2)


def ck() -> Labelled:
    with np.load(DATA / "ckplus48" / "ckplus48.npz") as held:
        images, labels, classes, subjects = (held[k] for k in ("images", "labels", "classes", "subjects"))
    own = [i for i in range(len(images)) if str(classes[labels[i]]) in FROM_SETS]
    crops = np.repeat(images[own][..., None], 3, 3)
    truth = [FROM_SETS[str(classes[labels[i]])] for i in own]
    return Labelled(np.stack([placed(images[i]) for i in own]), truth, [str(subjects[i]) for i in own], crops)


def lfw() -> Labelled:
    folder = DATA / "lfw_multitask"
    with (folder / "labels.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if r["expression"] in FROM_SETS]
    pictures: list[Picture] = []
    for row in rows:
        with Image.open(folder / "images" / row["file"]) as image:
            pictures.append(np.asarray(image.convert("RGB")))
    whole = Labelled(np.stack(pictures), [FROM_SETS[r["expression"]] for r in rows], [r["identity"] for r in rows])
    return whole.thinned(_MOST)


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


# -- ours --


def face_rows(pictures: Picture, detector: FaceDetector) -> list[NDArray[np.float32] | None]:
    """Of each picture the face nearest to the middle."""
    found: list[NDArray[np.float32] | None] = []
    for picture in pictures:
        rows = detector.detect_picture(np.asarray(Image.fromarray(picture).resize((SIDE, SIDE))))
        if not len(rows):
            found.append(None)
            continue
        middle = np.abs((rows[:, :2] + rows[:, 2:4]) / 2 - 0.5).sum(1).argmin()
        found.append(quality_columns(picture, rows[middle : middle + 1])[0])
    return found


def opened(**settings: Any) -> Expression:
    analyzer = Expression(ExpressionConfig(**settings))
    analyzer.open(Context(SourceInfo("0" * 32, "pictures", "none", None, None, None), threads=1))
    return analyzer


def judged(data: Labelled, rows: list[Any], **settings: Any) -> tuple[list[str | None], float]:
    """The likeliest label of each picture, and CPU seconds for each face."""
    analyzer = opened(**settings)
    analyzer.look(data.pictures[0], np.asarray(next(r for r in rows if r is not None)))
    before, made = cpu(), list[str | None]()
    for picture, row in zip(data.pictures, rows, strict=True):
        seen = None if row is None else analyzer.look(picture, row)
        made.append(None if seen is None else LABELS[int(seen[:7].argmax())])
    spent = cpu() - before
    analyzer.close()
    return made, spent / max(1, len(rows))


def candidate(data: Labelled, rows: list[Any], scale: float = 1.2) -> list[str | None]:
    """The same by the network of the package fer (catalogue entry face-emotion)."""
    model, made = load("face-emotion", threads=1), list[str | None]()
    for picture, row in zip(data.pictures, rows, strict=True):
        if row is None:
            made.append(None)
            continue
        grey = upright_crop(picture, row, scale, 64).astype(np.float32).mean(2)
        seen = model.run([(grey / 127.5 - 1)[None, :, :, None].astype(np.float32)])[0][0]
        made.append(FROM_FER[entry("face-emotion").labels[int(seen.argmax())]])
    model.close()
    return made


# -- the peer --


def ask_peer(folder: Path, sets: dict[str, tuple[Picture, bool]]) -> dict[str, Any]:
    """Labels and cost by set; ``sets``: pictures, and whether the faces have to be found in them."""
    with tempfile.TemporaryDirectory() as scratch:
        tasks: list[dict[str, Any]] = []
        for number, (name, (pictures, detect)) in enumerate(sets.items()):
            file = Path(scratch) / f"{number}.rgb"
            file.write_bytes(np.ascontiguousarray(pictures).tobytes())
            count, height, width = pictures.shape[:3]
            tasks.append(
                {"name": name, "file": str(file), "count": count, "height": height, "width": width, "detect": detect}
            )
        wanted, out = Path(scratch) / "tasks.json", Path(scratch) / "out.json"
        wanted.write_text(json.dumps(tasks))
        script = Path(__file__).resolve().parent / "_expression_peer.cjs"
        subprocess.run(["node", str(script), str(wanted), str(out)], check=True, cwd=folder)
        return json.loads(out.read_text())


def peer_labels(seen: list[dict[str, float] | None]) -> list[str | None]:
    return [None if s is None else max(LABELS, key=lambda k: s.get(k, 0.0)) for s in seen]


# -- judging --


def figures(truth: list[str], made: list[str | None]) -> dict[str, Any]:
    """Accuracy (a face not found is an error), mean recall over the labels with ten pictures or more."""
    counts = Counter(truth)
    right = Counter(t for t, m in zip(truth, made, strict=True) if t == m)
    recalls = {k: round(right[k] / n, 3) for k, n in sorted(counts.items())}
    many = [right[k] / n for k, n in counts.items() if n >= 10]
    return {
        "accuracy": round(sum(right.values()) / len(truth), 4),
        "mean_recall": round(float(np.mean(many)), 4),
        "recall": recalls,
        "pictures": len(truth),
        "no_face": sum(m is None for m in made),
    }


def confusion(truth: list[str], made: list[str | None]) -> dict[str, dict[str, int]]:
    """Rows are true labels."""
    counts = Counter(zip(truth, made, strict=True))
    return {t: {m: counts[t, m] for m in LABELS if counts[t, m]} for t in LABELS if t in truth}


# -- along tracks --


def spoilt(picture: Picture, rng: np.random.Generator) -> Picture:
    """Smaller, blurred, darker, turned, shifted and noisy, each by chance."""
    image = Image.fromarray(picture)
    image = image.rotate(rng.uniform(-15, 15), Image.Resampling.BILINEAR, fillcolor=(90, 90, 90))
    small = int(SIDE * rng.uniform(0.2, 1.0))
    image = image.resize((small, small), Image.Resampling.BILINEAR).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 3)))
    values = np.roll(np.asarray(image, np.float32), rng.integers(-6, 7, 2), (0, 1)) * rng.uniform(0.4, 1.2)
    return np.clip(values + rng.normal(0, rng.uniform(0, 18), values.shape), 0, 255).astype(np.uint8)


def sequences(data: Labelled, seconds: float = 2.0, rate: int = 5) -> list[tuple[list[Picture], list[str]]]:
    """For each person one sequence of all expressions there are of him, every picture spoilt anew."""
    rng = np.random.default_rng(5)
    made: list[tuple[list[Picture], list[str]]] = []
    for person in sorted(set(data.people)):
        own = [i for i, name in enumerate(data.people) if name == person]
        shown: list[Picture] = []
        labels: list[str] = []
        for label in sorted({data.truth[i] for i in own}):
            peaks = [i for i in own if data.truth[i] == label]
            for _ in range(round(seconds * rate)):
                shown.append(spoilt(data.pictures[int(rng.choice(peaks))], rng))
                labels.append(label)
        made.append((shown, labels))
    return made


def along_tracks(runs: list[tuple[list[Picture], list[str]]], settings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What frame-by-frame decisions and the analyzer's stretches say of each moment."""
    sums = [Counter[str]() for _ in range(len(settings) + 1)]
    with tempfile.TemporaryDirectory() as scratch:
        for number, (shown, truth) in enumerate(runs):
            path = Path(scratch) / f"{number}.mp4"
            write(shown, path)
            source = open_source(str(path))
            stages = [Faces(FacesConfig(rate=5, gate=False, best_shot=False)), Expression(ExpressionConfig())]
            for stage in stages:
                stage.open(Context(source.info, threads=1))
            taken = measure(stages, source, threads=1)
            source.close()
            single: list[str | None] = []
            for m in taken["expression"]:
                single.append(LABELS[int(m.values[0, 4:11].argmax())] if len(m.values) else None)
            tally(sums[0], truth, single)
            for place, own in enumerate(settings, 1):
                again = [stages[0], opened(**own)]
                again[0].open(Context(source.info, threads=1))
                told = [o for o in decide(again, taken) if o.kind == "expression"]
                tally(sums[place], truth, at_moments(told, [m.time for m in taken["expression"]]))
            for stage in stages:
                stage.close()
    names: list[dict[str, Any]] = [{"frame by frame": True}, *settings]
    return [
        {**name, "accuracy": round(s["right"] / s["all"], 4), "changes": s["changes"], "true_changes": s["true"]}
        for name, s in zip(names, sums, strict=True)
    ]


def at_moments(told: list[Observation], moments: list[Timestamp]) -> list[str | None]:
    return [next((o.label for o in told if o.span.contains(t)), None) for t in moments]


def tally(sums: Counter[str], truth: list[str], made: list[str | None]) -> None:
    sums["all"] += len(truth)
    sums["right"] += sum(t == m for t, m in zip(truth, made, strict=True))
    sums["changes"] += sum(a != b for a, b in itertools.pairwise(made))
    sums["true"] += sum(a != b for a, b in itertools.pairwise(truth))


def write(shown: list[Picture], path: Path, rate: int = 5) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=rate, options={"crf": "16", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = SIDE, SIDE, "yuv420p"
        for number, picture in enumerate(shown):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


# -- the two tables --


def fit(sets: dict[str, Labelled]) -> None:
    """Settings on the first half of the people."""
    detector = FaceDetector(size=SIDE, threads=1, least=0.3, overlap=0.3)
    for name, data in sets.items():
        own = data.half(0)
        rows = face_rows(own.pictures, detector)
        for crop in (1.0, 1.05, 1.1, 1.2):
            for mirror in (False, True):
                made, _ = judged(own, rows, crop=crop, mirror=mirror)
                print(name, {"crop": crop, "mirror": mirror}, figures(own.truth, made), flush=True)
        print(name, "face-emotion", figures(own.truth, candidate(own, rows)), flush=True)
    tried = [{"smooth_seconds": s, "sure": p} for s in (0.0, 0.3, 0.6, 1.0) for p in (0.0, 0.4)]
    for row in along_tracks(sequences(sets["ck+"].half(0)), tried):
        print("along tracks", row, flush=True)


def compare(sets: dict[str, Labelled], folder: Path | None) -> None:
    result: dict[str, Any] = {"half": "second half of the people; settings were chosen on the first"}
    halves = {name: data.half(1) for name, data in sets.items()}
    detector = FaceDetector(size=SIDE, threads=1, least=0.3, overlap=0.3)
    detector.detect_picture(np.zeros((SIDE, SIDE, 3), np.uint8))
    theirs: dict[str, Any] = {}
    if folder is not None:
        asked = {name: (data.pictures, True) for name, data in halves.items()}
        crops = halves["ck+"].crops
        assert crops is not None
        answer = ask_peer(folder, {**asked, "ck+ crops": (crops, False)})
        result["peer"] = {"package": "@vladmandic/face-api", "version": answer["version"], "backend": answer["backend"]}
        theirs = answer["sets"]
    for name, data in halves.items():
        before = cpu()
        rows = face_rows(data.pictures, detector)
        finding = (cpu() - before) / len(data.truth)
        part: dict[str, Any] = {}
        for way, settings in (("balanced", {}), ("fast", {"mirror": False})):
            made, judging = judged(data, rows, **settings)
            part[f"onlooker {way}"] = {
                **figures(data.truth, made), "confusion": confusion(data.truth, made),
                "ms_finding": round(finding * 1000, 2), "ms_judging": round(judging * 1000, 2),
            }  # fmt: skip
        part["network of fer"] = figures(data.truth, candidate(data, rows))
        if name in theirs:
            peer_part(part, "peer", data, theirs[name])
        if f"{name} crops" in theirs:
            peer_part(part, "peer, network alone on crops", data, theirs[f"{name} crops"])
        result[name] = part
        for who, row in part.items():
            print(f"{name} {who}: {json.dumps({k: v for k, v in row.items() if k != 'confusion'})}", flush=True)
    result["along tracks"] = along_tracks(sequences(halves["ck+"]), [{}])
    print("along tracks:", json.dumps(result["along tracks"]))
    save("expression", result)


def peer_part(part: dict[str, Any], who: str, data: Labelled, answer: dict[str, Any]) -> None:
    made = peer_labels(answer["seen"])
    each = answer["cpu"] / len(data.truth) * 1000
    part[who] = {**figures(data.truth, made), "confusion": confusion(data.truth, made), "ms": round(each, 2)}
    for way in ("balanced", "fast"):
        own = part[f"onlooker {way}"]
        ours = own["ms_judging"] + (own["ms_finding"] if who == "peer" else 0)
        part[who][f"ratio_{way}"] = round(each / ours, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, help="the folder in which its packages are installed")
    parser.add_argument("--fit", action="store_true", help="try settings on the first half of the people instead")
    args = parser.parse_args()
    sets = {"ck+": ck(), "lfw": lfw()}
    if args.fit:
        fit(sets)
    else:
        compare(sets, args.peer)


if __name__ == "__main__":
    main()
